"""Time axes: found by what they say of themselves, decoded, each variable on its own."""

from pathlib import Path

import numpy as np
import pytest
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st

from graphdown.data import to_canonical
from graphdown.data.reading.fields import read_files
from graphdown.data.reading.file_request import Request
from graphdown.data.reading.rules import Notes
from graphdown.data.reading.time_decoding import with_times
from graphdown.errors import DataError

from ..files import make

CASES = Path(__file__).parents[1] / "cases"
DAYS = {
    "cesm_h1.nc": ("2015-01-01", "2015-01-09"),
    "cesm_attrabsent.nc": ("2015-01-01", "2015-01-10"),
    "float_below_midnight.nc": ("2001-01-01", "2001-01-10"),
    "ipsl2.nc": ("2000-01-01", "2000-01-10"),
    "text_Z.nc": ("2000-01-01", "2000-01-10"),
    "chartime.nc": ("2001-02-01", "2001-02-03"),
    "capital_Since.nc": ("1850-01-01", "1850-01-10"),
    "jra55_ncl.nc": ("1914-01-30", "1914-02-08"),
}


def read(name, *variables, **options):
    return read_files([str(CASES / name)], Request(variables, **options))


def decoded(ds):
    notes = Notes()
    (out,) = with_times(ds, "here", notes)
    return out, {note.rule for note in notes.listed()}


@pytest.mark.parametrize("name", DAYS)
def test_cases_have_their_dates(name):
    ds, understood = read(name, "tas")
    assert (understood.first, understood.last) == DAYS[name]
    assert understood.step == "daily"


def test_the_record_of_the_first_bounds_is_the_mean_of_the_first_day():
    ds, understood = read("cesm_h1.nc", "tas")
    raw = xr.open_dataset(CASES / "cesm_h1.nc", decode_times=False)
    np.testing.assert_array_equal(ds.tas[0], raw.tas[1])
    assert {note.rule for note in understood.notes} == {"instant-left-out", "stamp-to-middle"}


def test_a_capital_since_and_an_unknown_calendar_are_named():
    assert "'Days Since 1850-01-01 00:00:00'" in str(read("capital_Since.nc", "tas")[1].notes[0])
    with pytest.raises(DataError, match="the calendar 'none' has no dates; set the attribute"):
        read("calendar_none.nc", "tas")


def test_each_variable_has_its_own_times():
    understood = read("twotime.nc")[1]
    assert [(v.name, v.step, v.times) for v in understood.variables] == [
        ("tas", "daily", 10),
        ("pr", "6-hourly", 40),
    ]
    assert "40 times (6-hourly)" in understood.to_text()
    assert read("twotime.nc", "pr")[0].sizes["time"] == 40
    ds, _ = read("twotime.nc", "tas", "pr", daily="mean")
    raw = xr.open_dataset(CASES / "twotime.nc", decode_times=False).pr.values
    np.testing.assert_allclose(ds.pr, raw.reshape(10, 4, 5, 8).mean(axis=1) * 86400, rtol=1e-5)
    with pytest.raises(DataError, match="'tas' is daily, 'pr' is 6-hourly") as caught:
        read("twotime.nc", "tas", "pr")
    assert caught.value.rule == "steps-not-common"


@settings(max_examples=40, deadline=None)
@given(
    name=st.sampled_from(("time", "time_counter", "Time", "record", "tstep", "days")),
    units=st.sampled_from(("days", "Hours", "minutes", "SECONDS")),
    since=st.sampled_from((" since ", " Since ", " SINCE ")),
    mark=st.sampled_from(({}, {"axis": "T"}, {"standard_name": "time"})),
    calendar=st.sampled_from(("standard", "noleap", "360_day", "360", "365", "Gregorian")),
    start=st.integers(0, 3000),
    error=st.floats(-0.4, 0.4),
)
def test_times_are_found_and_right(name, units, since, mark, calendar, start, error):
    """Numbers are decoded to the second whatever the axis is called and however units are spelt."""
    per_day = {"days": 1, "hours": 24, "minutes": 1440, "seconds": 86400}[units.lower()]
    numbers = (start + np.arange(4) + 0.5) * per_day + error * per_day / 86400
    attrs = {"units": f"{units}{since}2000-01-01", "calendar": calendar, **mark}
    field = make(days=4).tas.rename(time=name).drop_vars(name)
    out, _ = decoded(field.to_dataset().assign_coords({name: (name, numbers, attrs)}))
    other = {"360": "360_day", "365": "noleap", "Gregorian": "standard"}
    expected = xr.date_range(
        "2000-01-01T12", periods=start + 4, calendar=other.get(calendar, calendar), use_cftime=True
    )
    found = [str(t)[:19].replace(" ", "T") for t in out.time.values]
    assert found == [t.isoformat()[:19] for t in expected[start:]]


TEXTS = {
    "Z": "2000-01-0{}T12:00:00Z",
    "offset": "2000-01-0{}T14:30:00+02:30",
    "WRF": "2000-01-0{}_12:00:00",
    "blank": "2000-01-0{} 12:00",
    "fraction": "2000-01-0{}T12:00:00.000",
    "compact": "2000010{}T120000",
}


@pytest.mark.parametrize("kind", TEXTS)
@pytest.mark.parametrize("form", ["texts", "bytes", "characters", "objects"])
def test_text_is_read_as_dates(kind, form):
    texts = np.asarray([TEXTS[kind].format(day) for day in range(1, 5)])
    ds = make(days=4).drop_vars("time")
    if form == "characters":
        single = texts.astype("S").view("S1").reshape(4, -1)
        ds = ds.rename(time="Time").assign(Times=(("Time", "length"), single))
    else:
        kinds = {"texts": str, "bytes": "S", "objects": object}
        ds = ds.assign_coords(time=texts.astype(kinds[form]))
    out, _ = decoded(ds)
    assert [str(t)[:19] for t in out.time.values] == [f"2000-01-0{d}T12:00:00" for d in range(1, 5)]


def test_text_of_a_calendar_of_360_days():
    ds = make(days=2).drop_vars("time")
    time = xr.Variable("time", ["2000-02-29", "2000-02-30"], {"calendar": "360_day"})
    assert str(decoded(ds.assign_coords(time=time))[0].time.values[1])[:10] == "2000-02-30"


def test_times_of_wrf_come_from_its_minutes_or_its_text():
    ds = make(days=4).drop_vars("time").rename(time="Time")
    minutes = xr.Variable("Time", np.float32([720, 2160, 3600, 5040]))
    minutes.attrs["units"] = "minutes since 2000-01-01 00:00:00"
    texts = np.asarray([f"2000-01-0{d}_12:00:00" for d in range(1, 5)], "S").view("S1")
    times = ("Time", "DateStrLen"), texts.reshape(4, -1)
    for some in ({"XTIME": minutes}, {"Times": times}, {"XTIME": minutes, "Times": times}):
        out, _ = decoded(ds.assign(some))
        assert [str(t)[:13] for t in out.time.values] == [f"2000-01-0{d}T12" for d in range(1, 5)]


def test_a_dimension_without_times_is_named():
    ds = make().drop_vars("time")
    with pytest.raises(DataError, match="a dimension 'time' with 10 entries, but no") as caught:
        to_canonical(ds, ["tas"])
    assert caught.value.rule == "time-absent"
    with pytest.raises(DataError, match="has no dimension 'time'"):
        to_canonical(make().isel(time=0, drop=True), ["tas"])


def test_a_reference_time_is_no_axis():
    ds = make().assign_coords(forecast_reference_time=("time", make().time.values))
    assert decoded(ds)[0].indexes["time"].equals(make().indexes["time"])


@pytest.mark.parametrize("name", ["time_bnds", "time_bounds", "bounds_time"])
def test_bounds_are_found_by_name_and_by_encoding(name):
    ends = np.arange(1.0, 11.0)
    ds = make().assign_coords(time=("time", ends, {"units": "days since 2000-01-01"}))
    ds = ds.assign({name: (("time", "nv"), np.stack([ends - 1, ends], -1))})
    out, rules = decoded(ds)
    assert rules == {"stamp-to-middle"} and str(out.time.values[0])[:13] == "2000-01-01T12"
    ds.time.attrs["bounds"] = name
    as_encoding = xr.decode_cf(ds, decode_coords="all")
    assert "bounds" in as_encoding.time.encoding
    assert decoded(as_encoding)[0].indexes["time"].equals(out.indexes["time"])


def test_each_stamp_is_looked_at_by_itself():
    ends = np.arange(1.0, 11.0)
    stamps = np.where(np.arange(10) % 2, ends, ends - 0.5)
    ds = make().assign_coords(time=("time", stamps, {"units": "days since 2000-01-01"}))
    ds = ds.assign(time_bnds=(("time", "nv"), np.stack([ends - 1, ends], -1)))
    assert (decoded(ds)[0].time.dt.hour == 12).all()


def test_bounds_that_do_not_contain_their_times_are_ignored():
    ends = np.arange(1.0, 11.0)
    ds = make().assign_coords(time=("time", ends, {"units": "days since 2000-01-01"}))
    ds = ds.assign(time_bnds=(("time", "nv"), np.stack([ends + 40, ends + 41], -1)))
    out, rules = decoded(ds)
    assert rules == {"bounds-outside"} and str(out.time.values[0])[:10] == "2000-01-02"


@pytest.mark.parametrize("zarr_format", [2, 3])
def test_a_time_that_is_missing_in_a_store_is_refused(zarr_format, tmp_path):
    ds = make("tas", days=6)
    ds.encoding.clear()
    numbers = np.arange(6.0)
    numbers[2] = np.nan
    attrs = {"units": "days since 1850-01-01", "calendar": "360_day"}
    ds = ds.assign_coords(time=("time", numbers, attrs))
    encoding = {"time": {"_FillValue": None}}
    store = str(tmp_path / "a.zarr")
    ds.to_zarr(store, zarr_format=zarr_format, consolidated=False, encoding=encoding)
    with pytest.raises(DataError, match="some times are missing"):
        read_files([store], Request(("tas",)))


def test_a_file_with_bounds_is_joined_with_one_without(tmp_path):
    first, second = (make("tas", days=4, start=f"2001-01-0{day}") for day in (1, 5))
    days = np.arange(4.0)
    first = first.assign_coords(time=("time", days, {"units": "days since 2001-01-01"}))
    first["time_bnds"] = (("time", "bnds"), np.stack([days, days + 1.0], axis=-1))
    first["time"].attrs["bounds"] = "time_bnds"
    for name, ds in (("a", first), ("b", second)):
        ds.to_netcdf(tmp_path / f"{name}.nc")
    ds, _ = read_files([str(tmp_path / "*.nc")], Request(("tas",)))
    assert ds.sizes["time"] == 8
