"""Each augmentation does what it says, on the device, with draws that the step decides."""

from dataclasses import replace
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import xarray as xr

from graphdown.config.training import TrainingSpec
from graphdown.data.normalise import Normaliser
from graphdown.emulator.emulator import Emulator
from graphdown.errors import DataError
from graphdown.model.parameters import named_values
from graphdown.model.predict import Scaling
from graphdown.training import Trainer, prepare_training
from graphdown.training.augmentation import (
    dropped,
    make_augmentation,
    make_smoother,
    noisy,
    shifted,
    smoothed,
)
from graphdown.training.parallel import AXIS, DataParallel
from graphdown.training.step import initial_state, make_step
from meshes import EARTH_RADIUS_KM, Grid

from .conftest import COARSE, OTHER, make_data, make_experiment, make_trainer, perturbed, source

NORMALISER = Normaliser(
    ("tas", "pr", "ua850"),
    ("tas", "pr"),
    (285.0, 1.0, 0.0, 0.5),
    (4.0, 2.0, 5.0, 0.4),
    (0.0, 0.0),
    (1.0, 1.0),
    optional_predictors=("ua850",),
)
MEAN, STD = (np.asarray(getattr(NORMALISER, n)[:3], np.float32) for n in ("mean", "std"))
POSITIVE = np.asarray([False, True, False])
ALL = {"mean_shift": 0.3, "variance_shift": 0.2, "noise": 0.1, "variable_dropout": 0.4}


def fields(days=4, nodes=500, seed=0):
    values = MEAN + STD * np.random.default_rng(seed).normal(size=(days, nodes, 3))
    values[..., 1] = np.maximum(values[..., 1], 0.0)
    return jnp.asarray(values, jnp.float32)


def augmented(values, step=5, seed=1, devices=1, smoother=None, **amounts):
    """What some devices make of the days of a step."""
    augment = make_augmentation(TrainingSpec(**amounts), NORMALISER, seed)
    scales = Scaling(**{k: jnp.asarray(v) for k, v in NORMALISER.arrays().items()})
    shares = values.reshape(devices, -1, *values.shape[1:])
    call = jax.vmap(lambda v: augment(v, jnp.asarray(step), scales, smoother), axis_name=AXIS)
    return np.asarray(call(shares)).reshape(values.shape)


def test_nothing_is_on_by_default():
    assert make_augmentation(TrainingSpec(), NORMALISER, 0) is None
    assert make_smoother([COARSE], COARSE.size, 0.0) is None


def test_a_share_of_the_fields_becomes_their_mean_within_the_radius():
    grid, radius = Grid.regular(1.5, 1.5, (0.0, 40.0, 12.0, 49.0)), 260.0
    grid = replace(grid, mask=np.arange(grid.size) != 7)
    stacked = make_smoother([grid, grid], grid.size + 3, radius)
    smoother = jax.tree.map(lambda a: a[1], stacked)
    distance = EARTH_RADIUS_KM * np.arccos(np.clip(grid.xyz @ grid.xyz.T, -1.0, 1.0))
    weight = np.maximum(1 - (distance / radius) ** 2, 0.0) ** 2 * grid.area
    weight[:, 7] = 0.0
    weight /= weight.sum(axis=1, keepdims=True)
    values = np.random.default_rng(0).normal(size=(2, grid.size + 3, 3)).astype(np.float32)
    made = np.asarray(smoothed(jnp.asarray(values), 0.4, smoother))
    used = np.flatnonzero(grid.mask)
    own = values[:, : grid.size]
    expected = 0.6 * own + 0.4 * np.einsum("ij,bjv->biv", weight, own)
    np.testing.assert_allclose(made[:, used], expected[:, used], atol=1e-5)
    flat = np.asarray(smoothed(jnp.ones_like(values), 1.0, smoother))
    np.testing.assert_allclose(flat[:, used], 1.0, rtol=1e-6)


def test_a_shift_moves_the_mean_and_stretches_the_deviations():
    values = fields(days=40)
    shift, stretch = jnp.asarray([0.5, -0.2, 0.0]), jnp.asarray([1.5, 1.1, 0.5])
    made = np.asarray(shifted(values, shift, stretch, MEAN, STD, POSITIVE))
    before = np.asarray(values)
    np.testing.assert_allclose(made[..., 0], 285 + 1.5 * (before[..., 0] - 285) + 2.0, rtol=1e-5)
    np.testing.assert_allclose(made[..., 2], 0.5 * before[..., 2], atol=1e-5)
    np.testing.assert_allclose(made[..., 1], 1.1 * np.exp(-0.2) * before[..., 1], rtol=1e-5)


def test_noise_has_its_size_and_leaves_dry_days_dry():
    values = fields(days=40)
    drawn = 0.3 * np.random.default_rng(3).normal(size=values.shape).astype(np.float32)
    added = np.asarray(noisy(values, drawn, 0.3, STD, POSITIVE) - values)
    assert added[..., 0].std() == pytest.approx(0.3 * 4.0, rel=0.02)
    assert added[..., 2].std() == pytest.approx(0.3 * 5.0, rel=0.02)
    dry = np.asarray(values)[..., 1] == 0
    assert dry.any() and (added[..., 1][dry] == 0).all()
    factor = added[..., 1][~dry] / np.asarray(values)[..., 1][~dry] + 1
    assert factor.min() > 0 and factor.mean() == pytest.approx(1.0, abs=0.01)


def test_a_dropped_variable_is_missing_at_all_nodes_of_its_day():
    made = np.asarray(dropped(fields(2), jnp.asarray([[False, False, True], [False] * 3])))
    assert np.isnan(made[0, :, 2]).all() and np.isfinite(made[0, :, :2]).all()
    assert np.isfinite(made[1]).all()


def test_variables_that_may_be_absent_are_dropped_as_often_as_asked():
    missing = np.isnan(augmented(fields(2000, 3), variable_dropout=0.4)).all(axis=1)
    assert missing[:, 2].mean() == pytest.approx(0.4, abs=0.04)
    assert not missing[:, :2].any()


def test_errors_of_a_model_are_the_same_on_all_days_of_a_step_and_noise_is_not():
    values = fields(3)
    change = augmented(values, mean_shift=0.3)[..., 0] - np.asarray(values)[..., 0]
    np.testing.assert_allclose(change, change[0, 0], atol=1e-3)
    assert 0 < abs(change[0, 0]) <= 0.3 * 4.0
    others = [augmented(values, step=s, mean_shift=0.3)[0, 0, 0] for s in range(30)]
    assert len(set(others)) == 30
    added = augmented(values, noise=0.1)[..., 2] - np.asarray(values)[..., 2]
    assert np.abs(np.corrcoef(added) - np.eye(3)).max() < 0.2


def test_only_the_chosen_variables_are_shifted():
    values = fields(3)
    amounts = {"mean_shift": 0.3, "variance_shift": 0.2}
    every, some = (
        np.asarray(augmented(values, **amounts, shifted_variables=names)) for names in ((), ("pr",))
    )
    np.testing.assert_array_equal(some[..., 1], every[..., 1])
    assert np.abs(every[..., 1] - np.asarray(values)[..., 1]).max() > 0.01
    np.testing.assert_allclose(some[..., [0, 2]], np.asarray(values)[..., [0, 2]], atol=1e-4)


def test_draws_depend_on_seed_and_step_and_not_on_the_devices():
    values = fields(4)
    first = augmented(values, **ALL)
    np.testing.assert_allclose(augmented(values, devices=2, **ALL), first, rtol=1e-6)
    np.testing.assert_array_equal(augmented(values, **ALL), first)
    for changed in ({"seed": 2}, {"step": 6}):
        other = augmented(values, **changed, **ALL)
        assert np.abs(other[..., 0] - first[..., 0]).max() > 0.1


@pytest.mark.slow
def test_the_step_learns_from_the_augmented_fields():
    trainer = make_trainer(make_data(), smoothing_km=300.0, noise=0.2, mean_shift=0.2)
    batch, _ = trainer.batch(0)
    constants, losses = trainer.constants_of(trainer.samples[0]), []
    smoother = jax.tree.map(lambda a: a[0], constants.smoother)
    call = jax.vmap(
        lambda v: trainer.augment(v, jnp.asarray(0), constants.scales, smoother), axis_name=AXIS
    )
    by_hand = batch._replace(source=np.asarray(call(batch.source[None])[0]))
    for given, augment in ((batch, trainer.augment), (by_hand, None), (batch, None)):
        step = make_step(trainer.graphdef, trainer.optimiser, 0.9, augment=augment)
        mapped = DataParallel(step, "shard_map", 1)
        state = initial_state(perturbed(trainer.params), trainer.optimiser)
        losses.append(float(mapped(mapped.replicate(state), given, constants)[1]["loss"]))
    assert losses[0] == pytest.approx(losses[1], rel=1e-5)
    assert abs(losses[0] / losses[2] - 1) > 1e-3


def lacking(grid):
    return source(grid).drop_vars("ua850")


def gappy_trainer(**sources):
    data = make_data(**sources)
    experiment = replace(make_experiment("unused", data), optional_predictors=("ua850",))
    return Trainer(prepare_training(experiment, data), Path("unused"))


@pytest.fixture(scope="module")
def gappy():
    return gappy_trainer(a=source(COARSE), b=lacking(OTHER))


def test_a_source_may_lack_a_variable_and_does_not_count_in_its_statistics(gappy):
    assert np.isnan(gappy.samples[1].source[..., 2]).all()
    assert np.isfinite(gappy.samples[1].source[..., :2]).all()
    whole, other = make_trainer(make_data()), make_trainer(make_data(b=source(OTHER)))
    own = gappy.normaliser
    assert (own.mean[2], own.std[2]) == (whole.normaliser.mean[2], whole.normaliser.std[2])
    assert own.mean[0] == pytest.approx((whole.normaliser.mean[0] + other.normaliser.mean[0]) / 2)
    with pytest.raises(DataError, match="No training source has 'ua850'; drop it"):
        gappy_trainer(a=lacking(COARSE))


def test_an_emulator_tells_a_missing_variable_from_its_mean(gappy):
    e, params = gappy.experiment, named_values(perturbed(gappy.params))
    emulator = Emulator(e.name, e.model, gappy.normaliser, gappy.domain, params)
    days = source(COARSE).isel(time=slice(0, 3))
    mean = xr.full_like(days["ua850"], gappy.normaliser.mean[2])
    made = [
        emulator.downscale(ds)["tas"].values
        for ds in (days, days.assign(ua850=mean), days.drop_vars("ua850"))
    ]
    assert np.isfinite(made[2]).all()
    assert all(np.abs(made[2] - other).max() > 1e-2 for other in made[:2])
    with pytest.raises(DataError, match="pr"):
        emulator.downscale(days.drop_vars("pr"))
