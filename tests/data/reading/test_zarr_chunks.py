"""Zarr stores: fill values, chunks that were never written and chunks that got lost."""

import shutil
from pathlib import Path

import numpy as np
import pytest
import xarray as xr
import zarr
from hypothesis import given, settings
from hypothesis import strategies as st

from graphdown.data.reading.fields import read_files
from graphdown.data.reading.file_request import Request
from graphdown.errors import DataError

from ..files import make

CASES = Path(__file__).parents[1] / "cases"
SHAPE = (8, 6, 8)


def read(path, *names, **options):
    ds, understood = read_files([str(path)], Request(names, **options))
    return ds.load(), [note.rule for note in understood.notes]


@pytest.mark.parametrize("name", ["zero_fill.zarr", "zero_fill2.zarr"])
def test_a_fill_value_of_zero_that_nothing_declares_is_a_number(name):
    ds, rules = read(CASES / name, "pr")
    assert not rules and ds.pr.notnull().all()
    assert (ds.pr == 0).any() and 0.0 in ds.lon
    if name == "zero_fill2.zarr":
        np.testing.assert_allclose(ds.pr.mean(), 2.233, atol=5e-4)


def test_a_whole_sharded_store_is_whole():
    ds, rules = read(CASES / "sharded_int.zarr", "psl")
    assert ds.psl.notnull().all() and "chunks-absent" not in rules


def test_a_sharded_store_that_lacks_shards_is_refused():
    with pytest.raises(DataError, match="2 of 8 shards of 'pr' are absent .*copy the") as caught:
        read(CASES / "sharded_lost.zarr", "pr")
    assert caught.value.rule == "chunk-missing"


def test_a_store_as_xarray_writes_it_by_default_is_whole():
    ds, rules = read(CASES / "cordex_v3.zarr", "tas", "pr")
    assert not rules and bool(ds.notnull().to_array().all())


@pytest.mark.parametrize("zarr_format", [2, 3])
def test_what_is_declared_missing_is_missing_and_what_is_packed_is_unpacked(tmp_path, zarr_format):
    ds = make("tas")
    ds["tas"] = ds.tas.where(ds.lon > -9)
    packed = {"dtype": "int16", "scale_factor": 0.01, "add_offset": 250.0, "_FillValue": 0}
    path = tmp_path / "a.zarr"
    ds.to_zarr(path, zarr_format=zarr_format, encoding={"tas": packed}, consolidated=False)
    made, _ = read(path, "tas")
    np.testing.assert_allclose(made.tas, ds.tas, atol=0.006)


def store(path, values, units, name, zarr_format, chunks, fill, sharded, empty):
    """Write a store of one variable with zarr itself."""
    group = zarr.open_group(path, mode="w", zarr_format=zarr_format)
    ds = make(name if name != "snowline" else "tas", days=SHAPE[0], lat=36.0 + np.arange(SHAPE[1]))
    axes = {
        "time": (np.arange(SHAPE[0], dtype=float), {"units": "days since 2000-01-01"}),
        "lat": (ds.lat.values, ds.lat.attrs),
        "lon": (ds.lon.values, ds.lon.attrs),
    }
    for axis, (points, attrs) in axes.items():
        _create(group, axis, points, attrs, (axis,), {"fill_value": -1.0})
    options = {"chunks": chunks, "fill_value": fill, "config": {"write_empty_chunks": empty}}
    if sharded:
        options["shards"] = tuple(2 * n for n in chunks)
    _create(group, name, values, {"units": units}, tuple(axes), options)
    return path


def _create(group, name, values, attrs, dims, options):
    version = group.metadata.zarr_format
    named = {"dimension_names": dims} if version == 3 else {}
    array = group.create_array(name, shape=values.shape, dtype=values.dtype, **named, **options)
    array[...] = values
    told = {"_ARRAY_DIMENSIONS": list(dims)} if version == 2 else {}
    array.attrs.update({**attrs, **told})


def chunk_files(path, name):
    folder = path / name
    files = [f for f in folder.rglob("*") if f.is_file()]
    return sorted(f for f in files if f.name not in ("zarr.json", ".zarray", ".zattrs"))


@st.composite
def layouts(draw):
    zarr_format = draw(st.sampled_from([2, 3]))
    return {
        "zarr_format": zarr_format,
        "chunks": tuple(draw(st.sampled_from([1, 2, 3, 4])) for _ in SHAPE),
        "sharded": zarr_format == 3 and draw(st.booleans()),
        "fill": 0.0,
    }


@settings(max_examples=25, deadline=None)
@given(layouts(), st.integers(0, 2**32 - 1))
def test_chunks_that_were_not_written_because_they_are_dry_are_dry(tmp_path_factory, layout, seed):
    random = np.random.default_rng(seed)
    rain = random.gamma(0.5, 8.0, SHAPE).astype("f4")
    dry = random.integers(1, SHAPE[0])
    rain[:dry] = 0.0
    rain[:, : random.integers(1, SHAPE[1])] = 0.0
    if not rain.any():
        return
    path = tmp_path_factory.mktemp("dry") / "a.zarr"
    store(path, rain, "mm day-1", "pr", empty=False, **{**layout, "sharded": False})
    made, rules = read(path, "pr")
    np.testing.assert_array_equal(made.pr, rain)
    assert set(rules) <= {"chunks-absent"}


@settings(max_examples=25, deadline=None)
@given(layouts(), st.sampled_from(["tas", "psl"]), st.integers(0, 2**32 - 1))
def test_lost_chunks_of_what_is_never_zero_are_refused(tmp_path_factory, layout, name, seed):
    random = np.random.default_rng(seed)
    values = random.uniform(*((270, 300) if name == "tas" else (99e3, 103e3)), SHAPE).astype("f4")
    path = tmp_path_factory.mktemp("lost") / "a.zarr"
    store(path, values, {"tas": "K", "psl": "Pa"}[name], name, empty=False, **layout)
    np.testing.assert_array_equal(read(path, name)[0][name], values)
    files = chunk_files(path, name)
    for file in random.choice(files, random.integers(1, len(files) + 1), replace=False):
        file.unlink()
    with pytest.raises(DataError) as caught:
        read(path, name)
    assert caught.value.rule == "chunk-missing"


@settings(max_examples=15, deadline=None)
@given(layouts(), st.integers(0, 2**32 - 1))
def test_lost_shards_amid_rain_are_refused(tmp_path_factory, layout, seed):
    random = np.random.default_rng(seed)
    rain = random.gamma(0.5, 8.0, SHAPE).astype("f4") * (random.random(SHAPE) < 0.8)
    path = tmp_path_factory.mktemp("lost") / "a.zarr"
    sharded = {**layout, "zarr_format": 3, "sharded": True, "chunks": (2, 2, 2)}
    store(path, rain.astype("f4"), "mm day-1", "pr", empty=False, **sharded)
    random.choice(chunk_files(path, "pr")).unlink()
    with pytest.raises(DataError, match="1 of 8 shards of 'pr' are absent") as caught:
        read(path, "pr")
    assert caught.value.rule == "chunk-missing"


def test_a_lost_chunk_is_told_where_dry_ones_were_written(tmp_path):
    rain = np.random.default_rng(0).gamma(0.5, 8.0, SHAPE).astype("f4")
    rain[:4] = 0.0
    options = {"zarr_format": 2, "chunks": (2, 6, 8), "fill": 0.0, "sharded": False, "empty": True}
    path = store(tmp_path / "a.zarr", rain, "mm day-1", "pr", **options)
    chunk_files(path, "pr")[-1].unlink()
    with pytest.raises(DataError, match="chunks of that value were written elsewhere"):
        read(path, "pr")


def test_chunks_of_another_variable_do_not_matter(tmp_path):
    ds = make("tas", "psl").chunk(time=5)
    ds.to_zarr(tmp_path / "a.zarr", consolidated=False)
    shutil.rmtree(tmp_path / "a.zarr" / "psl" / "c" / "1")
    assert read(tmp_path / "a.zarr", "tas")[0].tas.notnull().all()


def test_lost_chunks_of_a_coordinate_are_refused(tmp_path):
    make("tas").to_zarr(tmp_path / "a.zarr", consolidated=False)
    shutil.rmtree(tmp_path / "a.zarr" / "lat" / "c")
    with pytest.raises(DataError, match="of the coordinate 'lat' are absent") as caught:
        read(tmp_path / "a.zarr", "tas")
    assert caught.value.rule == "chunk-missing"


def test_values_stay_on_disk_until_they_are_read(tmp_path):
    make("tas").to_zarr(tmp_path / "a.zarr", consolidated=False)
    ds, _ = read_files([str(tmp_path / "a.zarr")], Request(("tas",)))
    assert ds.tas.chunks is not None
    xr.testing.assert_allclose(ds.tas.load(), make("tas").tas)
