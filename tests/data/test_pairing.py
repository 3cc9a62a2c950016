import numpy as np
import pytest
import xarray as xr

from graphdown.data.pairing import pair, select_period, with_times_of
from graphdown.errors import DataError


def days(start, periods, calendar="standard", freq="D"):
    time = xr.date_range(
        start, periods=periods, freq=freq, calendar=calendar, use_cftime=calendar != "standard"
    )
    return xr.Dataset({"tas": ("time", np.arange(float(periods)))}, {"time": time})


def test_days_meet_whatever_the_hour_and_the_calendar():
    fine = days("2000-02-26T12", 6)
    coarse = days("2000-02-27", 6, "noleap")
    left, right = pair(coarse, fine)
    np.testing.assert_array_equal(left.tas, [0, 1, 2, 3])  # 29 February is left out
    np.testing.assert_array_equal(right.tas, [1, 2, 4, 5])


def test_paired_fine_days_take_the_stamps_of_the_coarse_ones():
    coarse, fine = pair(days("2000-02-27", 3, "noleap"), days("2000-02-26T12", 6))
    stamped = with_times_of(coarse, fine)
    assert stamped.indexes["time"].equals(coarse.indexes["time"])
    np.testing.assert_array_equal(stamped.tas, fine.tas)


def test_no_common_day_and_several_times_a_day_are_refused():
    with pytest.raises(DataError, match="no day in common; choose files of the same period"):
        pair(days("2000-01-01", 3), days("2001-01-01", 3))
    with pytest.raises(DataError, match="The source has 4 times on 2000-01-01; give daily"):
        pair(days("2000-01-01", 8, freq="6h"), days("2000-01-01", 3))


@pytest.mark.parametrize("calendar", ["standard", "noleap"])
def test_a_period_includes_both_ends_and_must_lie_in_the_data(calendar):
    ds = days("2000-01-01", 100, calendar)
    assert select_period(ds, ("2000-01", "2000-02-02"), "p").sizes["time"] == 33
    with pytest.raises(DataError, match="run from 2000-01-01 to 2000-04-[0-9]+; choose a period"):
        select_period(ds, ("2010", "2011"), "'periods.test'")
