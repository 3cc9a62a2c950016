"""Ridge regression against normal equations solved cell by cell."""

import numpy as np
import pytest
import xarray as xr

from graphdown.baselines import Ridge
from graphdown.statistics.least_squares import Design
from meshes import Grid

from .conftest import block_means, dataset, rmse

TRAIN, TEST = slice(0, 180), slice(180, None)


def columns(coarse, names=("tas", "pr"), logarithm=True):
    parts = []
    for name in names:
        values = coarse[name].values.astype(np.float64).reshape(coarse.sizes["time"], -1)
        parts.append(np.log1p(values) if logarithm and name == "pr" else values)
    return np.concatenate(parts, axis=1)


def solved(table, predictands, further, penalty):
    """Ridge by the normal equations of the standardised table."""
    mean, spread = table.mean(axis=0), table.std(axis=0)
    x, z = (table - mean) / spread, (further - mean) / spread
    centre = predictands.mean(axis=0)
    slopes = np.linalg.solve(x.T @ x + penalty * np.eye(x.shape[1]), x.T @ (predictands - centre))
    return centre + z @ slopes


def flat(ds, name):
    return ds[name].values.astype(np.float64).reshape(ds.sizes["time"], -1)


@pytest.mark.parametrize("days", [180, 20])  # more and fewer days than the 32 columns
def test_ridge_solves_the_normal_equations(coarse, fine, days):
    train = slice(0, days)
    ridge = Ridge([30.0]).fit([(coarse.isel(time=train), fine)])
    result = ridge.predict(coarse)
    for name in ("tas", "pr"):
        table = columns(coarse, logarithm=ridge.logarithm[name])
        expected = solved(table[train], flat(fine, name)[train], table, 30.0)
        expected = np.maximum(expected, 0) if name == "pr" else expected
        np.testing.assert_allclose(flat(result, name), expected, atol=2e-4)


def test_both_decompositions_give_the_same_coefficients():
    rng = np.random.default_rng(4)
    wide, y = rng.normal(size=(30, 31)), rng.normal(size=(30, 3))
    x = wide - wide.mean(axis=0)
    expected = np.linalg.solve(x.T @ x + 2.0 * np.eye(31), x.T @ (y - y.mean(axis=0)))
    slopes, constants = Design.of(wide).fit(y).coefficients(2.0)
    np.testing.assert_allclose(slopes, expected, atol=1e-10)
    np.testing.assert_allclose(constants, y.mean(axis=0) - wide.mean(axis=0) @ expected)
    narrow = wide[:, :5]
    x = narrow - narrow.mean(axis=0)
    expected = np.linalg.solve(x.T @ x + 2.0 * np.eye(5), x.T @ (y - y.mean(axis=0)))
    np.testing.assert_allclose(Design.of(narrow).fit(y).coefficients(2.0)[0], expected, atol=1e-10)


def test_precipitation_enters_in_the_form_that_does_better_on_the_validation_pair(coarse, fine):
    pair = coarse.isel(time=TEST), fine.isel(time=TEST)
    ridge = Ridge([30.0]).fit([(coarse.isel(time=TRAIN), fine)], validation=[pair])
    for name in ("tas", "pr"):
        truth = flat(pair[1], name)
        errors = {}
        for logarithm in (True, False):
            table = columns(coarse, logarithm=logarithm)
            made = solved(table[TRAIN], flat(fine, name)[TRAIN], table[TEST], 30.0)
            made = np.maximum(made, 0) if name == "pr" else made
            errors[logarithm] = np.mean((made - truth) ** 2)
        assert ridge.logarithm[name] == (errors[True] < errors[False])


def test_penalty_is_the_best_on_the_validation_pair_for_each_variable(coarse, fine):
    penalties = [0.1, 3.0, 100.0, 3000.0]
    noisy = fine.copy(deep=True)
    noisy["pr"] += np.random.default_rng(5).normal(0, 30, noisy["pr"].shape)
    train, pair = coarse.isel(time=slice(0, 60)), (coarse.isel(time=TEST), noisy.isel(time=TEST))
    chosen = Ridge(penalties).fit([(train, noisy)], validation=[pair])
    scores = {
        k: Ridge([k]).fit([(train, noisy)], validation=[pair]).predict(pair[0]) for k in penalties
    }
    for name in ("tas", "pr"):
        best = min(penalties, key=lambda k: rmse(scores[k], pair[1], name))
        assert chosen.penalty[name] == best
        np.testing.assert_array_equal(chosen.predict(pair[0])[name], scores[best][name])
    assert chosen.penalty["tas"] != chosen.penalty["pr"]


def test_without_validation_the_last_fifth_chooses_and_all_days_are_fitted(coarse, fine):
    penalties = [0.3, 10.0, 300.0]
    first, last = (
        (coarse.isel(time=t), fine.isel(time=t)) for t in (slice(0, 192), slice(192, 240))
    )
    chosen = Ridge(penalties).fit([(coarse, fine)])
    assert chosen.penalty == Ridge(penalties).fit([first], validation=[last]).penalty
    fixed = Ridge([chosen.penalty["tas"]]).fit([(coarse, fine)])
    assert fixed.logarithm["tas"] == chosen.logarithm["tas"]
    result = chosen.predict(coarse)["tas"]
    np.testing.assert_array_equal(result, fixed.predict(coarse)["tas"])


def test_ridge_beats_a_constant_on_further_days(coarse, fine):
    result = Ridge().fit([(coarse.isel(time=TRAIN), fine)]).predict(coarse.isel(time=TEST))
    truth = fine.isel(time=TEST)
    assert rmse(result, truth, "tas") < 0.4 * float(truth["tas"].std("time").mean())


def test_another_grid_is_interpolated_to_the_fitted_points(coarse, fine):
    ridge = Ridge([10.0]).fit([(coarse, fine)])
    expected = ridge.predict(coarse)
    # The fitted points among others, in another order: interpolation finds them exactly.
    grid = Grid.from_dataset(coarse)
    order = np.random.default_rng(6).permutation(grid.size)
    points = Grid.from_points(grid.lon[order], grid.lat[order])
    fields = {n: grid.values(coarse[n])[:, order] for n in ("tas", "pr")}
    result = ridge.predict(dataset(points, coarse.indexes["time"], **fields))
    xr.testing.assert_allclose(result, expected, atol=1e-3)
    other = ridge.predict(block_means(fine, 2))
    assert 0.01 < rmse(other, expected, "tas") < 1.5


def test_predictors_are_all_daily_fields_and_nothing_else(coarse, fine):
    grid, time = Grid.from_dataset(coarse), coarse.indexes["time"]
    rng = np.random.default_rng(7)
    more = coarse.assign(
        psl=dataset(grid, time, psl=rng.normal(1e5, 500, (len(time), grid.size)))["psl"]
    )
    extra = more.assign(
        orog=grid.dataarray(rng.uniform(0, 1000, grid.size)),
        time_bnds=(("time", "bnds"), rng.normal(size=(len(time), 2))),
        co2=("time", rng.normal(size=len(time))),
    )
    result = Ridge([5.0]).fit([(extra, fine)]).predict(extra)
    xr.testing.assert_identical(result, Ridge([5.0]).fit([(more, fine)]).predict(more))
    logarithm = Ridge([5.0]).fit([(more, fine)]).logarithm["tas"]
    table = columns(more, ("tas", "pr", "psl"), logarithm)
    expected = solved(table, flat(fine, "tas"), table, 5.0)
    np.testing.assert_allclose(flat(result, "tas"), expected, atol=2e-4)


def test_predictors_are_found_by_name_not_by_position(coarse, fine):
    ridge = Ridge([5.0]).fit([(coarse, fine)])
    xr.testing.assert_identical(ridge.predict(coarse[["pr", "tas"]]), ridge.predict(coarse))


def test_a_target_that_is_no_predictor_can_be_predicted(coarse, fine):
    result = Ridge([5.0]).fit([(coarse, fine.rename(tas="tasmax"))]).predict(coarse)
    np.testing.assert_array_equal(
        result["tasmax"], Ridge([5.0]).fit([(coarse, fine)]).predict(coarse)["tas"]
    )


def test_constant_predictors_change_nothing(coarse, fine):
    grid, time = Grid.from_dataset(coarse), coarse.indexes["time"]
    constant = dataset(grid, time, psl=np.full((len(time), grid.size), 101325.0))
    result = Ridge([5.0]).fit([(coarse.assign(psl=constant["psl"]), fine)])
    later = coarse.assign(psl=constant["psl"] + 300.0)
    xr.testing.assert_allclose(
        result.predict(later), Ridge([5.0]).fit([(coarse, fine)]).predict(coarse), atol=1e-4
    )


def test_cells_are_fitted_on_the_days_that_they_have(coarse, fine):
    gappy = fine.copy(deep=True)
    gappy["tas"][150:, 2, 3] = np.nan
    gappy["tas"][:, 4, 4] = np.nan
    result = Ridge([5.0]).fit([(coarse, gappy)]).predict(coarse)["tas"]
    whole = Ridge([5.0]).fit([(coarse, fine)]).predict(coarse)["tas"].values
    expected = whole.copy()
    expected[:, 4, 4] = np.nan
    table = columns(coarse)
    x = (table - table.mean(axis=0)) / table.std(axis=0)
    y = fine["tas"].values[:150, 2, 3].astype(np.float64)
    centred = x[:150] - x[:150].mean(axis=0)
    slopes = np.linalg.solve(centred.T @ centred + 5.0 * np.eye(32), centred.T @ (y - y.mean()))
    expected[:, 2, 3] = y.mean() + (x - x[:150].mean(axis=0)) @ slopes
    np.testing.assert_allclose(result.values, expected, atol=2e-4)


def test_missing_predictors_leave_days_out_of_the_fit_and_of_the_result(coarse, fine):
    gappy = coarse.copy(deep=True)
    gappy["pr"][11, 1, 1] = np.nan
    kept = np.delete(np.arange(coarse.sizes["time"]), 11)
    result = Ridge([5.0]).fit([(gappy, fine)]).predict(gappy)
    expected = Ridge([5.0]).fit([(coarse.isel(time=kept), fine)]).predict(coarse)
    assert np.isnan(result["tas"][11]).all()
    xr.testing.assert_allclose(result.isel(time=kept), expected.isel(time=kept), atol=1e-4)


def test_points_that_never_have_a_value_are_no_predictors(coarse, fine):
    hole = coarse.copy(deep=True)
    hole["tas"][:, 0, 0] = np.nan
    result = Ridge([5.0]).fit([(hole, fine)]).predict(hole)
    table = np.delete(columns(coarse), 0, axis=1)
    expected = solved(table, flat(fine, "tas"), table, 5.0)
    np.testing.assert_allclose(flat(result, "tas"), expected, atol=2e-4)


def test_bad_input_is_refused(coarse, fine):
    with pytest.raises(ValueError, match="penalties must be positive"):
        Ridge([1.0, 0.0])
    with pytest.raises(ValueError, match="4 common days are too few"):
        Ridge().fit([(coarse.isel(time=slice(4)), fine)])
    with pytest.raises(ValueError, match="predictor 'pr' is missing everywhere"):
        Ridge().fit([(coarse.assign(pr=coarse["pr"] * np.nan), fine)])
    unknown = fine.assign(tas=fine["tas"] * np.nan)
    with pytest.raises(ValueError, match="No penalty can be chosen for 'tas'"):
        Ridge().fit([(coarse, fine)], validation=[(coarse, unknown)])
    with pytest.raises(ValueError, match="'pr' is to be predicted, but the fine data lack it"):
        Ridge().fit([(coarse, fine)], validation=[(coarse, fine[["tas"]])])
