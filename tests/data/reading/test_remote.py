"""Inputs by URL: in memory, from a server, in places that are absent, without the package."""

import threading
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer

import fsspec
import numpy as np
import pytest
import xarray as xr

from graphdown.data import open_fields
from graphdown.data.sample_store import files_seen
from graphdown.errors import DataError, GraphdownError

from ..files import make


@pytest.fixture
def memory():
    fs = fsspec.filesystem("memory")
    yield fs
    fs.rm("/", recursive=True)


def put(fs, folder, name, ds):
    ds.to_netcdf(folder / name)
    fs.put_file(str(folder / name), f"/data/{name}")


def test_files_and_globs_in_memory_are_those_of_the_disk(memory, tmp_path):
    parts = make(days=6).isel(time=slice(3)), make(days=6).isel(time=slice(3, None))
    for name, part in zip(("a.nc", "b.nc"), parts, strict=True):
        put(memory, tmp_path, name, part)
    expected = open_fields([str(tmp_path / "*.nc")], ["tas"]).compute()
    xr.testing.assert_identical(open_fields(["memory://data/*.nc"], ["tas"]).compute(), expected)
    both = ["memory://data/a.nc", "memory://data/b.nc"]
    xr.testing.assert_identical(open_fields(both, ["tas"]).compute(), expected)
    before = files_seen(both)
    put(memory, tmp_path, "a.nc", parts[0] + 1)
    assert files_seen(both)[1] == before[1] and files_seen(both)[0] != before[0]


@pytest.mark.parametrize("form", [2, 3])
def test_a_store_is_read_in_place_and_its_absent_chunks_are_told(form, memory, tmp_path):
    ds = make(days=6).chunk(time=2)
    ds.to_zarr(tmp_path / "x.zarr", zarr_format=form, consolidated=False)
    memory.put(str(tmp_path / "x.zarr"), "/data/x.zarr", recursive=True)
    read = open_fields(["memory://data/x.zarr"], ["tas"])
    np.testing.assert_array_equal(read.tas, ds.tas)
    chunk = {2: "tas/1.0.0", 3: "tas/c/1/0/0"}[form]
    memory.rm(f"/data/x.zarr/{chunk}")
    (tmp_path / "x.zarr" / chunk).unlink()
    messages = []
    for path in (str(tmp_path / "x.zarr"), "memory://data/x.zarr"):
        try:
            messages.append(int(open_fields([path], ["tas"]).tas.isnull().sum()))
        except DataError as error:
            messages.append(str(error).replace(path, "x"))
    assert messages[0] == messages[1]


@pytest.fixture
def server(tmp_path):
    class Quiet(SimpleHTTPRequestHandler):
        def log_message(self, *words):
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(tmp_path))) as http:
        thread = threading.Thread(target=http.serve_forever, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{http.server_port}"
        http.shutdown()
        thread.join()


def test_a_server_gives_files_and_stores_and_a_sentence_for_what_it_lacks(server, tmp_path):
    pytest.importorskip("aiohttp", reason="the extra 'https' is absent")
    ds = make(days=6)
    ds.to_netcdf(tmp_path / "a.nc")
    ds.chunk(time=2).to_zarr(tmp_path / "x.zarr", zarr_format=3, consolidated=False)
    for name in ("a.nc", "x.zarr"):
        read = open_fields([f"{server}/{name}"], ["tas"])
        np.testing.assert_array_equal(read.tas, ds.tas)
    with pytest.raises(DataError, match="No file matches 'http.*/none.nc'"):
        open_fields([f"{server}/none.nc"], ["tas"])


def test_a_protocol_without_its_package_names_the_extra(monkeypatch):
    with pytest.raises(GraphdownError, match="nowhere://x: Protocol not known"):
        open_fields(["nowhere://x"], ["tas"])

    def absent(url):
        raise ImportError("Install s3fs to access S3")

    monkeypatch.setattr(fsspec.core, "url_to_fs", absent)
    with pytest.raises(GraphdownError, match=r"s3://.*needs another.*graphdown\[s3\]"):
        open_fields(["s3://bucket/a.nc"], ["tas"])
