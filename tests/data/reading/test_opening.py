"""Opening: formats, names, levels, times and grids as climate archives have them."""

import json
import os
from itertools import product
from pathlib import Path

import netCDF4
import numpy as np
import pytest
import xarray as xr

from graphdown.data import open_fields, to_canonical
from graphdown.data.reading import value_samples
from graphdown.data.reading.fields import read_files
from graphdown.data.reading.file_request import Request
from graphdown.data.reading.value_samples import CHUNK_BYTES
from graphdown.errors import DataError

from ..files import LAT, LON, levels, make

FOLDER = os.environ.get("GRAPHDOWN_DATA")
real = pytest.mark.skipif(not FOLDER, reason="GRAPHDOWN_DATA names no folder of real data")


def read(folder, *variables, files="*.nc", **options):
    return read_files([str(folder / files)], Request(variables, **options))


def rules(understood):
    return {note.rule for note in understood.notes}


def test_zarr_and_netcdf_give_the_same_fields(tmp_path):
    ds = make("tas", "pr")
    ds.to_netcdf(tmp_path / "a.nc")
    ds.to_zarr(tmp_path / "a.zarr", consolidated=False)
    stored = [open_fields([str(tmp_path / n)], ["tas", "pr"]) for n in ("a.nc", "a.zarr")]
    xr.testing.assert_equal(*stored)
    np.testing.assert_allclose(stored[0].pr, ds.pr * 86400, rtol=1e-6)


def test_a_file_per_variable_and_period_becomes_one_dataset(tmp_path):
    whole = make("tas", "pr", days=30)
    for name in ("tas", "pr"):
        whole[[name]].isel(time=slice(0, 12)).to_netcdf(tmp_path / f"{name}_historical.nc")
        whole[[name]].isel(time=slice(12, 30)).to_netcdf(tmp_path / f"{name}_ssp585.nc")
    ds, understood = read(tmp_path, "tas", "pr")
    np.testing.assert_array_equal(ds.tas, whole.tas)
    assert ds.attrs == whole.attrs and understood.times == 30 and not understood.notes
    assert [v.files for v in understood.variables] == [2, 2]


LEVELS = {
    "Pa": lambda: levels([100000.0, 85000.0]),
    "hPa": lambda: levels([1000.0, 850.0], "hPa", "level"),
    "millibar": lambda: levels([1000.0, 850.0], "millibars", "level"),
    "GRIB name": lambda: levels([1000.0, 850.0], None, "isobaricInhPa"),
    "one level": lambda: levels([85000.0]),
    "scalar": lambda: levels([85000.0]).isel(plev=0),
    "own variable": lambda: levels([85000.0]).isel(plev=0, drop=True).rename(ta="ta850"),
    "alias with level": lambda: levels([85000.0]).isel(plev=0, drop=True).rename(ta="t850"),
    "alias": lambda: levels([100000.0, 85000.0]).rename(ta="t"),
    "standard name": lambda: by_standard_name(levels([85000.0])),
}


def by_standard_name(ds):
    ds.ta.attrs["standard_name"] = "air_temperature"
    return ds.rename(ta="unusual")


@pytest.mark.parametrize("kind", LEVELS)
def test_a_pressure_level_is_found_however_it_is_stored(kind, tmp_path):
    LEVELS[kind]().to_netcdf(tmp_path / "a.nc")
    ds, _ = read(tmp_path, "ta850")
    assert ds.ta850.dims == ("time", "lat", "lon")
    np.testing.assert_allclose(ds.ta850, 285.0)


def test_near_surface_and_levels_and_extremes_are_told_apart_by_metadata(tmp_path):
    base = make().tas
    names = {
        "mean": ("time: mean", 0.0),
        "low": ("time: minimum", -9.0),
        "top": ("time: maximum", 9),
    }
    fields = {
        name: (base + shift).assign_attrs(
            units="K", standard_name="air_temperature", cell_methods=f"area: {method}"
        )
        for name, (method, shift) in names.items()
    }
    upper = levels([85000.0]).ta.rename("upper")
    upper.attrs["standard_name"] = "air_temperature"
    ds = xr.Dataset(fields).assign_coords(
        height=((), 2.0, {"standard_name": "height", "units": "m"})
    )
    ds.to_netcdf(tmp_path / "a.nc")
    upper.to_netcdf(tmp_path / "b.nc")
    found, understood = read(tmp_path, "tas", "tasmin", "tasmax", "ta850")
    assert [v.file_names for v in understood.variables] == [
        ("mean",),
        ("low",),
        ("top",),
        ("upper",),
    ]
    assert "height" not in found.coords
    np.testing.assert_allclose(found.tasmax - found.tasmin, 18.0, atol=1e-3)


CALENDARS = ["standard", "proleptic_gregorian", "noleap", "360_day", "julian"]


@pytest.mark.parametrize("calendar", CALENDARS)
def test_every_calendar_is_kept(calendar, tmp_path):
    make(days=70, calendar=calendar).to_netcdf(tmp_path / "a.nc")
    ds, understood = read(tmp_path, "tas")
    same = {"proleptic_gregorian": "standard"}
    assert understood.calendar == same.get(calendar, calendar) and understood.step == "daily"
    last = {"360_day": "2000-03-10", "noleap": "2000-03-11"}.get(calendar, "2000-03-10")
    assert understood.last == last and not understood.notes


def test_times_beyond_the_year_2262_and_before_1678_are_read(tmp_path):
    make(start="2290-01-01", calendar="noleap").to_netcdf(tmp_path / "a.nc")
    assert read(tmp_path, "tas")[1].last == "2290-01-10"
    time = ("time", np.arange(10), {"units": "days since 1500-03-01"})
    make().assign_coords(time=time).to_netcdf(tmp_path / "b.nc")
    assert read(tmp_path, "tas", files="b.nc")[1].first == "1500-03-01"


def test_time_under_another_name_is_the_time(tmp_path):
    make().rename(time="valid_time").to_netcdf(tmp_path / "a.nc")
    assert read(tmp_path, "tas")[0].sizes["time"] == 10


def test_attributes_and_bounds_are_kept(tmp_path):
    for name, start in (("a", "2000-01-01"), ("b", "2000-01-11")):
        ds = make(start=start)
        edges = np.stack([ds.time.values, ds.time.values + np.timedelta64(1, "D")], -1)
        lat = np.stack([LAT - 1, LAT + 1], -1)
        ds = ds.assign(time_bnds=(("time", "bnds"), edges), lat_bnds=(("lat", "bnds"), lat))
        ds.time.attrs["bounds"], ds.lat.attrs["bounds"] = "time_bnds", "lat_bnds"
        ds.time.encoding["units"] = "days since 2000-01-01"
        ds.to_netcdf(tmp_path / f"{name}.nc")
    out = read(tmp_path, "tas")[0]
    assert out.attrs["source_id"] == "TEST-1"
    assert out.time_bnds.shape == (20, 2) and out.lat_bnds.shape == (5, 2)
    assert bool((out.time_bnds[:, 0] == out.time).all())
    out.to_netcdf(tmp_path / "again.nc")


def test_daily_values_are_means_and_extremes_of_the_days(tmp_path):
    ds = make("tas", freq="6h", days=40).assign(tasmax=make("tas", freq="6h", days=40).tas)
    ds.to_netcdf(tmp_path / "a.nc")
    out, understood = read(tmp_path, "tas", "tasmax", daily="mean")
    parts = ds.tas.values.reshape(10, 4, 5, 8)
    np.testing.assert_allclose(out.tas, parts.mean(axis=1), rtol=1e-6)
    np.testing.assert_allclose(out.tasmax, parts.max(axis=1), rtol=1e-6)
    assert understood.step == "daily"


def test_incomplete_days_are_left_out_and_counted(tmp_path):
    make(freq="6h", days=43, start="2000-01-01T06", calendar="noleap").to_netcdf(tmp_path / "a.nc")
    out, understood = read(tmp_path, "tas", daily="mean")
    assert out.sizes["time"] == 10
    assert "1 incomplete days left out" in str(understood.notes[0])


@pytest.mark.parametrize("calendar", ["standard", "noleap"])
def test_totals_that_run_up_from_midnight_are_differenced(calendar, tmp_path):
    hourly = np.random.default_rng(0).uniform(0, 1e-3, (48, 5, 8))
    running = hourly.reshape(2, 24, 5, 8).cumsum(axis=1).reshape(48, 5, 8)
    ds = make("pr", start="2000-01-01T01", freq="h", days=48, calendar=calendar)
    ds.assign(pr=ds.pr.copy(data=running).assign_attrs(units="m")).to_netcdf(tmp_path / "a.nc")
    out, understood = read(tmp_path, "pr", accumulated=("pr",))
    np.testing.assert_allclose(out.pr, hourly * 24000, rtol=1e-3, atol=1e-3)
    assert str(out.indexes["time"][0])[11:16] == "00:30"
    assert "accumulation-differenced" in rules(understood)
    daily, _ = read(tmp_path, "pr", accumulated=("pr",), daily="mean")
    total = hourly.reshape(2, 24, 5, 8).sum(axis=1) * 1000
    np.testing.assert_allclose(daily.pr, total, rtol=1e-3)


def test_interpolation_to_the_first_grid_reproduces_a_linear_field(tmp_path):
    make("tas").to_netcdf(tmp_path / "a.nc")
    fine = make("psl", lat=np.arange(34.0, 48.0, 1.5)[::-1], lon=np.arange(-12.0, 8.0, 1.5))
    plane = 1e5 + 100 * fine.lon + 0 * fine.psl
    plane.transpose("time", ...).rename("psl").assign_attrs(units="Pa").to_netcdf(tmp_path / "b.nc")
    out, understood = read(tmp_path, "tas", "psl")
    np.testing.assert_allclose(out.psl[0], np.broadcast_to(1e5 + 100 * LON, (5, 8)), atol=30)
    assert "regridded" in rules(understood)


def test_latitudes_stored_downwards_are_another_order_of_the_same_grid(tmp_path):
    make("tas", "psl")[["tas"]].to_netcdf(tmp_path / "a.nc")
    whole = make("tas", "psl")
    whole[["psl"]].isel(lat=slice(None, None, -1)).to_netcdf(tmp_path / "b.nc")
    np.testing.assert_allclose(read(tmp_path, "tas", "psl")[0].psl, whole.psl, rtol=1e-6)


def test_opening_reads_single_times_only(tmp_path, monkeypatch):
    from xarray.backends.netCDF4_ import NetCDF4ArrayWrapper

    make(days=3000).to_netcdf(tmp_path / "a.nc")
    sizes = []
    whole = NetCDF4ArrayWrapper._getitem
    monkeypatch.setattr(
        NetCDF4ArrayWrapper,
        "_getitem",
        lambda self, key: sizes.append(np.size(made := whole(self, key))) or made,
    )
    ds, _ = read(tmp_path, "tas")
    assert max(sizes) == 3000 and sum(s for s in sizes if s != 3000) <= 3 * 40 + 100
    assert ds.tas.chunks is not None
    chunk = np.prod([c[0] for c in ds.tas.chunks]) * 4
    assert chunk <= CHUNK_BYTES


def test_chunks_hold_whole_multiples_of_the_file_s_own(tmp_path):
    ds = make(days=100)
    ds.to_netcdf(tmp_path / "a.nc", encoding={"tas": {"chunksizes": (7, 5, 8)}})
    assert read(tmp_path, "tas")[0].tas.chunks[0][0] % 7 in (0, 100 % 7)


def test_a_file_s_long_chunks_are_not_joined_over_space(tmp_path, monkeypatch):
    monkeypatch.setattr(value_samples, "CHUNK_BYTES", 3 * 4 * 40 * 7)
    ds = make(days=100)
    ds.to_netcdf(tmp_path / "a.nc", encoding={"tas": {"chunksizes": (50, 2, 3)}})
    found = read(tmp_path, "tas")[0].tas
    assert found.chunks == ((50, 50), (4, 1), (3, 3, 2))
    np.testing.assert_array_equal(found, ds.tas)


def test_a_file_a_day_is_read_as_one_series_and_faults_name_their_file(tmp_path):
    whole = make("tas", "psl", days=40)
    for i in range(40):
        whole.isel(time=[i]).to_netcdf(tmp_path / f"{i:03}.nc")
    ds, understood = read(tmp_path, "tas", "psl")
    with ds:
        xr.testing.assert_equal(ds.load().drop_attrs(), whole.drop_attrs())
    assert [(v.files, v.times) for v in understood.variables] == [(40, 40)] * 2
    whole.isel(time=slice(36, 39)).to_netcdf(tmp_path / "040.nc")
    ds, understood = read(tmp_path, "tas")
    ds.close()
    (note,) = (n for n in understood.notes if n.rule == "overlap-dropped")
    assert str(note).startswith(f"{tmp_path}/040.nc: tas: 3 times (2000-02-06 to 2000-02-08) are")
    with netCDF4.Dataset(tmp_path / "039.nc", "a") as file:
        file["tas"][:] = file["tas"][:] - 273.15
    with pytest.raises(DataError, match="039.nc: 'tas' runs from .*look like degC"):
        read(tmp_path, "tas")


def test_canonical_fields_stay_as_they_are():
    ds = make("tas", "pr").assign(pr=make("tas", "pr").pr * 0 + 3.0)
    ds.pr.attrs["units"] = "mm day-1"
    once = to_canonical(ds, ["tas", "pr"])
    xr.testing.assert_identical(to_canonical(once, ["tas", "pr"]), once)


def test_a_dry_day_is_no_error():
    ds = make("pr", days=1)
    dry = ds.assign(pr=(ds.pr * 10).assign_attrs(units="mm day-1"))
    assert 0 < float(to_canonical(dry, ["pr"]).pr.max()) < 0.01


def test_fixed_fields_of_their_own_file_are_taken(tmp_path):
    make().to_netcdf(tmp_path / "tas.nc")
    height = (make().tas[0] * 0 + 5.0).drop_vars("time").assign_attrs(units="m")
    height.to_dataset(name="orog").to_netcdf(tmp_path / "orog_fx.nc")
    land = (make().tas[:1] * 0 + 30.0).assign_attrs(units="%")
    land.to_dataset(name="sftlf").to_netcdf(tmp_path / "sftlf_fx.nc")
    ds, _ = read(tmp_path, "tas", optional=("orog", "sftlf"))
    assert ds.orog.dims == ds.sftlf.dims == ("lat", "lon") and ds.tas.dims[0] == "time"
    np.testing.assert_allclose([ds.orog.max(), ds.sftlf.max()], [5.0, 0.3], rtol=1e-6)


def test_what_was_understood_reads_as_text_and_json(tmp_path):
    ds = levels([85000.0, 50000.0])
    ds.assign(tas=make().tas).isel(time=[0, 1, 2, 6, 7]).to_netcdf(tmp_path / "a.nc")
    understood = read_files([str(tmp_path / "a.nc")], Request(()))[1]
    held = json.loads(json.dumps(understood.to_dict()))
    assert [v["name"] for v in held["variables"]] == ["tas", "ta850", "ta500"]
    assert held["variables"][1]["level"] == "plev = 85000 Pa"
    assert held["variables"][0]["gaps"] == [
        {"after": "2000-01-03", "before": "2000-01-07", "missing": 3}
    ]
    text = understood.to_text()
    assert "5 times, 2000-01-01 to 2000-01-08 (daily, calendar standard)" in text
    assert "ta850: 'ta' at plev = 85000 Pa, K, 285 to 285 in 3 of 5 times, 5 lat x 8 lon" in text
    assert "1 gap, the longest of 3 steps after 2000-01-03 [gap]" in text


@real
def test_grib_forecast_totals_become_rates_and_nothing_is_written_beside_them():
    before = sorted(os.listdir(FOLDER))
    file = str(Path(FOLDER, "arome_PRECIP_NW_20180501000000.grib"))
    ds, understood = read_files([file], Request(("pr",)))
    assert ds.sizes["time"] == 24 and str(ds.time.values[0])[11:16] == "00:30"
    assert "accumulation-differenced" in rules(understood)
    import cfgrib

    raw = cfgrib.open_dataset(file, indexpath="")
    np.testing.assert_allclose(
        (ds.pr / 24).sum("time").mean(), raw.tp.isel(step=-1).mean(), rtol=2e-3
    )
    assert sorted(os.listdir(FOLDER)) == before


@real
def test_grib_analyses_and_masks_are_understood():
    ds, _ = read_files([str(Path(FOLDER, "era5-2mt-2019-03-uk.grib"))], Request(("tas",)))
    assert ds.tas.shape == (744, 33, 49) and 270 < float(ds.tas[0].mean()) < 290
    understood = read_files([str(Path(FOLDER, "NW_masks.grib"))], Request(()))[1]
    assert [v.name for v in understood.variables] == ["sftlf"]


def write_grib(path, messages, hours=(0,)):
    """Write (short name, level type, level, day, values [5, 8]) as GRIB, forecast so many hours."""
    eccodes = pytest.importorskip("eccodes")
    with open(path, "wb") as file:
        for (name, kind, level, day, values), hour in product(messages, hours):
            handle = eccodes.codes_grib_new_from_samples("regular_ll_sfc_grib2")
            keys = {"Ni": 8, "Nj": 5, "dataDate": 20000100 + day, "dataTime": 0}
            keys |= {"latitudeOfFirstGridPointInDegrees": 44.0, "jDirectionIncrementInDegrees": 2.0}
            keys |= {"latitudeOfLastGridPointInDegrees": 36.0, "iDirectionIncrementInDegrees": 2.0}
            keys |= {
                "longitudeOfFirstGridPointInDegrees": 0,
                "longitudeOfLastGridPointInDegrees": 14,
            }
            keys |= {"typeOfLevel": kind, "level": level, "shortName": name, "bitsPerValue": 24}
            keys |= {"step": hour}
            for key, value in keys.items():
                eccodes.codes_set(handle, key, value)
            eccodes.codes_set_values(handle, values.ravel())
            eccodes.codes_write(handle, file)
            eccodes.codes_release(handle)


def test_grib_with_several_levels_is_read_whole(tmp_path):
    random = np.random.default_rng(0)
    kinds = [
        ("2t", "heightAboveGround", 2),
        ("t", "isobaricInhPa", 850),
        ("t", "isobaricInhPa", 500),
    ]
    values = {(*kind, day): random.uniform(250, 290, (5, 8)) for kind in kinds for day in (1, 2, 3)}
    path = tmp_path / "a.grib"
    write_grib(path, [(*key, field) for key, field in values.items()])
    ds, understood = read_files([str(path)], Request(("tas", "ta850")))
    for name, kind in zip(("tas", "ta850"), kinds, strict=False):
        expected = np.stack([values[*kind, day] for day in (1, 2, 3)])
        np.testing.assert_allclose(ds[name], expected, atol=1e-4)
    assert [v.level for v in understood.variables] == ["", "isobaricInhPa = 85000 Pa"]
    assert os.listdir(tmp_path) == ["a.grib"]


def test_overlapping_forecasts_keep_the_shortest_lead():
    from graphdown.data.reading.deaccumulate import without_forecast
    from graphdown.data.reading.grib import flat_in_time
    from graphdown.data.reading.rules import Notes

    start = np.asarray([0, 6 * 3600])
    lead = np.asarray([3.0, 6.0, 9.0])
    valid = start[:, None] + lead * 3600
    ds = xr.Dataset(
        {"t2m": (("time", "step", "x"), np.arange(6.0).reshape(2, 3, 1))},
        {
            "time": start,
            "step": lead,
            "valid_time": (("time", "step"), valid, {"units": "seconds since 1970-01-01"}),
        },
    )
    notes = Notes()
    out = without_forecast(flat_in_time(ds).t2m, "here", notes)
    assert [note.rule for note in notes.listed()] == ["forecast-shortest-lead"]
    np.testing.assert_array_equal(out.time, np.asarray([3, 6, 9, 12, 15]) * 3600)
    np.testing.assert_array_equal(out[:, 0], [0, 1, 3, 4, 5])


@real
@pytest.mark.parametrize(
    "name", ["tas_day_MIROC6_ssp119_r1i1p1f1_gn_20150101.nc", "tas_EUR-22_*.nc", "tas_Amon_ICON*"]
)
def test_cmip_and_cordex_files_are_understood_as_they_are(name):
    understood = read_files([str(Path(FOLDER, name))], Request(()))[1]
    assert [v.name for v in understood.variables] == ["tas"] and not understood.notes


def test_a_level_in_a_name_is_not_taken_for_the_surface():
    time = xr.date_range("2001-01-01", periods=3)
    coords = {"time": time, "lat": [45.0, 46.0], "lon": [1.0, 2.0]}
    attrs = {"units": "m s-1", "standard_name": "eastward_wind"}
    wind = xr.DataArray(np.ones((3, 2, 2), np.float32), coords, ("time", "lat", "lon"), attrs=attrs)
    ds = wind.to_dataset(name="ua850")
    assert "ua850" in to_canonical(ds, ["ua850"])
    with pytest.raises(DataError, match="'uas'"):
        to_canonical(ds, ["uas"])


def test_a_file_keeps_few_chunks_and_other_files_are_left_alone(tmp_path):
    from graphdown.data.reading import files

    usual = netCDF4.get_chunk_cache()
    make("tas").to_netcdf(tmp_path / "tas.nc", encoding={"tas": {"zlib": True}})
    store = files._store(str(tmp_path / "tas.nc"))
    for _ in range(2):  # the second time it is opened again
        assert store.ds.variables["tas"].get_var_chunk_cache()[0] == files.CHUNK_CACHE
        store.close()
    assert netCDF4.get_chunk_cache() == usual
