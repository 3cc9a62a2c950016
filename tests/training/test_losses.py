"""Losses against numpy, scipy and numerical differentiation; what trainings with them learn."""

import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd
import pytest
import scipy.stats
from hypothesis import given, settings
from hypothesis import strategies as st

from graphdown.config.training import TrainingSpec
from graphdown.emulator.storage import load
from graphdown.errors import ExperimentError
from graphdown.model import ModelSpec
from graphdown.model.loss_functions import asymmetric, censored, fair_crps
from graphdown.training import train
from graphdown.training.augmentation import make_smoother
from graphdown.training.losses import Gammas, Losses, fit_gammas, step_noise
from graphdown.training.objective import _only
from meshes import Grid

from ..evaluation import plain
from .conftest import COARSE, FINE, make_experiment, source

TARGETS = ("tas", "pr")


def losses(members=1, **names):
    spec = TrainingSpec(losses=names, members=members)
    return Losses.of(spec, ModelSpec(noise=2 if members > 1 else 0), TARGETS)


def slope(function, x, step=1e-4):
    """Central differences of a scalar function of an array."""
    made = np.zeros(x.shape)
    for place in np.ndindex(x.shape):
        up, down = x.copy(), x.copy()
        up[place] += step
        down[place] -= step
        made[place] = (function(up) - function(down)) / (2 * step)
    return made


@settings(max_examples=20, deadline=None, derandomize=True)
@given(members=st.integers(2, 5), seed=st.integers(0, 999))
def test_fair_crps_is_that_of_all_pairs(members, seed):
    x = np.random.default_rng(seed).normal(size=(members, 6, 3)).round(1)
    y = np.random.default_rng(seed + 1).normal(size=(6, 3)).round(1)
    made = jax.jit(fair_crps)(np.swapaxes(x, 0, 1), y)
    np.testing.assert_allclose(made.mean(axis=0), plain.crps(x, y, np.mean), atol=2e-6)


def test_the_gradient_of_fair_crps_is_that_of_differences():
    x = np.random.default_rng(0).normal(size=(2, 3, 4))
    y = np.random.default_rng(1).normal(size=(2, 4))

    def by_hand(x):
        return sum(plain.crps(x[b][:, None], y[b][None], np.mean).sum() for b in range(2))

    made = jax.jit(jax.grad(lambda x: fair_crps(x, jnp.asarray(y, jnp.float32)).sum()))(x)
    np.testing.assert_allclose(made, slope(by_hand, x), atol=1e-5)


def test_missed_rain_costs_more_the_rarer_it_is():
    rng = np.random.default_rng(2)
    made, truth = rng.gamma(0.8, 4.0, (2, 50, 1))
    shape, scale = 0.8, 4.0
    rarity = scipy.stats.gamma.cdf(truth, shape, scale=scale)
    expected = np.abs(made - truth) + rarity**2 * np.maximum(0, truth - made)
    gammas = Gammas(*(jnp.full((1, 2), v) for v in (shape, scale)))
    own = gammas.cdf(jnp.asarray(truth), 1)
    np.testing.assert_allclose(asymmetric(made, truth, own), expected, rtol=1e-4, atol=1e-5)
    # As terms of the loss: in units of the scale.
    outputs = np.stack([made, made], axis=-1)
    fine, units = np.stack([truth, truth], axis=-1), jnp.asarray([1.0, 2.5])
    terms = losses(pr="gamma-weighted", tas="mae").terms(
        *map(jnp.asarray, (outputs, fine)), units, gammas
    )
    np.testing.assert_allclose(terms[..., 1], expected / 2.5, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(terms[..., 0], np.abs(made - truth), rtol=1e-5)

    def total(made):
        return (np.abs(made - truth) + rarity**2 * np.maximum(0, truth - made)).sum()

    gradient = jax.grad(lambda made: asymmetric(made, jnp.asarray(truth), own).sum())(
        jnp.asarray(made)
    )
    np.testing.assert_allclose(gradient, slope(total, made), rtol=1e-3, atol=1e-4)


def test_what_is_below_zero_on_a_dry_day_is_no_error():
    truth = np.asarray([0.0, 0.0, 3.0, 3.0])
    made = np.asarray([-2.0, 2.0, -2.0, 5.0])
    np.testing.assert_allclose(censored(jnp.asarray(made), jnp.asarray(truth)), [0, 4, 25, 4])
    gradient = jax.grad(lambda made: censored(made, jnp.asarray(truth)).sum())(jnp.asarray(made))
    np.testing.assert_allclose(gradient, [0, 4, -10, 4])
    # As terms of the loss: in squares of the scale, the other target as it is.
    outputs, fine = (np.stack([v, v], axis=-1)[:, None] for v in (made, truth))
    terms = losses(pr="censored").terms(
        *map(jnp.asarray, (outputs, fine)), jnp.asarray([1.0, 2.0]), None
    )
    np.testing.assert_allclose(terms[:, 0, 1], [0, 1, 6.25, 1])
    np.testing.assert_allclose(terms[:, 0, 0], (made - truth) ** 2)


def test_gamma_distributions_are_those_that_scipy_fits():
    rng = np.random.default_rng(4)
    wet = rng.gamma([0.6, 1.5, 4.0], [8.0, 3.0, 1.0], (3000, 3)) + 0.1
    days = np.where(rng.uniform(size=wet.shape) < 0.5, wet, 0.0)[..., None].astype(np.float32)
    days[5, 1] = np.nan
    days = np.concatenate([days, np.zeros((3000, 1, 1), np.float32)], axis=1)
    made = fit_gammas([days[:1000], days[1000:]])
    for node in range(3):
        own = days[:, node, 0]
        shape, _, scale = scipy.stats.gamma.fit(own[own >= 0.1], floc=0)
        assert float(made.shape[node, 0]) == pytest.approx(shape, rel=0.03)
        assert float(made.scale[node, 0]) == pytest.approx(scale, rel=0.03)
    assert np.isnan(made.shape[3, 0])
    np.testing.assert_array_equal(made.cdf(jnp.ones((2, 4)), 0)[:, 3], 0.0)


def test_members_of_a_day_are_scored_together_and_rain_is_not_negative():
    rng = np.random.default_rng(5)
    made = rng.normal(size=(3, 2, 7, 2))  # days, members
    truth = np.maximum(rng.normal(size=(3, 7, 2)), 0.0)
    own = losses(members=2, pr="crps")
    flat = jnp.asarray(made.reshape(6, 7, 2))
    terms = own.terms(flat, jnp.asarray(truth), jnp.asarray([2.0, 4.0]), None)
    np.testing.assert_allclose(
        terms[..., 0], ((made[..., 0] - truth[:, None, :, 0]) / 2).__pow__(2).mean(1), rtol=1e-5
    )
    rain = np.maximum(made[..., 1], 0.0)
    for day in range(3):
        expected = plain.crps(rain[day][:, None], truth[day, :, 1][None], np.mean) / 4
        np.testing.assert_allclose(terms[day, :, 1], expected, atol=1e-6)


def test_scores_of_means_over_neighbourhoods_tell_white_noise_from_the_truths_texture():
    grid, rng = Grid.regular(0.5, 0.5, (0.0, 42.0, 4.0, 46.0)), np.random.default_rng(6)
    smoother = _only(make_smoother([grid], grid.size, 150.0))
    even = np.ones((1, grid.size)) * rng.normal(size=(400, 1))
    white = rng.normal(size=(800, grid.size))
    smooth = np.ones((1, grid.size)) * rng.normal(size=(800, 1))
    truth = np.stack([even, even], axis=-1)
    own, scale = losses(members=2, tas="crps"), jnp.ones(2)
    weight = np.ones(truth.shape)
    weight[:, :20] = 0.0
    scores = [
        float(own.over_scales(*map(jnp.asarray, (v, truth, weight)), scale, [smoother]))
        for v in (np.stack([white] * 2, -1), np.stack([smooth] * 2, -1))
    ]
    # Of normal members and truth: 1 / sqrt(pi); of members without spread: sqrt(2 / pi).
    share = np.asarray(scores) / (400 * (grid.size - 20))
    assert share[1] == pytest.approx(1 / np.sqrt(np.pi), rel=0.1)
    assert share[0] > 1.15 * share[1]
    # Missing values count on neither side.
    broken = np.where(weight > 0, truth, 1e6)
    again = own.over_scales(
        *map(jnp.asarray, (np.stack([smooth] * 2, -1), broken, weight)), scale, [smoother]
    )
    np.testing.assert_allclose(float(again), scores[1], rtol=1e-5)


def test_noise_of_a_step_is_that_of_the_days_however_devices_share_them():
    whole = step_noise(jnp.asarray(3), jnp.asarray(0), 4, 2, 5, seed=1)
    halves = [step_noise(jnp.asarray(3), jnp.asarray(k), 2, 2, 5, seed=1) for k in (0, 2)]
    np.testing.assert_array_equal(whole, jnp.concatenate(halves))
    other = step_noise(jnp.asarray(4), jnp.asarray(0), 4, 2, 5, seed=1)
    assert whole.shape == (8, 5) and (whole != other).all()
    assert len(np.unique(np.asarray(whole))) == whole.size


KINDS = {
    "bernoulli-gamma": ({"heads": {"pr": "bernoulli-gamma"}, "target_regression": 3}, {}),
    "bernoulli-egp": ({"heads": {"pr": "bernoulli-egp", "tas": "censored-normal"}}, {}),
    "truncated-normal": ({"heads": {"pr": "truncated-normal"}, "messages": "mlp"}, {}),
    "crps": (
        {"noise": 3, "target_embedding": 2, "messages": "mlp"},
        {"losses": {"pr": "crps", "tas": "crps"}, "members": 3, "multiscale_km": [120.0]},
    ),
    "gamma-weighted": (
        {"transforms": {"tas": "cube-root"}, "target_regression": 3, "messages": "attention"},
        {"losses": {"pr": "gamma-weighted", "tas": "mae"}},
    ),
    "censored": ({"transforms": {"pr": "cube-root"}}, {"losses": {"pr": "censored"}}),
}


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_trainings_learn_and_leave_an_emulator(kind, data, tmp_path):
    model, training = KINDS[kind]
    experiment = make_experiment(tmp_path / "run", data, model, **training)
    train(experiment, data)
    table = pd.read_csv(tmp_path / "run" / "metrics.csv")
    assert table["loss"].iloc[1:].min() < table["loss"].iloc[0]
    assert table["validation_score"].min() <= table["validation_score"].iloc[0]
    members = bool(model.get("heads") or model.get("noise"))
    assert ("crps_pr" if members else "rmse_pr") in table.columns
    emulator, coarse = load(tmp_path / "run"), source(COARSE).isel(time=slice(3))
    made = emulator.downscale(coarse, members=2 if members else 0)
    assert np.isfinite(made["pr"]).all() and float(made["pr"].min()) >= 0
    assert made["pr"].shape[-2:] == FINE.shape


WRONG = {
    "head of no target": ({"heads": {"psl": "bernoulli-gamma"}}, {}, "no target"),
    "rain of heat": ({"heads": {"tas": "bernoulli-gamma"}}, {}, "never negative"),
    "positive heat": ({"heads": {"tas": "truncated-normal"}}, {}, "never negative"),
    "weights of heat": ({}, {"losses": {"tas": "gamma-weighted"}}, "never negative"),
    "limit of heat": ({}, {"losses": {"tas": "censored"}}, "never negative"),
    "two spaces": (
        {"transforms": {"pr": "log1p"}},
        {"losses": {"pr": "gamma-weighted"}},
        "'model.transforms'",
    ),
    "two losses": ({"heads": {"pr": "bernoulli-gamma"}}, {"losses": {"pr": "mae"}}, "likelihood"),
    "noise alone": ({"noise": 4}, {}, "belong together"),
    "score alone": ({}, {"losses": {"pr": "crps"}}, "belong together"),
    "one member": ({"noise": 4}, {"losses": {"pr": "crps"}, "members": 1}, "2 or more"),
    "scales alone": ({}, {"multiscale_km": [100.0]}, "'training.multiscale_km'"),
    "less than no noise": ({"noise": -1}, {}, "'model.noise' is -1, but must lie between 0 and"),
    "nothing to calibrate": ({}, {"fits": {"calibrate": True}}, "'members.calibrate'"),
    "no members": ({}, {"fits": {"fit_dependence": True}}, "'members.fit_dependence'"),
    "unknown loss": ({}, {"losses": {"pr": "rmse"}}, "'training.losses.pr'"),
}


@pytest.mark.parametrize("case", WRONG)
def test_what_does_not_go_together_is_refused_in_one_sentence(case, data):
    model, training, part = WRONG[case]
    with pytest.raises(ExperimentError, match=part) as caught:
        make_experiment("unused", data, model, **training)
    assert "\n" not in str(caught.value)
