import numpy as np
import pandas as pd
import pytest
import xarray as xr
from scipy.stats import wasserstein_distance

from graphdown.evaluation.bootstrap import (
    DRAWN,
    MOST_CELLS,
    Blocks,
    bootstrap,
    interval,
    wasserstein1,
)
from meshes.grids.grid import Grid

from .conftest import daily, fields

GRID = Grid.regular(1.0, 1.0, (0.0, 40.0, 3.0, 42.0))
TIME = pd.date_range("2001-01-01", "2001-05-20")
PAST = pd.date_range("1991-01-01", "1991-03-31")
DRAWS = 5


def sides(time, seed):
    made, true = (fields(GRID, len(time), s) for s in (seed, seed + 1))
    true["tas"][3:9, 2] = np.nan
    true["pr"][:, 4] = np.nan
    return daily(GRID, time, **made), daily(GRID, time, **true)


@pytest.fixture(scope="module")
def now():
    return sides(TIME, 1)


@pytest.fixture(scope="module")
def past():
    return sides(PAST, 5)


@pytest.fixture(scope="module")
def drawn(now, past):
    return bootstrap(*now, past, draws=DRAWS, seed=7)


def resampled(pair, seed, draw):
    """Values [T, N] of prediction and truth, by name, of drawn months laid end to end."""
    time = pair[0]["time"]
    blocks = Blocks.drawn(time.dt.year.values, time.dt.month.values, DRAWS, seed)
    days = np.concatenate(
        [
            np.tile(np.flatnonzero(blocks.of_day == b), int(n))
            for b, n in enumerate(blocks.times[draw])
        ]
    )
    both = {}
    for name in ("tas", "pr"):
        y, x = (GRID.values(side[name])[days] for side in pair)
        both[name] = np.where(np.isnan(x), np.nan, y), x
    return both


def weighted(values):
    known = np.isfinite(values)
    return np.average(values[known], weights=GRID.area[known])


@pytest.mark.parametrize("name", ["tas", "pr"])
@pytest.mark.filterwarnings("ignore:Mean of empty slice")
def test_each_draw_is_the_measure_of_its_months_laid_end_to_end(now, past, drawn, name):
    for draw in range(DRAWS):
        y, x = resampled(now, 7, draw)[name]
        yp, xp = resampled(past, 8, draw)[name]
        mean = np.nanmean(y - x, axis=0)
        distance = np.full(GRID.size, np.nan)
        for cell in range(GRID.size):
            known = np.isfinite(x[:, cell])
            if known.any():
                distance[cell] = wasserstein_distance(y[known, cell], x[known, cell])
        made, true, made_before, true_before = (np.nanmean(v, axis=0) for v in (y, x, yp, xp))
        change, wanted = made - made_before, true - true_before
        if name == "pr":
            change, wanted = 100 * change / made_before, 100 * wanted / true_before
        expected = {
            "rmse": weighted(np.sqrt(np.nanmean((y - x) ** 2, axis=0))),
            "bias": weighted(np.abs(mean)),
            "mean_bias": weighted(mean),
            "wasserstein1": weighted(distance),
            "signal_rmse": np.sqrt(weighted((change - wanted) ** 2)),
        }
        assert set(expected) == set(DRAWN) == set(drawn.data_vars)
        for measure, value in expected.items():
            found = float(drawn[measure].sel(variable=name)[draw])
            assert found == pytest.approx(value, rel=2e-4), measure


def test_blocks_are_months_or_from_ten_years_on_years():
    for years, count in ((9, 9 * 12), (10, 10)):
        time = pd.date_range("2001-01-01", periods=int(365.25 * years))
        blocks = Blocks.drawn(time.year.values, time.month.values, 3, 0)
        assert blocks.times.shape == (3, count)
        np.testing.assert_array_equal(blocks.times.sum(axis=1), count)


def test_the_same_seed_draws_the_same_days(now, drawn):
    again = bootstrap(*now, draws=DRAWS, seed=7)
    xr.testing.assert_equal(again, drawn.drop_vars("signal_rmse"))
    assert not again.equals(bootstrap(*now, draws=DRAWS, seed=8))
    perfect = bootstrap(now[1], now[1], draws=DRAWS)
    assert all(abs(perfect[name]).max() < 1e-6 for name in perfect)


def test_many_cells_are_thinned_for_the_distance_of_distributions_alone():
    grid, time = Grid.regular(0.1, 0.1, (0.0, 40.0, 3.0, 42.0)), TIME[:60]
    assert grid.size > 2 * MOST_CELLS
    made, true = (daily(grid, time, **fields(grid, 60, s)) for s in (1, 2))
    found = bootstrap(made, true, draws=DRAWS).sel(variable="tas")
    y, x = (grid.values(side["tas"]) for side in (made, true))
    blocks = Blocks.drawn(time.year.values, time.month.values, DRAWS, 0)
    every = wasserstein1(y, x, blocks) @ grid.area / grid.area.sum()
    np.testing.assert_allclose(found["wasserstein1"], every, rtol=0.1)
    squares = blocks.sums((y - x) ** 2) / blocks.sums(np.ones_like(x))
    rmse = np.sqrt(squares) @ grid.area / grid.area.sum()
    np.testing.assert_allclose(found["rmse"], rmse, rtol=1e-5)


def test_an_interval_is_that_of_the_moved_draws():
    draws = np.arange(101.0)
    assert interval(10.0, draws, level=0.9) == pytest.approx((10 - 45, 10 + 45))
    assert interval(2.0, np.full(5, 7.0)) == (2.0, 2.0)


def test_the_interval_holds_the_true_mean_about_as_often_as_it_says():
    rng = np.random.default_rng(3)
    month = np.repeat(np.arange(1, 37), 30)
    hits = 0
    for _ in range(100):
        # Days of one month share an error: days alone would promise far too much.
        error = (rng.normal(size=36)[month - 1] + rng.normal(size=len(month)))[:, None]
        blocks = Blocks.drawn(np.full(len(month), 2001), month, 200, 0)
        means = blocks.sums(error) / blocks.sums(np.ones_like(error))
        low, high = interval(error.mean(), means[:, 0])
        hits += low < 0 < high
    assert 88 <= hits <= 99


def test_days_of_one_side_alone_and_other_calendars(now):
    made, true = now
    part = bootstrap(made.isel(time=slice(10, 90)), true.isel(time=slice(30, None)), draws=DRAWS)
    days = slice(30, 90)
    xr.testing.assert_equal(
        part, bootstrap(made.isel(time=days), true.isel(time=days), draws=DRAWS)
    )
    other = [side.isel(time=days).convert_calendar("noleap", use_cftime=True) for side in now]
    xr.testing.assert_equal(bootstrap(*other, draws=DRAWS), part)
