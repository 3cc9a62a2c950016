"""The convolutional baselines: boxes, inputs, likelihood, sizes, training."""

import jax
import numpy as np
import pytest
import scipy.stats
import xarray as xr
from flax import nnx

from graphdown.baselines import (
    NETWORKS,
    DeepESD,
    ErrorPredictingCNN,
    NetworkTraining,
    UNet,
    make_baselines,
)
from graphdown.baselines.networks.box import box_around
from graphdown.baselines.networks.box_maps import MapReader, Maps
from graphdown.baselines.networks.error_predicting import difference_loss
from graphdown.baselines.networks.fit import BoxSamples, run_network, squared_error, train_network
from graphdown.baselines.networks.inputs import ByDay, ByPoint, Inputs
from graphdown.baselines.networks.unet import UNetNetwork, interpolation, lattice_size
from graphdown.model.distributions import expectation, negative_log_likelihood
from meshes import EARTH_RADIUS_KM, Grid

from ..conftest import block_means, dataset, rmse

pytestmark = pytest.mark.usefixtures("compiled_in_haste")

SHORT = NetworkTraining(steps=120, batch_size=32, learning_rate=3e-3, validate_every=40)
TRAIN, LATER = slice(0, 180), slice(180, None)


def fitted(method, coarse, fine, days=TRAIN):
    later = coarse.isel(time=LATER), fine.isel(time=LATER)
    return method.fit([(coarse.isel(time=days), fine)], validation=[later])


@pytest.mark.parametrize("lat", [0.0, 46.0, 89.0])
def test_a_box_covers_its_target_with_even_cells(lat):
    lon0 = 179.0  # across the date line
    rows = np.arange(-4, 5) * 0.4
    target = Grid.rotated(lon0 + 180.0, 90.0 - lat, rows, rows[:6])
    box = box_around(target, 150.0, margin_cells=1)
    points = box.grid.xyz.reshape(*box.shape, 3)
    for axis in (0, 1):
        steps = np.linalg.norm(np.diff(points, axis=axis), axis=-1) * EARTH_RADIUS_KM
        np.testing.assert_allclose(steps, 150.0, rtol=0.02)
    # Rows and columns run as those of the target, and reach one cell beyond it.
    fine = target.xyz.reshape(*target.shape, 3)
    for mine, theirs in (
        (points[-1, 0] - points[0, 0], fine[-1, 0] - fine[0, 0]),
        (points[0, -1] - points[0, 0], fine[0, -1] - fine[0, 0]),
    ):
        assert mine @ theirs > 0.99 * np.linalg.norm(mine) * np.linalg.norm(theirs)
        margin = np.linalg.norm(mine) - np.linalg.norm(theirs)
        assert 2 * 150.0 <= margin * EARTH_RADIUS_KM * 1.01 <= 3.1 * 150.0


def test_maps_hold_a_linear_field_on_any_grid_and_the_series_without_place(time):
    box = box_around(Grid.regular(0.5, 0.5, (0.0, 40.0, 6.0, 46.0)), 100.0)
    for spacing in (0.8, 1.7):
        source = Grid.regular(spacing, spacing, (-8.0, 32.0, 14.0, 54.0))
        coarse = dataset(source, time[:3], tas=np.tile(280 + source.lat, (3, 1)))
        coarse["co2"] = ("time", np.array([1.0, 2.0, 3.0]))
        maps = MapReader(coarse, box.grid, box.shape, logarithm=False)(coarse)
        assert maps.fields.shape == (3, *box.shape, 1)
        expected = 280 + box.grid.lat.reshape(box.shape)
        np.testing.assert_allclose(maps.fields[1, ..., 0], expected, atol=0.02)
        np.testing.assert_array_equal(maps.forcings[:, 2], [1.0, 2.0, 3.0])
        assert maps.complete.all()


def test_inputs_are_standardised_by_point_or_by_day():
    rng = np.random.default_rng(0)
    parts = [Maps(rng.normal(5, 3, (n, 4, 4, 2)), rng.normal(2, 4, (n, 3))) for n in (30, 50)]
    made = [ByPoint.of(parts)(part) for part in parts]
    whole = Inputs(*(np.concatenate(column) for column in zip(*made, strict=True)))
    for values in whole:
        np.testing.assert_allclose(values.mean(axis=0), 0, atol=1e-6)
        np.testing.assert_allclose(values.std(axis=0), 1, rtol=1e-5)
    parts[0].fields[3, ..., 1] = 7.0  # a day without a pattern
    daily = ByDay.of(parts)(parts[0])
    assert (daily.maps[3, ..., 1] == 0).all()
    np.testing.assert_allclose(np.delete(daily.maps, 3, axis=0).mean(axis=(1, 2)), 0, atol=1e-6)
    np.testing.assert_allclose(np.delete(daily.maps, 3, axis=0).std(axis=(1, 2)), 1, rtol=1e-5)
    raw = np.concatenate([part.fields for part in parts])
    mean = raw.mean(axis=(1, 2))
    expected = (mean - mean.mean(axis=0)) / mean.std(axis=0)
    np.testing.assert_allclose(daily.vector[:, :2], expected[:30], atol=1e-5)
    assert daily.vector.shape == (30, 2 + 2 + 3)


def test_the_likelihood_of_precipitation_is_that_of_scipy():
    rng = np.random.default_rng(1)
    parameters = rng.normal(0, 1, (200, 3)).astype(np.float32)
    amount = np.where(rng.random(200) < 0.4, 0.05, rng.gamma(1.0, 6.0, 200) + 0.1)
    p, k, s = 1 / (1 + np.exp(-parameters[:, 0])), *np.exp(parameters[:, 1:]).T
    wet = amount >= 0.1
    expected = np.where(wet, np.log(p) + scipy.stats.gamma.logpdf(amount, k, scale=s), np.log1p(-p))
    found = negative_log_likelihood(parameters, amount.astype(np.float32))
    np.testing.assert_allclose(found, -expected, rtol=2e-4, atol=1e-4)
    mean = p * scipy.stats.gamma.mean(k, scale=s)
    np.testing.assert_allclose(expectation(parameters), mean, rtol=1e-4)


def weights(network, size, predictors, vector):
    """Shapes of outputs and weights, without computing anything."""

    def run():
        made = network()
        maps = np.zeros((2, size, size, predictors), np.float32)
        return made(maps, np.zeros((2, vector), np.float32)), nnx.state(made, nnx.Param)

    outputs, state = jax.eval_shape(run)
    return outputs.shape, sum(leaf.size for leaf in jax.tree.leaves(state))


def test_the_unet_has_the_25_million_parameters_of_its_paper():
    ratio = np.array([1.0, 1.0])
    # 20 variables: their means and spreads and the season make the vector.
    shape, count = weights(
        lambda: UNetNetwork(16, (64, 64), 20, 43, 64, ratio, rngs=nnx.Rngs(0)), 16, 20, 43
    )
    assert shape == (2, 64 * 64, 1)
    assert count == pytest.approx(25e6, rel=0.03)
    # Any size will do.
    shape, _ = weights(lambda: UNetNetwork(8, (19, 29), 2, 6, 4, ratio, rngs=nnx.Rngs(0)), 8, 2, 6)
    assert shape == (2, 19 * 29, 1)
    assert [lattice_size(s) for s in ((19, 29), (32, 5), (33, 2))] == [32, 32, 64]


def test_skips_are_read_where_the_expanding_maps_lie():
    x = np.arange(8) - 3.5
    np.testing.assert_allclose(interpolation(8, 1.0), np.eye(8))
    np.testing.assert_allclose(interpolation(8, 2.0) @ x, x / 2, atol=1e-6)
    np.testing.assert_allclose(interpolation(8, 0.5) @ x, np.clip(2 * x, -3.5, 3.5))


@pytest.mark.slow
def test_deepesd_learns_from_the_days_and_the_cells_that_there_are(coarse, fine):
    gappy = fine.copy(deep=True)
    gappy["tas"][:, 4, 4], gappy["tas"][20:60, 2] = np.nan, np.nan
    holes = coarse.copy(deep=True)
    holes["pr"][11, 1, 1], holes["tas"][200] = np.nan, np.nan
    made = fitted(DeepESD(SHORT), holes, gappy).predict(holes)
    for name in ("tas", "pr"):
        lost = np.isnan(made[name])
        assert lost[[11, 200]].all()
        elsewhere = lost.drop_isel(time=[11, 200])
        assert elsewhere[:, 4, 4].all() == (name == "tas")
        assert int(elsewhere.sum()) == (238 if name == "tas" else 0)
    later = fine.isel(time=LATER)
    spread = float(later["tas"].std("time").mean())
    assert rmse(made.isel(time=LATER), later, "tas") < 0.6 * spread
    assert rmse(made.isel(time=LATER), later, "pr") < 0.8 * float(later["pr"].std())
    assert float(made["pr"].mean()) == pytest.approx(float(fine["pr"].mean()), rel=0.3)


def test_a_network_learns_from_many_grids_and_is_given_by_its_seed(coarse, fine):
    days = fine[["tas"]].isel(time=TRAIN)
    pairs = [(block_means(days, n), days) for n in (2, 3, 4)]
    quick = NetworkTraining(steps=60, batch_size=16, learning_rate=3e-3)
    first = DeepESD(quick, spacing_km=150.0).fit(pairs).predict(coarse)
    again = DeepESD(quick, spacing_km=150.0).fit(pairs).predict(coarse)
    xr.testing.assert_identical(first, again)
    other = DeepESD(quick, seed=1, spacing_km=150.0).fit(pairs).predict(coarse)
    assert 0.01 < rmse(other, first, "tas") < 1.0
    later = fine.isel(time=LATER)
    assert rmse(first.isel(time=LATER), later, "tas") < float(later["tas"].std("time").mean())


def test_the_weights_of_the_best_validation_are_kept():
    rng = np.random.default_rng(2)
    inputs = Inputs(rng.normal(size=(64, 1, 1, 3)), rng.normal(size=(64, 1)))
    inputs = Inputs(*(part.astype(np.float32) for part in inputs))
    truth = inputs.maps[:, 0, 0, :1].copy()

    class Line(nnx.Module):
        def __init__(self):
            self.linear = nnx.Linear(3, 1, rngs=nnx.Rngs(0))

        def __call__(self, maps, vector):
            return self.linear(maps[:, 0])

    learned, judged = (
        BoxSamples(inputs, truth),
        BoxSamples(inputs, -truth),
    )  # every step makes it worse
    training = NetworkTraining(100, 32, 3e-2, validate_every=10, patience=3)
    kept = train_network(Line(), squared_error, [learned], [judged], training, 0)
    trained = train_network(Line(), squared_error, [learned], [learned], training, 0)

    def error(network):
        return float(np.mean((run_network(network, inputs)[..., 0] - truth) ** 2))

    assert error(trained) < 0.05 < error(kept)
    bad = BoxSamples(Inputs(inputs.maps * np.nan, inputs.vector), truth)
    with pytest.raises(ValueError, match="not finite; lower the learning rate"):
        train_network(Line(), squared_error, [bad], [bad], training, 0)
    with pytest.raises(ValueError, match="No validation day has a value"):
        train_network(
            Line(), squared_error, [learned], [BoxSamples(inputs, truth * np.nan)], training, 0
        )


def test_the_loss_of_differences_leaves_out_what_is_missing():
    truth = np.array([[0.0, 1.0, 3.0, np.nan]], np.float32)
    made = np.array([[1.0, 1.0, 1.0, 9.0]], np.float32)[..., None]
    # values: 1, 0, 4 of three; columns: 0 -> 1 against 0 of one; rows: 0 -> 3 against 0 of one
    assert float(difference_loss((2, 2))(made, truth)) == pytest.approx(5 / 3 + 1 + 9)


def test_networks_refuse_what_they_cannot_do(coarse, fine):
    points = Grid.from_dataset(fine).select(np.arange(30))
    names = {n: Grid.from_dataset(fine).values(fine[n])[:, :30] for n in ("tas", "pr")}
    scattered = dataset(points, fine.indexes["time"], **names)
    for method in (UNet(), ErrorPredictingCNN()):
        with pytest.raises(
            ValueError, match="rows and columns, which the target lacks, being unst"
        ):
            method.fit([(coarse, scattered)])
    with pytest.raises(ValueError, match="corrects the interpolated variable itself, but .* 'pr'"):
        ErrorPredictingCNN(SHORT).fit([(coarse[["tas"]], fine[["pr"]])])
    with pytest.raises(ValueError, match="4 common days are too few .* early stopping"):
        DeepESD().fit([(coarse.isel(time=slice(4)), fine)])
    large = DeepESD(spacing_km=1.0)
    with pytest.raises(
        ValueError, match=r"for 'tas' would have [\d,]+ million weights, [\d,]+ GiB"
    ):
        large.fit([(coarse, fine)])


@pytest.fixture(scope="session")
def waves(fine_grid, time):
    """Weather of two waves, which a U-Net learns in fewer steps than the patterns of `fine`."""
    rng = np.random.default_rng(0)
    east, north, phase = rng.normal(size=(2, 1)), rng.normal(size=(2, 1)), rng.uniform(0, 6, (2, 1))
    pattern = np.sqrt(2) * np.sin(east * fine_grid.lon + north * fine_grid.lat + phase)
    weather = rng.normal(size=(len(time), 2)) @ pattern
    noise = rng.normal(0, 0.3, (2, *weather.shape))
    tas = 285 + np.linspace(0, 4, fine_grid.size) + weather + noise[0]
    return dataset(
        fine_grid, time, tas=tas, pr=np.maximum(np.exp(0.5 * weather + noise[1]) - 0.5, 0)
    )


@pytest.mark.slow
@pytest.mark.parametrize(
    ("method", "truth", "steps", "rate"),
    [(UNet, "waves", 120, 5e-3), (ErrorPredictingCNN, "fine", 160, 8e-3)],
)
def test_the_u_nets_learn(method, truth, steps, rate, statics, request):
    fine = request.getfixturevalue(truth)
    coarse = block_means(fine, 3)
    training = NetworkTraining(steps, batch_size=16, learning_rate=rate, validate_every=steps // 4)
    baseline = method(training, filters=4)
    later = coarse.isel(time=LATER), fine.isel(time=LATER)
    baseline.fit([(coarse.isel(time=TRAIN), fine)], statics, validation=[later])
    made = baseline.predict(later[0])
    assert rmse(made, later[1], "tas") < 0.7 * float(later[1]["tas"].std("time").mean())
    assert rmse(made, later[1], "pr") < 0.8 * float(later[1]["pr"].std())
    assert np.isfinite(baseline.predict(block_means(later[1], 2))["tas"]).all()


def test_the_number_of_steps_is_set_for_networks_alone():
    *networks, bilinear = make_baselines([*NETWORKS, "bilinear"], steps=7)
    assert [method._training.steps for method in networks] == [7, 7, 7]
    assert not hasattr(bilinear, "_training")
