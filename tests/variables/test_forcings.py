"""Forcings: the season is the share of the calendar's own year."""

import numpy as np
import pytest
import xarray as xr

from graphdown.variables.forcings import forcings


@pytest.mark.parametrize("calendar", ["standard", "noleap", "360_day", "all_leap", "julian"])
def test_the_season_ends_with_the_year(calendar):
    """The last day of the year is one step before the first, and all seasons are a quarter on."""
    time = xr.date_range("2001-01-01", "2002-01-01", calendar=calendar, use_cftime=True)
    season = forcings(xr.DataArray(time, dims="time"))
    angle = np.unwrap(np.arctan2(season[:, 0], season[:, 1]).astype(float))
    step = 2 * np.pi / (len(time) - 1)
    np.testing.assert_allclose(angle[:-1], step * np.arange(len(time) - 1), atol=0.005)


def test_a_calendar_of_360_days_does_not_lag():
    dates = {
        c: xr.date_range("2001-12-16", periods=1, calendar=c, use_cftime=True)
        for c in ("standard", "360_day")
    }
    a, b = (forcings(xr.DataArray(t, dims="time"))[0] for t in dates.values())
    assert np.degrees(np.arccos(np.clip(a @ b, -1, 1))) < 1.5  # five days are 4.9
