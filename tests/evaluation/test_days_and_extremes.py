import numpy as np
import pandas as pd
import pytest
import xarray as xr

from graphdown.evaluation import precipitation, temperature
from graphdown.evaluation.days import Days


def winters(first: int, last: int) -> pd.DatetimeIndex:
    time = pd.date_range(f"{first}-01-01", f"{last}-12-31")
    return time[time.month.isin([12, 1, 2])]


def test_all_months_are_split_at_new_year():
    days = Days.from_index(pd.date_range("2001-01-01", "2003-12-31"))
    assert days.years == 3
    assert (days.year == np.repeat([0, 1, 2], 365)).all()


def test_winters_stay_whole_and_cut_ones_are_left_out():
    time = winters(1999, 2002)
    days = Days.from_index(time)
    used = days.year >= 0
    assert days.years == 4
    # January and February 1999 are most of a winter; December 2002 alone is not.
    assert used[time < "2002-12-01"].all()
    assert not used[time >= "2002-12-01"].any()
    assert len({*days.year[(time >= "1999-12-01") & (time < "2000-03-01")]}) == 1


def test_consecutive_days_stop_at_a_gap_and_work_in_other_calendars():
    days = Days.from_index(pd.DatetimeIndex(["2001-02-27", "2001-02-28", "2001-12-01"]))
    assert days.consecutive.tolist() == [False, True, False]
    index = xr.date_range("2001-02-28", periods=4, calendar="360_day", use_cftime=True)
    days = Days.from_index(index.to_index() if hasattr(index, "to_index") else index)
    assert days.consecutive.tolist() == [False, True, True, True]
    assert days.month.tolist() == [2, 2, 2, 3]


def test_temperature_extremes_match_xarray(truth, grid):
    tas = truth["tas"].astype(float)
    x, days = grid.values(tas), Days.from_index(truth.indexes["time"])
    yearly = tas.groupby("time.year")
    assert np.allclose(temperature.annual_maximum(x, days), grid.values(yearly.max().mean("year")))
    assert np.allclose(temperature.annual_minimum(x, days), grid.values(yearly.min().mean("year")))
    su = (tas > 298.15).groupby("time.year").sum().mean("year")
    assert np.allclose(temperature.days_above(x, days), grid.values(su))


def test_precipitation_indices_by_hand():
    time = pd.date_range("2001-01-01", periods=10)
    pr = np.array([0, 0.05, 0.5, 1, 3, np.nan, 2, 0, 0, 5.0])[:, None]
    own = precipitation.indices(pr, Days.from_index(time))
    assert own["r01"] == pytest.approx([100 * 4 / 9])
    assert own["dry_days"] == pytest.approx([100 * 4 / 9])
    assert own["sdii"] == pytest.approx([11 / 4])
    assert own["rx1day"] == pytest.approx([5])
    assert own["cdd"] == pytest.approx([3])
    assert own["cwd"] == pytest.approx([2])


def test_spells_end_with_the_year_and_match_a_loop(truth, grid):
    x, days = grid.values(truth["pr"]), Days.from_index(truth.indexes["time"])
    wet = x >= 1
    own = precipitation.longest_spell(wet, x, days)
    for cell in (0, 17, 41):
        lengths = []
        for year in range(3):
            text = "".join("w" if w else "d" for w in wet[days.year == year, cell])
            lengths.append(max(len(run) for run in text.split("d")))
        assert own[cell] == np.mean(lengths)


def test_a_cell_without_values_stays_missing():
    days = Days.from_index(pd.date_range("2001-01-01", periods=5))
    nothing = np.full((5, 2), np.nan)
    for index in precipitation.indices(nothing, days).values():
        assert np.isnan(index).all()
    assert np.isnan(temperature.days_above(nothing, days)).all()
    assert np.isnan(temperature.annual_maximum(nothing, days)).all()
