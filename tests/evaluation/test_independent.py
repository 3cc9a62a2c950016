"""Every measure of the protocol equals one computed independently, with missing values too."""

import warnings

import numpy as np
import pytest
import xarray as xr

from graphdown.evaluation import MEASURES, evaluate, evaluate_ensemble
from graphdown.evaluation.ensemble import crps_map, energy_score, rank_histogram, spread_skill
from graphdown.evaluation.fractions import fractions_skill_score
from meshes.grids.grid import Grid

from . import plain
from .conftest import daily


def with_gaps(y, x, whole_days):
    """Gaps of each side's own: only in the first two years, or everywhere and one cell for good."""
    rng = np.random.default_rng(7)
    made = [
        ds.map(lambda da: da.where(rng.random(da.shape) > 0.2), keep_attrs=True) for ds in (y, x)
    ]
    if whole_days:
        late = xr.DataArray(np.arange(x.sizes["time"]) >= 730, dims="time")
        return [old.where(late, new) for old, new in zip((y, x), made, strict=True)]
    sea = (x.lat == x.lat[0]) & (x.lon == x.lon[0])
    return [side.map(lambda da: da.where(~sea), keep_attrs=True) for side in made]


def as_plain(sides, name, grid, gaps):
    y, x = (grid.values(ds[name].transpose("time", ...)).astype(float) for ds in sides)
    missing = np.isnan(y) | np.isnan(x)
    y, x = (np.where(missing, np.nan, v) for v in (y, x))
    time = sides[1].time.dt
    return plain.Plain(y, x, grid.area, time.year.values, time.month.values, grid.shape, gaps)


@pytest.mark.parametrize("gaps", ["none", "some days", "everywhere"])
def test_every_measure_equals_plain_numpy_and_scipy(gaps, prediction, truth, grid):
    before = [prediction, truth]
    now = [prediction.map(lambda da: 1.01 * da, keep_attrs=True), truth]
    slope = xr.DataArray(np.linspace(1.0, 1.02, truth.sizes["lat"]), dims="lat")
    now[1] = truth.map(lambda da: da * slope.astype("float32"), keep_attrs=True)
    if gaps != "none":
        before, now = (with_gaps(*pair, gaps == "some days") for pair in (before, now))
    scores = evaluate(*now, reference=tuple(before))
    checked = set()
    for name in ("tas", "pr"):
        p, rain, past = (
            as_plain(sides, v, grid, gaps != "none")
            for sides, v in ((now, name), (now, "pr"), (before, name))
        )
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", RuntimeWarning)  # numpy's of cells without values
            expected = plain.every_measure(p, name, rain, past)
        for measure, value in expected.items():
            own = float(scores[measure].sel(variable=name))
            assert own == pytest.approx(value, rel=1e-4, abs=2e-5, nan_ok=True), (name, measure)
            assert np.isfinite(own) or (measure == "ralsd" and gaps == "everywhere")
        checked |= set(expected)
    # One is of series that are not daily; the other is checked in test_compared.py.
    assert checked == set(MEASURES) - {"diurnal_cycle_rmse", "lacking"}


def test_fractions_equal_the_scores_package():
    from scores.spatial import fss_2d

    rng = np.random.default_rng(0)
    x = rng.gamma(0.5, 8, (30, 12, 15))
    y = np.where(rng.random(x.shape) < 0.5, x, rng.gamma(0.5, 8, x.shape))
    for window in (1, 3, 5):
        fields = (xr.DataArray(v, dims=("time", "y", "x")) for v in (y, x))
        expected = fss_2d(
            *fields,
            event_threshold=5.0,
            window_size=(window, window),
            spatial_dims=("y", "x"),
            threshold_operator=np.greater_equal,
        )
        assert fractions_skill_score(y, x, 5.0, window) == pytest.approx(float(expected))
    assert np.isnan(fractions_skill_score(y, x, 1e9))
    assert np.isnan(fractions_skill_score(y, x, 5.0, 13))


def test_fractions_by_hand_with_a_missing_cell():
    x = np.array([[[9.0, 0.0, np.nan]] * 2])
    y = np.array([[[0.0, 9.0, np.nan]] * 2])
    # Squares of 2 x 2: the truth has 1/2 and 0, the prediction 1/2 and 2 of the 2 that are there.
    assert fractions_skill_score(y, x, 5.0, 2) == pytest.approx(1 - 1 / (0.25 + 0.25 + 1))


@pytest.fixture(scope="module")
def members():
    """Six members [M, T, N] and the truth, rainy: many equal values; one value is missing."""
    rng = np.random.default_rng(4)
    made = np.maximum(rng.normal(size=(7, 50, 6)), 0.0)
    made[:, 3, 2] = np.nan
    return made[:6], made[6]


def test_crps_and_ranks_equal_the_scores_package_and_all_pairs(members):
    from scores.probability import crps_for_ensemble

    x, y = members
    forecast, truth = xr.DataArray(x, dims=("member", "t", "n")), xr.DataArray(y, dims=("t", "n"))
    expected = crps_for_ensemble(forecast, truth, "member", method="fair", preserve_dims=["n"])
    np.testing.assert_allclose(crps_map(x, y), expected)
    np.testing.assert_allclose(crps_map(x, y), plain.crps(x, y, np.nanmean))
    np.testing.assert_allclose(rank_histogram(x, y), plain.rank_histogram(x, y))
    assert rank_histogram(np.array([[[1.0]], [[3.0]]]), np.array([[1.0]])) == pytest.approx(
        [0.5, 0.5, 0.0]
    )
    assert np.isnan(rank_histogram(x, np.full_like(y, np.nan))).all()


def test_energy_score_and_spread_equal_loops(members):
    x, y = members
    area = np.array([1.0, 2.0, 1.0, 3.0, 1.0, 0.5])

    def distance(a, b):
        square, there = (a - b) ** 2, ~np.isnan(a - b)
        return np.sqrt(
            [np.average(q[k], weights=area[k]) for q, k in zip(square, there, strict=True)]
        )

    assert energy_score(x, y, area) == pytest.approx(plain.energy_score(x, y, distance))
    assert spread_skill(x, y, area) == pytest.approx(plain.spread_skill(x, y, area))


def test_members_that_the_truth_could_be_one_of_are_called_reliable():
    grid = Grid.regular(1.0, 1.0, (0.0, 40.0, 5.0, 44.0))
    time = xr.date_range("2001-01-01", periods=400)
    draws = 280 + np.random.default_rng(0).normal(size=(9, 400, grid.size))
    truth = daily(grid, time, tas=draws[0])
    ensemble = xr.concat([daily(grid, time, tas=d) for d in draws[1:]], "member")
    scores = evaluate_ensemble(ensemble, truth).isel(variable=0)
    assert float(scores.spread_skill) == pytest.approx(1, abs=0.03)
    np.testing.assert_allclose(scores.rank_histogram, 1 / 9, atol=0.015)
    # The fair CRPS of normal members is that of the normal distribution: 1 / sqrt(pi).
    assert float(scores.crps) == pytest.approx(1 / np.sqrt(np.pi), abs=0.02)
    gappy = ensemble.copy(deep=True)
    gappy.tas[2, 5:50, 1] = np.nan
    left_out = evaluate_ensemble(gappy, truth).isel(variable=0)
    assert float(left_out.crps) == pytest.approx(float(scores.crps), abs=0.02)
    assert np.isfinite(left_out.energy_score)
    with pytest.raises(ValueError, match="0 members"):
        evaluate_ensemble(truth, truth)
