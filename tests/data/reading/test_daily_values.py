"""Daily values: of whole days only, weighted by what values cover; other steps are refused."""

from pathlib import Path

import numpy as np
import pytest
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st

from graphdown.data.reading.daily_values import check_daily
from graphdown.data.reading.fields import read_files
from graphdown.data.reading.file_request import Request
from graphdown.errors import DataError

from ..files import make

CASES = Path(__file__).parents[1] / "cases"


def read(path, *variables, **options):
    return read_files([str(path)], Request(variables, **options))


def test_a_day_with_all_hours_is_kept():
    ds, understood = read(CASES / "hours_2.nc", "tas", daily="mean")
    raw = xr.open_dataset(CASES / "hours_2.nc").tas.sel(time="2020-06-02")
    assert raw.sizes["time"] == 24
    assert [str(t)[:10] for t in ds.time.values] == ["2020-06-02"]
    np.testing.assert_allclose(ds.tas[0], raw.mean("time"), rtol=1e-6)
    assert "2 incomplete days left out" in str(understood.notes[0])


@settings(max_examples=25, deadline=None)
@given(
    st.integers(0, 10**6),
    st.sampled_from((1, 2, 3, 6, 12)),
    st.integers(0, 23),
    st.integers(30, 80),
    st.sampled_from(("standard", "noleap", "360_day")),
    st.sampled_from(("mean", "max", "min")),
)
def test_days_are_of_all_their_values_or_absent(
    tmp_path_factory, seed, step, first, count, calendar, method
):
    hours = first + step * np.arange(count)
    values = np.random.default_rng(seed).uniform(270, 300, (count, 5, 8)).astype(np.float32)
    ds = make(days=count, freq=f"{step}h", start=f"2001-02-27T{first:02d}", calendar=calendar)
    path = tmp_path_factory.mktemp("days") / "a.nc"
    ds.assign(tas=ds.tas.copy(data=values)).to_netcdf(path)
    days = [hours // 24 == day for day in range(int(hours[-1]) // 24 + 1)]
    whole = [values[day] for day in days if day.sum() == 24 // step]
    if not whole:
        with pytest.raises(DataError) as caught:
            read(path, "tas", daily=method)
        assert caught.value.rule == "days-incomplete"
        return
    ds, _ = read(path, "tas", daily=method)
    np.testing.assert_allclose(ds.tas, [getattr(day, method)(axis=0) for day in whole], rtol=1e-6)


def test_hourly_means_at_01_to_24_are_of_the_hours_before(tmp_path):
    ds = make(days=48, freq="h", start="2000-01-01T01")
    ds.tas.attrs["cell_methods"] = "time: mean"
    ds.to_netcdf(tmp_path / "a.nc")
    out, _ = read(tmp_path / "a.nc", "tas", daily="mean")
    expected = ds.tas.values.reshape(2, 24, 5, 8).mean(axis=1)
    np.testing.assert_allclose(out.tas, expected, rtol=1e-6)


def test_statistics_of_grib_in_netcdf_end_at_their_times(tmp_path):
    ds = make("pr", days=49, freq="h")
    ds.pr.attrs["GRIB_stepType"] = "avg"
    ds.to_netcdf(tmp_path / "a.nc")
    out, _ = read(tmp_path / "a.nc", "pr", daily="mean")
    expected = ds.pr.values[1:].reshape(2, 24, 5, 8).mean(axis=1) * 86400
    np.testing.assert_allclose(out.pr, expected, rtol=1e-5)


def test_a_day_with_a_missing_hour_at_a_place_is_missing_there(tmp_path):
    ds = make(days=8, freq="6h")
    ds.tas[1, 2, 3] = np.nan
    ds.to_netcdf(tmp_path / "a.nc")
    out, _ = read(tmp_path / "a.nc", "tas", daily="mean")
    assert np.isnan(out.tas[0, 2, 3]) and np.isfinite(out.tas).sum() == 79


def test_a_sum_of_rates_is_refused_and_of_amounts_is_their_rate(tmp_path):
    ds = make("pr", days=48, freq="h")
    ds.to_netcdf(tmp_path / "rate.nc")
    with pytest.raises(DataError, match="'daily: sum' would add up values of 'pr'") as caught:
        read(tmp_path / "rate.nc", "pr", daily="sum")
    assert caught.value.rule == "sum-of-rates"
    amounts = (ds.pr * 3600).assign_attrs(units="mm", cell_methods="time: sum")
    amounts.to_dataset().to_netcdf(tmp_path / "amount.nc")
    out, _ = read(tmp_path / "amount.nc", "pr", daily="sum")
    expected = amounts.values.reshape(2, 24, 5, 8).sum(axis=1)
    np.testing.assert_allclose(out.pr, expected, rtol=1e-5)


LONG = {"monthly": "MS", "5-daily": "5D", "yearly": "YS"}


@pytest.mark.parametrize("kind", LONG)
def test_longer_steps_are_not_daily(kind):
    ds = make(freq=LONG[kind])
    with pytest.raises(DataError, match=f"the values are {kind}, but daily ones") as caught:
        check_daily(ds, "here")
    assert caught.value.rule == "not-daily"


def test_a_single_month_is_known_by_its_bounds():
    ds = make(days=1, start="2000-01-16")
    limits = np.asarray([["2000-01-01", "2000-02-01"]], "datetime64[ns]")
    ds = ds.assign_coords(time_bnds=(("time", "nv"), limits))
    check_daily(ds, "here")
    ds.time.attrs["bounds"] = "time_bnds"
    with pytest.raises(DataError, match="monthly"):
        check_daily(ds, "here")


@pytest.mark.parametrize("days", [[0, 10], [35, 3, 4], [0, 4, 19, 39]])
def test_chosen_days_are_daily(days):
    check_daily(make(days=40).isel(time=sorted(days)), "here")


@pytest.mark.parametrize("hour", [0, 12, 23])
@pytest.mark.parametrize("calendar", ["standard", "noleap", "360_day", "proleptic_gregorian"])
def test_daily_files_are_daily_with_any_stamp_calendar_and_gap(hour, calendar):
    ds = make(days=30, start=f"2000-02-20T{hour:02d}", calendar=calendar)
    check_daily(ds.isel(time=[i for i in range(30) if i not in (5, 9, 10, 11)]), "here")
