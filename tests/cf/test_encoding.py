import dask.array
import netCDF4
import numpy as np
import pytest
import xarray as xr

from graphdown.cf.encoding import CHUNK_BYTES, ROW_BYTES, ROW_TIMES, chunk_sizes, encodings
from graphdown.output.writer import write

CENTURY = {"time": 36500, "rlat": 412, "rlon": 424}
SHAPES = [
    CENTURY,
    {"time": 1805, "lat": 28, "lon": 30},
    {"time": 1, "y": 3000, "x": 4000},
    {"time": 400, "y": 7, "x": 900},
    {"time": 40000, "station": 120},
    {"time": 54787, "y": 48, "x": 48},
    {"time": 3, "cell": 3_000_000},
    {"cell": 3_000_000, "vertices": 6},
]


@pytest.mark.parametrize("sizes", SHAPES)
def test_large_fields_are_cut_into_chunks_of_about_one_to_two_mib(sizes):
    chunks = chunk_sizes(sizes, itemsize=4)
    assert list(chunks) == list(sizes)
    assert all(1 <= chunks[d] <= sizes[d] for d in sizes)
    assert 0.4 * CHUNK_BYTES < 4 * np.prod(list(chunks.values())) <= CHUNK_BYTES


def test_a_map_and_a_time_series_touch_about_as_many_chunks():
    decade = {**CENTURY, "time": 3650}
    chunks = chunk_sizes(decade, itemsize=4)
    parts = {d: -(-decade[d] // chunks[d]) for d in decade}
    assert 0.7 < parts["time"] / (parts["rlat"] * parts["rlon"]) < 1.4
    assert 0.6 < chunks["rlat"] / chunks["rlon"] < 1.6


@pytest.mark.parametrize("years", [1, 10, 100, 1000])
def test_what_must_be_in_memory_to_write_whole_chunks_does_not_grow_with_the_years(years):
    sizes = {**CENTURY, "time": 365 * years}
    row = chunk_sizes(sizes, itemsize=4)["time"] * 4 * sizes["rlat"] * sizes["rlon"]
    assert row <= ROW_BYTES
    assert chunk_sizes({"time": 365 * years, "y": 48, "x": 48}, itemsize=4)["time"] <= ROW_TIMES


def test_small_fields_are_one_chunk():
    sizes = {"time": 365, "lat": 20, "lon": 30}
    assert chunk_sizes(sizes, itemsize=4) == sizes


def large(lazy):
    shape = (500, 40, 60)
    made = dask.array if lazy else np
    values = made.ones(shape, dtype=np.float32) * np.float32(3)
    time = xr.date_range("2000-01-01", periods=500)
    return xr.Dataset({"tas": (("time", "y", "x"), values)}, {"time": time})


@pytest.mark.parametrize("lazy", [False, True])
def test_files_have_these_chunks_and_are_compressed(lazy, tmp_path):
    ds = large(lazy)
    if lazy:
        ds = ds.chunk(time=7)
    chunks = tuple(chunk_sizes(dict(ds.sizes), 4).values())
    assert chunks != ds.tas.shape
    for ending in ("nc", "zarr"):
        write(ds, tmp_path / f"a.{ending}", "test")
    with netCDF4.Dataset(tmp_path / "a.nc") as raw:
        assert tuple(raw["tas"].chunking()) == chunks
        assert raw["tas"].filters()["zlib"] and raw["tas"].filters()["shuffle"]
        assert raw.dimensions["time"].isunlimited()
    with xr.open_zarr(tmp_path / "a.zarr") as store:
        assert store.tas.encoding["chunks"] == chunks
        assert store.tas.encoding["compressors"][0].cname == "zstd"
        assert (store.tas == 3).all()
    size = sum(f.stat().st_size for f in (tmp_path / "a.zarr").rglob("*") if f.is_file())
    assert max(size, (tmp_path / "a.nc").stat().st_size) < 0.1 * ds.tas.nbytes


@pytest.mark.parametrize(
    ("kept", "units"),
    [
        ({"units": "days since 1850-1-1"}, "days since 1850-01-01"),
        ({"units": "hours since 1900-01-01 00:00:00.0"}, "hours since 1900-01-01 00:00:00"),
        ({"units": "day since 1-1-1 12:00:00"}, "days since 0001-01-01 12:00:00"),
        ({"units": "months since 1980-01-01"}, "days since 1850-01-01"),
        ({}, "days since 1850-01-01"),
    ],
)
def test_units_of_dates_are_those_of_the_source_where_usable(kept, units):
    ds = large(lazy=False)
    ds["time"].encoding = kept
    assert encodings(ds, zarr=False)["time"]["units"] == units


def test_the_gregorian_calendar_is_called_standard():
    ds = large(lazy=False)
    ds["time"].encoding = {"calendar": "gregorian"}
    assert encodings(ds, zarr=False)["time"]["calendar"] == "standard"
    ds["time"].encoding = {}
    assert encodings(ds, zarr=False)["time"]["calendar"] == "proleptic_gregorian"
