"""Amounts: their intervals come from the file, and running totals are recognised as such."""

from pathlib import Path

import numpy as np
import pytest
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st

from graphdown.data import to_canonical
from graphdown.data.reading.deaccumulate import as_rate
from graphdown.data.reading.fields import read_files
from graphdown.data.reading.file_request import Request
from graphdown.data.reading.rules import Notes
from graphdown.errors import DataError

from .rain_series import HOURS, Records, begins, daily_rain, hourly_rain, steps

CASES = Path(__file__).parents[1] / "cases"
CELLS = {"meps_acc.nc": (6.350, 120.0), "rainnc.nc": (6.350, 120.0), "rolling3h.nc": (6.350, None)}
CELLS |= {"era5_tp_dry1.grib": (11.949, 358.3), "gefs_buckets.grib": (7.160, None)}
RUNNING = ("from the start", "from 00 UTC", "buckets", "random")
BOUNDS = ("attribute", "time_bnds", "time_bounds", "bounds_time")


def read(path, **options):
    return read_files([str(path)], Request(("pr",), **options))


def rules(understood):
    return {note.rule for note in understood.notes}


def check_days(ds, rain, least=0):
    """Daily rain is the truth on every day that is there, and some are."""
    truth = daily_rain(rain)
    days = [str(t)[:10] for t in ds.time.values]
    for day, field in zip(days, ds.pr.values, strict=True):
        np.testing.assert_allclose(field, truth[day], rtol=1e-6, atol=1e-6)
    assert len(days) >= least


@pytest.mark.parametrize("name", CELLS)
def test_cases_have_their_rates(name):
    if name.endswith(".grib"):
        pytest.importorskip("cfgrib")
    mean, largest = CELLS[name]
    rename = {"RAINNC": "pr"} if name == "rainnc.nc" else {}
    for accumulated in {(), ("pr",) if rename else ()}:
        ds, understood = read(CASES / name, rename=rename, accumulated=accumulated)
        assert float(ds.pr.mean()) == pytest.approx(mean, abs=6e-4)
        assert name != "rolling3h.nc" or "overlapping-totals" in rules(understood)
        assert largest is None or float(ds.pr.max()) == pytest.approx(largest, rel=2e-4)


@settings(max_examples=25, deadline=None)
@given(
    st.integers(0, 10**6),
    st.sampled_from(("regular", "changing", "random")),
    st.sampled_from(("interval", *RUNNING)),
    st.sampled_from(BOUNDS),
    st.sampled_from(("begin", "middle", "end")),
)
def test_days_are_the_truth_by_time_bounds(tmp_path_factory, seed, kind, total, bounds, stamp):
    random, rain = np.random.default_rng(seed), hourly_rain(seed)
    end = steps(random, kind)
    begin = begins(random, total, end)
    at = {"begin": begin, "middle": (begin + end) / 2, "end": end}
    records = Records(begin, end, at[stamp] if total == "interval" else end)
    path = tmp_path_factory.mktemp("bounds") / "a.nc"
    records.dataset(rain, bounds).to_netcdf(path)
    check_days(read(path, daily="mean")[0], rain, least=HOURS // 24)


@settings(max_examples=10, deadline=None)
@given(st.integers(0, 10**6), st.sampled_from((2, 3, 4, 6, 8)), st.sampled_from(("begin", "end")))
def test_days_of_rolling_totals_are_the_truth(tmp_path_factory, seed, length, stamp):
    rain, end = hourly_rain(seed), np.arange(length, HOURS + 1)
    begin = end - length
    records = Records(begin, end, begin if stamp == "begin" else end)
    path = tmp_path_factory.mktemp("rolling") / "a.nc"
    records.dataset(rain, "time_bnds").to_netcdf(path)
    check_days(read(path, daily="mean")[0], rain, least=HOURS // 24)


@settings(max_examples=25, deadline=None)
@given(
    st.integers(0, 10**6),
    st.sampled_from(("regular", "changing", "random")),
    st.sampled_from(RUNNING),
    st.booleans(),
)
def test_running_totals_without_bounds_are_recognised(tmp_path_factory, seed, kind, total, zeroth):
    """A refusal is right where few times show little; a wrong number never is."""
    random, rain = np.random.default_rng(seed), hourly_rain(seed)
    end = steps(random, kind)
    begin = begins(random, total, end)
    if zeroth:
        begin, end = np.concatenate([[0], begin]), np.concatenate([[0], end])
    path = tmp_path_factory.mktemp("running") / "a.nc"
    Records(begin, end, end).dataset(rain).to_netcdf(path)
    try:
        ds, understood = read(path, daily="mean")
        ds.load()
    except DataError as error:
        unclear = error.rule in ("amount-unclear", "amount") and len(end) <= HOURS / 2
        assert unclear or (error.rule == "running-total-falls" and total == "random")
        return
    assert "accumulation-differenced" in rules(understood)
    check_days(ds, rain, least=HOURS // 24 - 1)


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 10**6), st.sampled_from(("regular", "changing", "random")))
def test_totals_of_each_step_without_bounds_are_of_the_time_before(tmp_path_factory, seed, kind):
    random, rain = np.random.default_rng(seed), hourly_rain(seed)
    end = steps(random, kind)
    path = tmp_path_factory.mktemp("steps") / "a.nc"
    records = Records(begins(random, "interval", end), end, end)
    records.dataset(rain, cell_methods="time: sum").to_netcdf(path)
    ds, understood = read(path, daily="mean")
    assert "amount-divided" in rules(understood)
    check_days(ds, rain, least=HOURS // 24 - 1)


@settings(max_examples=6, deadline=None)
@given(st.integers(0, 10**6), st.integers(1, 20), st.sampled_from(RUNNING))
def test_chunks_do_not_matter(seed, chunk, total):
    random, rain = np.random.default_rng(seed), hourly_rain(seed)
    end = np.arange(1, HOURS + 1)
    records = Records(begins(random, total, end), end, end)
    ds = xr.decode_cf(records.dataset(rain))
    whole, parts = (to_canonical(d, ["pr"]).pr for d in (ds, ds.chunk(time=chunk, lat=2)))
    np.testing.assert_array_equal(parts.values, whole.values)
    later = whole.isel(time=slice(-HOURS + 24, None))
    np.testing.assert_allclose(later, 24 * rain[24:], rtol=1e-5, atol=1e-5)


def hourly(begin, **attrs):
    end = np.arange(1, HOURS + 1)
    return Records(begin(end), end, end).dataset(hourly_rain(0), **attrs)


def test_a_total_that_falls_in_few_places_is_refused_when_read():
    """As with WRF's buckets, where every place starts again by itself."""
    ds = hourly(np.zeros_like)
    ds.pr[60:, 2, 3] -= ds.pr[60, 2, 3]
    field = to_canonical(xr.decode_cf(ds).chunk(time=10), ["pr"]).pr
    with pytest.raises(DataError, match="running totals, but at some time they fall") as caught:
        field.load()
    assert caught.value.rule == "running-total-falls"


def test_an_undeclared_fill_value_is_not_differenced():
    ds = hourly(np.zeros_like)
    ds.pr[:, 0, 0] = -999.0
    assert to_canonical(xr.decode_cf(ds), ["pr"]).pr[:, 0, 0].isnull().all()


def test_a_reference_time_says_when_the_first_total_began():
    ds = hourly(np.zeros_like).isel(time=slice(4, None))
    reference = xr.Variable((), 0, {"units": "hours since 2020-06-01"})
    known = to_canonical(ds.assign_coords(forecast_reference_time=reference), ["pr"]).pr
    np.testing.assert_allclose(known[0], hourly_rain(0)[:5].sum(axis=0) * 24 / 5, rtol=1e-6)
    notes = Notes()
    assert to_canonical(ds, ["pr"], notes=notes).pr.sizes["time"] == known.sizes["time"] - 1
    assert "amount-of-unknown-time" in {note.rule for note in notes.listed()}


def test_totals_after_a_gap_are_left_out():
    ds = hourly(lambda end: end - 1, cell_methods="time: sum").isel(
        time=[i for i in range(HOURS) if i not in (30, 31)]
    )
    field = to_canonical(xr.decode_cf(ds), ["pr"]).pr
    expected = np.delete(hourly_rain(0), [30, 31, 32], axis=0) * 24
    np.testing.assert_allclose(field, expected, rtol=1e-6)


def test_few_rising_totals_are_refused_and_may_be_stated(tmp_path):
    ds = hourly(np.zeros_like, cell_methods="time: sum").isel(time=slice(2, 6))
    ds.to_netcdf(tmp_path / "a.nc")
    with pytest.raises(DataError, match="may hold totals of each step or running") as caught:
        read(tmp_path / "a.nc")
    assert caught.value.rule == "amount-unclear"
    stated, _ = read(tmp_path / "a.nc", accumulated=("pr",))
    np.testing.assert_allclose(stated.pr[1:], 24 * hourly_rain(0)[3:6], rtol=1e-5)


def test_radiation_that_rises_with_the_sun_is_no_running_total():
    sun = np.maximum(0.0, np.sin(2 * np.pi * (np.arange(HOURS) - 6) / 24))[:, None, None]
    ds = hourly(lambda end: end - 1, cell_methods="time: sum")
    energy = ds.pr.copy(data=3600 * 800 * sun * np.ones((1, 5, 8)))
    ds = ds.assign(rsds=energy.assign_attrs(units="J m-2", cell_methods="time: sum"))
    field = to_canonical(xr.decode_cf(ds.drop_vars("pr")), ["rsds"]).rsds
    np.testing.assert_allclose(field, 800 * sun * np.ones((1, 5, 8)), rtol=1e-5, atol=1e-3)


@pytest.mark.parametrize(
    ("step", "advice"),
    [(1, "'units: {pr: mm h-1}' for hourly"), (24, "mm day-1}' for daily"), (3, "'time: sum'")],
)
def test_advice_is_for_the_step_of_the_file(step, advice):
    end = np.arange(step, HOURS + 1, step)
    ds = xr.decode_cf(Records(end - step, end, end).dataset(hourly_rain(0)))
    with pytest.raises(DataError) as caught:
        to_canonical(ds, ["pr"])
    assert caught.value.rule == "amount" and advice in str(caught.value)


def test_bounds_of_intervals_do_not_hide_a_running_total():
    ds = hourly(np.zeros_like, bounds="time_bnds")
    ds.time_bnds[:, 0] = ds.time_bnds[:, 1] - 1
    field = to_canonical(ds, ["pr"]).pr
    np.testing.assert_allclose(field, 24 * hourly_rain(0)[-field.sizes["time"] :], atol=1e-4)


def write_grib(path, ranges, rain):
    """Write totals of hourly rain in mm over ranges of hours of one forecast."""
    eccodes = pytest.importorskip("eccodes")
    with open(path, "wb") as file:
        for begin, end in ranges:
            handle = eccodes.codes_grib_new_from_samples("regular_ll_sfc_grib2")
            keys = {"Ni": 8, "Nj": 5, "dataDate": 20200601, "dataTime": 0}
            keys |= {"latitudeOfFirstGridPointInDegrees": 44.0, "jDirectionIncrementInDegrees": 2.0}
            keys |= {"latitudeOfLastGridPointInDegrees": 36.0, "iDirectionIncrementInDegrees": 2.0}
            keys |= {"longitudeOfFirstGridPointInDegrees": 0}
            keys |= {"longitudeOfLastGridPointInDegrees": 14}
            keys |= {"productDefinitionTemplateNumber": 8, "shortName": "tp", "stepType": "accum"}
            keys |= {"stepRange": f"{begin}-{end}", "bitsPerValue": 24}
            for key, value in keys.items():
                eccodes.codes_set(handle, key, value)
            eccodes.codes_set_values(handle, rain[begin:end].sum(axis=0)[::-1].ravel() / 1000)
            eccodes.codes_write(handle, file)
            eccodes.codes_release(handle)


def test_grib_messages_of_different_ranges_for_one_time_are_refused(tmp_path):
    write_grib(tmp_path / "a.grib", [(0, 3), (0, 6), (3, 6)], hourly_rain(0))
    with pytest.raises(DataError, match="different hours .0-6 and 3-6.; keep one") as caught:
        read(tmp_path / "a.grib")
    assert caught.value.rule == "interval-ambiguous"


@settings(max_examples=6, deadline=None)
@given(st.integers(0, 10**6), st.sampled_from(("interval", "from the start", "buckets")))
def test_grib_step_ranges_decide(tmp_path_factory, seed, total):
    """A forecast of four days, totals over ranges of steps as the messages state."""
    pytest.importorskip("cfgrib")
    random, rain = np.random.default_rng(seed), hourly_rain(seed)
    end = steps(random, "changing")
    begin = begins(random, total, end)
    path = tmp_path_factory.mktemp("grib") / "a.grib"
    write_grib(path, zip(begin.tolist(), end.tolist(), strict=True), rain)
    ds, _ = read(path, daily="mean")
    truth = list(daily_rain(rain).values())
    np.testing.assert_allclose(ds.pr.values[:, ::-1], truth, rtol=1e-3, atol=0.05)


@settings(max_examples=10, deadline=None)
@given(st.integers(0, 10**6), st.sampled_from((12, 24)), st.booleans())
def test_forecasts_in_files_of_their_own_are_one_series(tmp_path_factory, seed, hours, zeroth):
    rain, folder = hourly_rain(seed), tmp_path_factory.mktemp("forecasts")
    for start in range(0, HOURS, hours):
        end = np.arange(start + (not zeroth or start > 0), start + hours + 1)
        records = Records(np.full_like(end, start), end, end)
        records.dataset(rain).to_netcdf(folder / f"{start:02d}.nc")
    ds, _ = read(folder / "*.nc", daily="mean")
    check_days(ds, rain, least=HOURS // 24)


@pytest.mark.parametrize("places", [1, 3, 40])
@settings(max_examples=10, deadline=None)
@given(st.integers(0, 10**6), st.floats(0.3, 1.0))
def test_amounts_of_one_station_or_alike_everywhere_do_not_run_up(places, seed, alike):
    """Daily totals at few places, or rising and falling together at many, stay what they are."""
    random = np.random.default_rng(seed)
    weather = random.gamma(0.5, 8.0, (300, 1)) * (random.random((300, 1)) < 0.7)
    own = random.gamma(2.0, 0.5, (300, places)) * alike + 1 - alike
    end = np.arange(24, 24 * 301, 24)
    ds = xr.Dataset(
        {"pr": (("time", "place"), weather * own, {"units": "mm", "cell_methods": "time: sum"})},
        {"time": ("time", end, {"units": "hours since 2001-01-01"})},
    )
    ds = xr.decode_cf(ds).assign_coords(
        lat=("place", np.linspace(40, 50, places), {"units": "degrees_north"}),
        lon=("place", np.linspace(0, 10, places), {"units": "degrees_east"}),
    )
    rate = as_rate(ds.pr, "mm", running=False, where="here", notes=Notes())
    np.testing.assert_allclose(rate.field * 86400, ds.pr)


def test_forecasts_that_lack_their_last_hour_leave_it_missing():
    """Hours 0 to 23 of each day's run: a zero of the start is not the rain of the hour before."""
    rain = np.random.default_rng(0).gamma(0.5, 2.0, (96, 20, 20))
    running = np.concatenate([np.zeros((4, 1, 20, 20)), rain.reshape(4, 24, 20, 20)], axis=1)
    totals = np.cumsum(running[:, :24], axis=1).reshape(96, 20, 20)
    time = xr.date_range("2020-06-01", periods=96, freq="h")
    field = xr.DataArray(totals, {"time": time}, ("time", "lat", "lon"), name="pr")
    rate = as_rate(field, "mm", running=False, where="here", notes=Notes()).field * 3600
    lost = (rate.time.dt.hour == 23).values
    assert rate.sizes["time"] == 95 and lost.sum() == 3
    assert np.isnan(rate.values[lost]).all()
    expected = np.delete(rain, np.arange(23, 96, 24), axis=0)
    np.testing.assert_allclose(rate.values[~lost], expected, atol=1e-9)


def test_a_dry_first_hour_is_kept_where_totals_start_at_a_known_time():
    ds = hourly(lambda end: (end - 1) // 24 * 24)
    ds.pr[:24] -= ds.pr[0]
    field = to_canonical(xr.decode_cf(ds), ["pr"]).pr
    assert field.sizes["time"] == HOURS and not field[0].any()


def test_upward_fluxes_of_unknown_interval_are_refused():
    ds = hourly(lambda end: end - 1)
    ds = ds.assign(hfss=(1000 * ds.pr - 500).assign_attrs(units="J m-2", GRIB_stepType="accum"))
    with pytest.raises(DataError) as caught:
        to_canonical(xr.decode_cf(ds), ["hfss"])
    assert caught.value.rule == "amount-unclear"
