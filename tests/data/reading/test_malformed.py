"""Malformed and awkward input: the one sentence that refuses it, or the repair that is stated."""

import os
import re
import shutil
from pathlib import Path

import netCDF4
import numpy as np
import pytest
import xarray as xr

from graphdown.data.reading import rules
from graphdown.data.reading.fields import read_files
from graphdown.data.reading.file_request import Request
from graphdown.data.reading.rules import NOTICES, REFUSALS, REPAIRS
from graphdown.errors import DataError

from ..files import LAT, LON, levels, make


class Case:
    """A folder to write awkward files into, and what is asked of them."""

    def __init__(self, folder):
        self.folder = folder
        self.files = [str(folder / "*.nc")]
        self.request = {"variables": ("tas",)}

    def save(self, ds, name="a.nc", **options):
        ds.to_netcdf(self.folder / name, **options)

    def ask(self, *variables, **options):
        self.request = {"variables": variables, **options}

    def read(self):
        return read_files(self.files, Request(**self.request))


def no_match(case):
    case.files = [str(case.folder / "tas_*.nc")]


def no_permission(case):
    case.save(make())
    case.files = [str(case.folder / "a.nc")]


def a_text_file(case):
    (case.folder / "a.nc").write_text("<html>503 Service Unavailable</html>")


def a_zero_byte_file(case):
    (case.folder / "a.nc").touch()


def packed_by_a_word(case):
    case.save(make())
    with netCDF4.Dataset(case.folder / "a.nc", "a") as file:
        file["tas"].scale_factor = "x"


def a_grid_mapping_by_number(case):
    case.save(make())
    with netCDF4.Dataset(case.folder / "a.nc", "a") as file:
        file["tas"].grid_mapping = 1.5


def coordinates_by_number(case):
    case.save(make())
    with netCDF4.Dataset(case.folder / "a.nc", "a") as file:
        file["tas"].coordinates = 3.0


def a_truncated_file(case):
    case.save(make(days=400))
    path = case.folder / "a.nc"
    path.write_bytes(path.read_bytes()[:9000])


def a_truncated_classic_file(case):
    case.save(make(days=400), format="NETCDF3_64BIT")
    path = case.folder / "a.nc"
    path.write_bytes(path.read_bytes()[:9000])


def a_truncated_classic_file_of_64_bit_data(case):
    path = case.folder / "a.nc"
    with netCDF4.Dataset(path, "w", format="NETCDF3_64BIT_DATA") as file:
        file.createDimension("time", 4000)
        file.createVariable("tas", "f4", ("time",))[:] = 280.0
    path.write_bytes(path.read_bytes()[:9000])


def a_truncated_header(case):
    case.save(make(), format="NETCDF3_64BIT")
    path = case.folder / "a.nc"
    path.write_bytes(path.read_bytes()[:60])


def broken_grib(case):
    (case.folder / "a.grib").write_bytes(b"GRIB" + bytes(60))
    case.files = [str(case.folder / "a.grib")]


def a_folder_that_is_no_store(case):
    (case.folder / "data").mkdir()
    case.files = [str(case.folder / "data")]


def zarr_chunk_lost(case):
    ds = make("psl")
    ds = ds.assign(psl=ds.psl.round().astype("int32").assign_attrs(units="Pa"))
    ds.chunk(time=5).to_zarr(case.folder / "a.zarr", consolidated=False)
    shutil.rmtree(case.folder / "a.zarr" / "psl" / "c" / "1")
    case.files = [str(case.folder / "a.zarr")]
    case.ask("psl")


def no_variables(case):
    case.save(xr.Dataset(attrs={"title": "nothing"}))


def no_times(case):
    case.save(make().isel(time=slice(0, 0)))


def variable_absent(case):
    case.save(make("psl"))


def rename_misspelt(case):
    case.save(make("tas").rename(tas="temp"))
    case.ask("tas", rename={"tmp": "tas"})


def two_air_temperatures(case):
    ds = make().rename(tas="one")
    ds.one.attrs["standard_name"] = "air_temperature"
    case.save(ds.assign(two=ds.one + 1))
    ds = ds.assign(two=(ds.one + 1).assign_attrs(ds.one.attrs))
    case.save(ds)


def tas_that_is_a_maximum(case):
    ds = make()
    ds.tas.attrs["cell_methods"] = "area: mean time: maximum"
    case.save(ds)


def level_not_there(case):
    case.save(levels([100000, 50000]))
    case.ask("ta850")


def hybrid_levels(case):
    ds = levels([1, 2, 3], units=None, name="lev")
    ds.lev.attrs["standard_name"] = "atmosphere_hybrid_sigma_pressure_coordinate"
    case.save(ds)
    case.ask("ta850")


def three_members(case):
    case.save(xr.concat([make(seed=i) for i in range(3)], "member"))


def member_beyond(case):
    case.save(xr.concat([make(seed=i) for i in range(3)], "member"))
    case.ask("tas", select={"member": 3})


def variable_without_time(case):
    case.save(make().isel(time=0, drop=True))


def times_without_units(case):
    case.save(make().assign_coords(time=("time", np.arange(10.0))))


def years_as_floats(case):
    case.save(make().assign_coords(time=("time", 1982 + np.arange(10) / 365.0)))


def times_since_nothing(case):
    time = ("time", np.arange(10.0), {"units": "days since launch"})
    case.save(make().assign_coords(time=time))


def months_since(case):
    time = ("time", np.arange(10) + 0.5, {"units": "months since 2000-01-01"})
    case.save(make().assign_coords(time=time))


def times_as_words(case):
    case.save(make().assign_coords(time=("time", [f"day {i}" for i in range(10)])))


def impossible_yyyymmdd(case):
    case.save(make(days=2).assign_coords(time=("time", [20010228, 20010229])))


def missing_time(case):
    time = np.arange(10.0)
    time[4] = np.nan
    attrs = {"units": "days since 2000-01-01"}
    case.save(make().assign_coords(time=("time", time, attrs)))


def mixed_calendars(case):
    case.save(make(), "a.nc")
    case.save(make(start="2000-01-11", calendar="noleap"), "b.nc")


def variables_of_two_calendars(case):
    case.save(make("tas"), "a.nc")
    case.save(make("pr", calendar="360_day"), "b.nc")
    case.ask("tas", "pr")


def a_day_twice_unlike(case):
    ds = make()
    case.save(xr.concat([ds, make(seed=1).isel(time=[3])], "time"))


def historical_and_scenario_overlap(case):
    case.save(make(days=10), "tas_historical.nc")
    case.save(make(start="2000-01-06", seed=1), "tas_ssp585.nc")


def two_grids_under_one_glob(case):
    case.save(make(), "a.nc")
    case.save(make(start="2000-01-11", lon=LON[:-1]), "b.nc")


def one_grid_shifted(case):
    case.save(make(), "a.nc")
    case.save(make(start="2000-01-11", lon=LON + 1.0), "b.nc")


def no_coordinates(case):
    case.save(make().drop_vars(["lat", "lon"]))


def swapped_coordinates(case):
    lon = np.arange(100.0, 116.0, 2.0)
    ds = make(lon=lon)
    swapped = ds.drop_vars(["lat", "lon"]).rename(lat="lon", lon="lat")
    case.save(swapped.assign_coords(lat=lon, lon=LAT))


def no_common_days(case):
    case.save(make("tas"), "a.nc")
    case.save(make("pr", start="2010-01-01"), "b.nc")
    case.ask("tas", "pr")


def text_as_values(case):
    case.save(make(days=1).assign(tas=(("time", "lat", "lon"), np.full((1, 5, 8), "cold"))))


def units_missing(case):
    ds = make()
    del ds.tas.attrs["units"]
    case.save(ds)


def units_of_another_kind(case):
    ds = make()
    ds.tas.attrs["units"] = "m s-1"
    case.save(ds)


def celsius_labelled_kelvin(case):
    ds = make()
    case.save(ds.assign(tas=(ds.tas - 273.15).assign_attrs(units="K")))


def kelvin_labelled_celsius(case):
    ds = make()
    ds.tas.attrs["units"] = "degC"
    case.save(ds)


def rain_in_metres(case):
    ds = make("pr")
    case.save(ds.assign(pr=(ds.pr * 86.4).assign_attrs(units="m")))
    case.ask("pr")


def rain_flux_labelled_mm_per_day(case):
    ds = make("pr")
    ds.pr.attrs["units"] = "mm/day"
    case.save(ds)
    case.ask("pr")


def rain_mm_per_day_labelled_flux(case):
    ds = make("pr")
    case.save(ds.assign(pr=(ds.pr * 86400).assign_attrs(units="kg m-2 s-1")))
    case.ask("pr")


def clearly_negative_rain(case):
    ds = make("pr")
    case.save(ds.assign(pr=(ds.pr - 5e-5).assign_attrs(units="kg m-2 s-1")))
    case.ask("pr")


def rain_a_hundred_times_too_small(case):
    ds = make("pr", days=40)
    case.save(ds.assign(pr=(ds.pr / 100).assign_attrs(ds.pr.attrs)))
    case.ask("pr")


def pressure_in_hpa_labelled_pa(case):
    ds = make("psl")
    case.save(ds.assign(psl=(ds.psl / 100).assign_attrs(units="Pa")))
    case.ask("psl")


def geopotential_labelled_metres(case):
    ds = make("ta").rename(ta="zg500") * 0 + 54700.0
    ds.zg500.attrs["units"] = "m"
    case.save(ds)
    case.ask("zg500")


def nothing_but_missing(case):
    case.save(make().assign(tas=make().tas.where(False)))


REFUSED = [
    (no_match, "no-file", "No file matches .*; check the path"),
    (a_text_file, "unreadable", "neither netCDF nor zarr nor GRIB .*give data files only"),
    (a_zero_byte_file, "unreadable", "is empty .0 bytes.*copy it again"),
    (packed_by_a_word, "unreadable", "the attribute 'scale_factor' of 'tas' is 'x', not a number"),
    (a_grid_mapping_by_number, "unreadable", "'grid_mapping' of 'tas' is '1.5', not text"),
    (coordinates_by_number, "unreadable", "cannot be read"),
    (a_truncated_file, "unreadable", "cannot be read .*cut off, so fetch or copy it again"),
    (a_truncated_classic_file, "unreadable", "cannot be read .*cut off"),
    (a_truncated_classic_file_of_64_bit_data, "unreadable", "9000 bytes, but its header says 16"),
    (a_truncated_header, "unreadable", "cannot be read .its header is incomplete"),
    (broken_grib, "unreadable", "a.grib: .*again"),
    (a_folder_that_is_no_store, "unreadable", "a folder but no zarr store; name the files"),
    (zarr_chunk_lost, "chunk-missing", "1 of 2 chunks of 'psl' are absent .*copy the store"),
    (no_variables, "empty", "no variable in it; check the file"),
    (no_times, "empty", "no time in it; check the file"),
    (variable_absent, "variable-absent", "'tas' is absent .there are: psl.; correct the name"),
    (rename_misspelt, "rename-absent", "'tmp', which is not in the file; did you mean 'temp'"),
    (two_air_temperatures, "variable-ambiguous", "'tas' could be 'one' or 'two'; choose"),
    (tas_that_is_a_maximum, "cell-methods", "'tas' is a maximum .*ask for 'tasmax'"),
    (
        level_not_there,
        "level-absent",
        "needs the level 850 hPa, but 'ta' has 1000, 500 hPa; choose",
    ),
    (hybrid_levels, "level-kind", "hybrid sigma pressure coordinate, not on .*interpolate it"),
    (three_members, "extra-dimension", "'member' with 3 entries .*choose one, as in 'select"),
    (member_beyond, "selection", "asks for 3 of 'member', which has 3 entries; count from 0"),
    (variable_without_time, "no-time", "'tas' has no dimension 'time'; give a file with times"),
    (times_without_units, "time-units-missing", "have no units such as 'days since .*; add them"),
    (years_as_floats, "time-undecodable", "years as numbers .1982 .*; write them as 'days since'"),
    (times_since_nothing, "time-undecodable", "'days since launch' .*cannot be turned into dates"),
    (months_since, "time-undecodable", "'months since .*cannot be turned into dates"),
    (times_as_words, "time-undecodable", "text that is no date .'day 0'.; write them"),
    (impossible_yyyymmdd, "time-undecodable", "written as yyyymmdd, but one is no date"),
    (missing_time, "time-undecodable", "some times are missing; write them or drop those steps"),
    (mixed_calendars, "calendars-differ", "'standard' but .*b.nc has 'noleap'; give files of one"),
    (variables_of_two_calendars, "calendars-differ", "'standard' but .*pr.* has '360_day'"),
    (
        a_day_twice_unlike,
        "duplicate-differs",
        "1 of 1 times of 'tas' are there twice with different.*2000-01-04.; drop",
    ),
    (
        historical_and_scenario_overlap,
        "overlap-differs",
        "historical.nc and .*ssp585.nc both hold 'tas' for 2000-01-06 to 2000-01-10.*leave one out",
    ),
    (two_grids_under_one_glob, "grids-differ", "a.nc .5 x 8. and .*b.nc .5 x 7. hold 'tas' on"),
    (one_grid_shifted, "grids-differ", "on different grids; give files of one grid"),
    (no_coordinates, "grid-unknown", "no latitude and longitude .*add them as coordinates"),
    (swapped_coordinates, "coordinates-swapped", "latitude 'lat' reaches 114 .*exchange"),
    (no_common_days, "no-common-time", "no time in common .*; give files of one period"),
    (text_as_values, "not-numeric", "'tas' holds no numbers .*choose another"),
    (units_missing, "units-missing", "'tas' has no units; state them"),
    (units_of_another_kind, "units-unknown", "'m s-1' of 'tas' cannot be turned into 'K'"),
    (celsius_labelled_kelvin, "out-of-range", "'tas' runs from .*look like degC: state them"),
    (kelvin_labelled_celsius, "out-of-range", "'tas' runs from .*look like K: state them"),
    (rain_in_metres, "amount", "'m' of 'pr' are an amount, not a rate.*'units: .pr: m day-1"),
    (rain_flux_labelled_mm_per_day, "out-of-range", "nowhere more than .*look like kg m-2 s-1"),
    (rain_mm_per_day_labelled_flux, "out-of-range", "'pr' runs from .*look like mm day-1"),
    (clearly_negative_rain, "negative-precipitation", "goes down to -4.* not negative.*check"),
    (pressure_in_hpa_labelled_pa, "out-of-range", "look like hPa: state them"),
    (geopotential_labelled_metres, "out-of-range", "look like m2 s-2: state them"),
    (nothing_but_missing, "all-missing", "'tas' has no value in the times looked at"),
]


@pytest.mark.parametrize(
    ("build", "rule", "pattern"), REFUSED, ids=[r[0].__name__ for r in REFUSED]
)
def test_it_is_refused_in_one_sentence(build, rule, pattern, tmp_path):
    case = Case(tmp_path)
    build(case)
    with pytest.raises(DataError, match=pattern) as caught:
        case.read()
    assert caught.value.rule == rule
    message = str(caught.value)
    assert "\n" not in message and len(message.replace(str(tmp_path), "")) < 420


def test_a_file_without_permission_is_refused(tmp_path, monkeypatch):
    case = Case(tmp_path)
    no_permission(case)
    monkeypatch.setattr(os, "access", lambda path, mode: False)  # root may read everything
    with pytest.raises(DataError, match="a.nc' may not be read; give yourself the permission"):
        case.read()


def test_grib_without_cfgrib_says_what_to_install(tmp_path, monkeypatch):
    case = Case(tmp_path)
    broken_grib(case)
    monkeypatch.setitem(__import__("sys").modules, "cfgrib", None)
    with pytest.raises(DataError, match=r"needs cfgrib; install it with: pip install .*\[grib\]"):
        case.read()


def missing_code(code):
    def build(case):
        ds = make()
        case.save(ds.where(ds.lon > -9, code).assign(tas=ds.tas.where(ds.lon > -9, code)))

    return build


def undeclared_on_integers(case):
    ds = make("psl")
    ds["psl"] = ds.psl.round().astype("int32").where(ds.lon > -9, -32768).astype("int32")
    ds.psl.attrs["units"] = "Pa"
    case.save(ds)
    case.ask("psl")


def integers(case):
    ds = make("psl")
    case.save(ds.assign(psl=ds.psl.round().astype("int32").assign_attrs(units="Pa")))
    case.ask("psl")


def infinite(case):
    ds = make()
    case.save(ds.assign(tas=ds.tas.where(ds.lon > -9, np.inf)))


def declared_twice(case):
    ds = make()
    case.save(ds.assign(tas=ds.tas.where(ds.lon > -9)), encoding={"tas": {"_FillValue": 1e20}})
    with netCDF4.Dataset(case.folder / "a.nc", "a") as file:
        file["tas"].missing_value = np.float32(-7.0)


def packed(case):
    ds = make()
    encoding = {"dtype": "int16", "scale_factor": 0.01, "add_offset": 285.0, "_FillValue": -32767}
    case.save(ds.assign(tas=ds.tas.where(ds.lon > -9)), encoding={"tas": encoding})


MISSING = {
    "1e20": (missing_code(1e20), "fill-code"),
    "9.97e36": (missing_code(9.969209968386869e36), "fill-code"),
    "-999": (missing_code(-999.0), "fill-code"),
    "-9999": (missing_code(-9999.0), "fill-code"),
    "integer -32768": (undeclared_on_integers, "fill-code"),
    "infinite": (infinite, "infinite"),
    "NaN": (missing_code(np.nan), None),
    "declared twice": (declared_twice, None),
    "packed": (packed, None),
}


@pytest.mark.parametrize("kind", MISSING)
def test_missing_values_are_missing_however_they_are_written(kind, tmp_path):
    build, rule = MISSING[kind]
    case = Case(tmp_path)
    build(case)
    ds, understood = case.read()
    name = case.request["variables"][0]
    truth = make(name)[name]
    found = ds[name].values
    assert np.isnan(found[..., 0]).all()
    np.testing.assert_allclose(found[..., 1:], truth[..., 1:], atol=0.6 if name == "psl" else 0.006)
    rules = {note.rule for note in understood.notes}
    assert rule is None or rule in rules


def tiny_negative_rain(case):
    ds = make("pr")
    case.save(ds.assign(pr=ds.pr.where(ds.lon > -9, -1e-9).assign_attrs(units="kg m-2 s-1")))
    case.ask("pr")


def decreasing_time(case):
    case.save(make().isel(time=slice(None, None, -1)))


def a_day_twice_alike(case):
    ds = make()
    case.save(ds.isel(time=[*range(10), 3, 4]))


def a_year_stored_twice(case):
    case.save(make(), "a.nc")
    case.save(make(), "a_copy.nc")


def overlap_alike(case):
    case.save(make().isel(time=slice(0, 6)), "a.nc")
    case.save(make().isel(time=slice(4, 10)), "b.nc")


def yyyymmdd(case):
    case.save(make().assign_coords(time=("time", 20000101 + np.arange(10))))


def yyyymmdd_of_cdo(case):
    attrs = {"units": "day as %Y%m%d.%f", "calendar": "proleptic_gregorian"}
    case.save(make().assign_coords(time=("time", 20000101.5 + np.arange(10), attrs)))


def length_one_dimensions(case):
    case.save(make().expand_dims(height=[2.0], member=[1]).transpose("time", ...))


def latitude_with(value):
    def build(case):
        lon2, lat2 = np.meshgrid(LON, LAT)
        lat2[0, 0] = lon2[0, 0] = value
        ds = make().rename(lat="y", lon="x").drop_vars(["y", "x"])
        case.save(ds.assign_coords(lat=(("y", "x"), lat2), lon=(("y", "x"), lon2)))

    build.__name__ = f"latitude_with_{value}"
    return build


def stamps_at_the_end(case):
    ds = make()
    end = ds.time + np.timedelta64(1, "D")
    ds = ds.assign_coords(time=end.values).assign(
        time_bnds=(("time", "bnds"), np.stack([ds.time.values, end.values], -1))
    )
    ds.time.attrs["bounds"] = "time_bnds"
    ds.time.encoding["units"] = "hours since 2000-01-01"
    case.save(ds)


def rain_in_mm_by_standard_name(case):
    ds = make("pr")
    attrs = {"units": "mm", "standard_name": "thickness_of_rainfall_amount"}
    case.save(ds.assign(pr=(ds.pr * 86400).assign_attrs(attrs)))
    case.ask("pr")


def levels_without_units(case):
    case.save(levels([1000, 850, 500], units=None))
    case.ask("ta850")


def geopotential(case):
    ds = make("ta").rename(ta="z500") * 0 + 54700.0
    ds.z500.attrs["units"] = "m**2 s**-2"
    case.save(ds)
    case.ask("zg500")


def other_periods(case):
    case.save(make("tas"), "a.nc")
    case.save(make("pr", start="1999-12-20", days=30), "b.nc")
    case.ask("tas", "pr")


def other_hours(case):
    case.save(make("tas"), "a.nc")
    case.save(make("pr", start="2000-01-01T12"), "b.nc")
    case.ask("tas", "pr")


def other_grids(case):
    case.save(make("tas"), "a.nc")
    case.save(make("psl", lat=LAT + 0.5, lon=LON - 0.5), "b.nc")
    case.ask("tas", "psl")


def hours_to_days(case):
    case.save(make(freq="6h", days=43))
    case.ask("tas", daily="mean")


def a_gap(case):
    case.save(make().isel(time=[0, 1, 2, 3, 7, 8, 9]))


def leap_day_absent(case):
    ds = make(start="2000-02-25")
    case.save(ds.isel(time=[i for i in range(10) if i != 4]))


def zarr_chunk_of_missing_values(case):
    ds = make().chunk(time=5)
    ds.tas.encoding["_FillValue"] = np.float32(np.nan)
    ds.to_zarr(case.folder / "a.zarr", consolidated=False)
    shutil.rmtree(case.folder / "a.zarr" / "tas" / "c" / "1")
    case.files = [str(case.folder / "a.zarr")]


def same_hours(ds):
    return bool((ds.time.dt.hour == 12).all())


REPAIRED = [
    (tiny_negative_rain, "negative-clipped", lambda ds: float(ds.pr.min()) == 0.0),
    (decreasing_time, "time-sorted", lambda ds: ds.tas.equals(make().tas)),
    (a_day_twice_alike, "duplicate-dropped", lambda ds: ds.tas.equals(make().tas)),
    (a_year_stored_twice, "overlap-dropped", lambda ds: ds.tas.equals(make().tas)),
    (overlap_alike, "overlap-dropped", lambda ds: ds.tas.equals(make().tas)),
    (yyyymmdd, "time-from-yyyymmdd", lambda ds: ds.indexes["time"].equals(make().indexes["time"])),
    (yyyymmdd_of_cdo, "time-from-yyyymmdd", same_hours),
    (length_one_dimensions, "extra-dimension-dropped", lambda ds: ds.tas.dims[0] == "time"),
    (latitude_with(1e20), "hidden-cells", lambda ds: ds.tas.shape == (10, 39)),
    (latitude_with(9.96921e36), "hidden-cells", lambda ds: ds.tas.shape == (10, 39)),
    (latitude_with(np.nan), "hidden-cells", lambda ds: ds.tas.shape == (10, 39)),
    (stamps_at_the_end, "stamp-to-middle", same_hours),
    (rain_in_mm_by_standard_name, "amount-divided", lambda ds: 8 < float(ds.pr.max()) < 8.65),
    (levels_without_units, "level-units-assumed", lambda ds: np.allclose(ds.ta850, 285.0)),
    (geopotential, "geopotential", lambda ds: np.allclose(ds.zg500, 5577.85, atol=0.01)),
    (other_periods, "periods-differ", lambda ds: ds.sizes["time"] == 10),
    (other_hours, "stamp-aligned", lambda ds: ds.indexes["time"].equals(make().indexes["time"])),
    (other_grids, "regridded", lambda ds: ds.psl.dims == ds.tas.dims),
    (integers, "integers", lambda ds: ds.psl.dtype == np.float32),
    (hours_to_days, "daily", lambda ds: ds.sizes["time"] == 10),
    (rain_a_hundred_times_too_small, "units-doubtful", lambda ds: 0 < ds.pr.max() < 1),
    (a_gap, "gap", lambda ds: ds.sizes["time"] == 7),
    (leap_day_absent, "leap-days-absent", lambda ds: ds.sizes["time"] == 9),
    (
        zarr_chunk_of_missing_values,
        "chunks-absent",
        lambda ds: int(np.isnan(ds.tas).all(["lat", "lon"]).sum()) == 5,
    ),
]


@pytest.mark.parametrize(
    ("build", "rule", "holds"), REPAIRED, ids=[r[0].__name__ for r in REPAIRED]
)
def test_it_is_repaired_and_said(build, rule, holds, tmp_path):
    case = Case(tmp_path)
    build(case)
    ds, understood = case.read()
    ds = ds.load()
    assert holds(ds)
    said = [note for note in understood.notes if note.rule == rule]
    assert said and re.search(re.escape(str(tmp_path)), str(said[0]))


def test_a_name_that_contradicts_its_cell_methods_passes_when_stated(tmp_path):
    case = Case(tmp_path)
    tas_that_is_a_maximum(case)
    case.ask("tas", rename={"tas": "tas"})
    assert "tas" in case.read()[0]


def test_a_chosen_member_is_that_member(tmp_path):
    case = Case(tmp_path)
    three_members(case)
    case.ask("tas", select={"member": 2})
    np.testing.assert_array_equal(case.read()[0].tas, make(seed=2).tas)


def test_every_rule_is_applied_somewhere():
    folder = Path(rules.__file__).parents[1]
    code = "".join(p.read_text() for p in folder.rglob("*.py") if p.name != "rules.py")
    unused = [r for r in (*REFUSALS, *REPAIRS, *NOTICES) if f'"{r}"' not in code]
    assert not unused
