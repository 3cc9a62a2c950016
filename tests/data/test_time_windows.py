"""Windows of steps and sub-steps: what stands for absent steps, folding, unfolding, time axes."""

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st

from graphdown.cf.time_axis import time_axis
from graphdown.data.pairing import pair
from graphdown.data.reading.rules import Notes
from graphdown.data.time_windows import (
    check_step,
    folded,
    linear_in_time,
    neighbours,
    substep_axis,
    unfolded,
    windowed,
)
from graphdown.errors import DataError
from graphdown.variables.forcings import forcings
from graphdown.variables.time_steps import TimeSpec

WIDE = TimeSpec(window=(-2, -1, 0, 1, 2))
HOURLY = TimeSpec(step_hours=6, window=(-1, 0, 1), substeps=6, values="point")


def winters(calendar="standard"):
    """Days of two winters, with one day absent in the second."""
    cf = calendar != "standard"
    first = xr.date_range("2000-12-01T12", "2001-02-10T12", calendar=calendar, use_cftime=cf)
    second = xr.date_range("2001-12-01T12", "2002-02-10T12", calendar=calendar, use_cftime=cf)
    kept = [t for t in second if not (t.month == 1 and t.day == 5)]
    index = first.append(type(second)(kept))
    return xr.Dataset({"tas": ("time", np.arange(len(index), dtype="f4"))}, {"time": index})


def hourly(days=3, freq="h", calendar="standard", **coords):
    cf = calendar != "standard"
    per_day = int(pd.Timedelta("1D") / pd.Timedelta(1, freq[-1]))
    time = xr.date_range(
        "2001-02-27", periods=days * per_day, freq=freq, calendar=calendar, use_cftime=cf
    )
    values = np.random.default_rng(0).normal(280, 5, (len(time), 4)).astype("f4")
    fields = {n: (("time", "x"), values + k, {"units": "K"}) for k, n in enumerate(("tas", "psl"))}
    return xr.Dataset(fields, {"time": time, **coords})


@pytest.mark.parametrize("calendar", ["standard", "360_day", "noleap"])
def test_the_next_step_towards_the_day_stands_for_an_absent_one(calendar):
    ds = winters(calendar)
    rows = dict(zip(WIDE.beside, neighbours(ds["time"], WIDE).T, strict=True))
    day = {f"{t.year}-{t.month}-{t.day}": i for i, t in enumerate(ds.indexes["time"])}
    first, last, start = day["2000-12-1"], day["2001-2-10"], day["2001-12-1"]
    assert [rows[k][first] for k in WIDE.beside] == [first, first, first + 1, first + 2]
    assert [rows[k][last] for k in WIDE.beside] == [last - 2, last - 1, last, last]
    assert [rows[k][start] for k in WIDE.beside] == [start, start, start + 1, start + 2]
    before, after = day["2002-1-4"], day["2002-1-6"]
    # The 5th is absent: the 4th stands for it. The 6th is there, two days later.
    assert [rows[k][before] for k in (1, 2)] == [before, after]
    assert [rows[k][after] for k in (-1, -2)] == [after, before]


def test_steps_are_told_by_the_clock_not_by_the_stamp():
    time = pd.DatetimeIndex(["2001-01-01T00", "2001-01-02T12", "2001-01-03T23"])
    rows = neighbours(xr.DataArray(time, dims="time"), TimeSpec(window=(-1, 0, 1)))
    np.testing.assert_array_equal(rows, [[0, 1], [0, 2], [1, 2]])


def test_a_window_puts_the_fields_of_other_steps_beside():
    ds = winters().assign(orog=((), 5.0))
    made = windowed(ds, TimeSpec(window=(-1, 0, 1)))
    assert list(made.data_vars) == ["tas", "orog", "tas@-1", "tas@+1"]
    np.testing.assert_array_equal(made["tas@-1"][:4], [0, 0, 1, 2])
    np.testing.assert_array_equal(made["tas@+1"][:4], [1, 2, 3, 4])
    assert windowed(ds, TimeSpec()).identical(ds)


@pytest.mark.parametrize("calendar", ["standard", "noleap"])
def test_unfolding_gives_back_what_was_folded(calendar):
    ds = hourly(calendar=calendar)
    made = folded(ds, HOURLY, ["tas"], "the test", Notes())
    assert made.sizes["time"] == 12
    assert list(made.data_vars) == ["tas", *(f"tas#{k}" for k in range(1, 7)), "psl"]
    np.testing.assert_allclose(made.psl[1], ds.psl[6:12].mean("time"), rtol=1e-6)
    back = unfolded(made, HOURLY, ["tas"])
    xr.testing.assert_identical(back.time.variable, ds.time.variable)
    np.testing.assert_array_equal(back.tas, ds.tas)


def test_steps_without_all_sub_steps_are_left_out_and_counted():
    ds, notes = hourly(), Notes()
    made = folded(ds.isel(time=slice(2, -1)), HOURLY, ["tas"], "the test", notes)
    assert made.sizes["time"] == 10 and made.indexes["time"][0].hour == 9
    assert [note.rule for note in notes.listed()] == ["steps-incomplete"]
    with pytest.raises(DataError, match="no step of 6 hours has 6 values"):
        folded(ds.isel(time=slice(0, 4)), HOURLY, ["tas"], "the test", Notes())


def test_other_steps_than_those_of_the_experiment_are_refused():
    check_step(hourly(), 3600, "the test")
    with pytest.raises(DataError, match="the values are hourly, but 6-hourly ones are needed"):
        check_step(hourly(), 21600, "the test")
    with pytest.raises(DataError, match="'daily: mean'"):
        check_step(hourly(), 86400, "the test")


def test_lines_between_steps_are_those_of_numpy():
    ds = hourly(days=2)
    steps = folded(ds, HOURLY, ["tas"], "the test", Notes())
    made = linear_in_time(steps[["tas"]], HOURLY)
    middles = np.arange(8) * 6 + 2.5
    for cell in range(4):
        expected = np.interp(np.arange(48), middles, steps.tas.values[:, cell])
        np.testing.assert_allclose(made.tas.values[:, cell], expected, atol=1e-4)
    assert linear_in_time(ds, TimeSpec()) is ds


def test_steps_of_hours_meet_whatever_their_stamps():
    fine = folded(hourly(), HOURLY, ["tas"], "the test", Notes())
    coarse = fine[["psl"]].assign_coords(time=fine.indexes["time"].floor("6h"))
    left, right = pair(coarse.isel(time=slice(2, None)), fine, 6)
    assert left.sizes["time"] == 10
    np.testing.assert_array_equal(left.psl, right.psl)
    with pytest.raises(DataError, match="6 times on 2001-02-27 step 0; give 6-hourly"):
        pair(hourly(), fine, 6)


def test_the_hour_is_known_of_steps_shorter_than_a_day():
    time = xr.DataArray(pd.date_range("2001-01-01T03", periods=4, freq="6h"), dims="time")
    assert forcings(time).shape == (4, 2)
    made = forcings(time, 6)
    np.testing.assert_array_equal(made[:, :2], forcings(time))
    np.testing.assert_allclose(made[:, 2:], [[0, 1], [1, 0], [0, -1], [-1, 0]], atol=1e-6)


@pytest.mark.parametrize("calendar", ["standard", "360_day"])
@pytest.mark.parametrize("hour", [0, 3])
def test_means_over_sub_steps_have_bounds_and_stand_in_the_middle(calendar, hour):
    cf = calendar != "standard"
    start = f"2001-02-28T{hour:02d}"
    index = xr.date_range(start, periods=3, freq="6h", calendar=calendar, use_cftime=cf)
    coords = time_axis(xr.Dataset(coords={"time": index}).time)
    spec = TimeSpec(step_hours=6, window=(-1, 0, 1), substeps=3)
    made = substep_axis(coords, spec)
    expected = xr.date_range(
        "2001-02-28T01", periods=9, freq="2h", calendar=calendar, use_cftime=cf
    )
    assert (made.indexes["time"] == expected).all() and made.time.attrs["bounds"] == "time_bnds"
    width = made.time_bnds[:, 1].values - made.time_bnds[:, 0].values
    assert {pd.Timedelta(w) for w in width} == {pd.Timedelta(hours=2)}
    point = substep_axis(coords, TimeSpec(6, (-1, 0, 1), 3, "point"))
    assert "time_bnds" not in point and "bounds" not in point.time.attrs
    assert (point.indexes["time"] + pd.Timedelta(hours=1) == expected).all()
    assert substep_axis(coords, TimeSpec()) is coords


CALENDARS = st.sampled_from(["standard", "noleap", "360_day"])


def every(count, unit, calendar, steps=40):
    """A field without values at regular times."""
    time = xr.date_range(
        "2001-01-01", periods=steps, freq=f"{count}{unit}", calendar=calendar, use_cftime=True
    )
    return xr.Dataset(coords={"time": time})


@settings(max_examples=30, deadline=None)
@given(st.integers(2, 60), CALENDARS)
def test_means_of_several_days_are_refused_where_daily_ones_are_needed(days, calendar):
    with pytest.raises(DataError, match="daily ones are needed") as caught:
        check_step(every(days, "D", calendar), 86400, "here")
    assert caught.value.rule == "not-daily"


@settings(max_examples=20, deadline=None)
@given(st.sampled_from([1, 2, 3, 4, 6, 8, 12]), CALENDARS)
def test_values_within_days_are_refused_where_daily_ones_are_needed(hours, calendar):
    with pytest.raises(DataError, match="daily ones are needed") as caught:
        check_step(every(hours, "h", calendar), 86400, "here")
    assert caught.value.rule == "sub-daily"


@settings(max_examples=20, deadline=None)
@given(st.lists(st.integers(0, 39), min_size=25, max_size=40, unique=True), CALENDARS)
def test_daily_values_with_gaps_are_daily(kept, calendar):
    check_step(every(1, "D", calendar).isel(time=sorted(kept)), 86400, "here")
