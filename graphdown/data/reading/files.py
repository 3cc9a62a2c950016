"""Files on disk to lazy datasets (netCDF, zarr and GRIB), with errors of one sentence."""

import glob
import os
import struct
import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
import xarray as xr

from graphdown.data.reading.groups import group_hint
from graphdown.data.reading.netcdf_classic import STARTS, expected_size
from graphdown.data.reading.remote import ZARR_MARKS, copied, is_store, is_url, urls_matching
from graphdown.data.reading.rules import refuse
from graphdown.data.reading.zarr_chunks import open_store
from graphdown.errors import DataError
from graphdown.runtime.subnormals import subnormals_kept

# Attributes that name other variables or their roles.
REFERENCES = (
    "standard_name",
    "axis",
    "positive",
    "coordinates",
    "bounds",
    "climatology",
    "grid_mapping",
    "cell_measures",
    "formula_terms",
)
GRIB_SUFFIXES = (".grib", ".grb", ".grib1", ".grb1", ".grib2", ".grb2")
NETCDF_STARTS = (b"CDF", b"\x89HDF")
CHUNK_CACHE = 2**20  # bytes
LARGEST_COPY = 256 * 2**20  # bytes of a file that may be copied to memory
# Errors that readers raise for broken files, or for attributes of a wrong type.
BROKEN = (
    OSError,
    ValueError,
    RuntimeError,
    TypeError,
    AttributeError,
    LookupError,
    ArithmeticError,
)


@dataclass(frozen=True)
class Piece:
    """A dataset and its origin.

    Attributes:
        where: its path, or words for a dataset in memory.
        ds: its variables, not read yet.
        close: closes its file, may be called repeatedly; reading after that opens it again.
    """

    where: str
    ds: xr.Dataset
    close: Callable[[], None] = lambda: None


def find_paths(files: Sequence[str]) -> list[str]:
    """Paths that names and globs match, each once.

    Raises:
        DataError: nothing matches, or a file may not be read.
    """
    paths: list[str] = []
    for pattern in files:
        if is_url(pattern):
            found = urls_matching(pattern)
        elif os.path.exists(pattern):
            found = [pattern]
        else:
            found = sorted(glob.glob(pattern, recursive=True))
        if not found:
            raise refuse("no-file", f"No file matches {pattern!r}; check the path.")
        paths += [path for path in found if path not in paths]
    for path in paths:
        if not is_url(path) and not os.access(path, os.R_OK):
            raise refuse(
                "no-permission",
                f"The file {path!r} may not be read; give yourself the permission (chmod u+r).",
            )
    return paths


def close_pieces(pieces: Iterable[Piece]) -> None:
    """Close the files of pieces: HDF5 does not allow writing to a file that is open."""
    for piece in pieces:
        piece.close()


def open_pieces(files: Sequence[str]) -> Iterator[Piece]:
    """Open files one by one, times not decoded, packed values and declared fill values decoded.

    Values are not read. A GRIB file gives one piece per set of levels.

    Raises:
        DataError: a file is missing, cannot be read or is empty.
    """
    for path in find_paths(files):
        for piece in _open(path):
            if not piece.ds.data_vars:
                piece.close()
                hint = group_hint(path) or "there is no variable in it; check the file"
                raise refuse("empty", f"{path}: {hint}.")
            yield piece


def unreadable(where: str, error: Exception) -> DataError:
    """Error for a file whose values cannot be read."""
    reason = " ".join(str(error).split()).rstrip(".")
    return refuse(
        "unreadable",
        f"{where}: the file cannot be read ({reason}); it may be cut off, so fetch or copy it "
        "again.",
    )


def _open(path: str) -> list[Piece]:
    if not is_url(path):
        return _open_path(path)
    if is_store(path):
        return [Piece(path, _open_zarr(path))]
    return [replace(piece, where=path) for piece in _open_path(copied(path))]


def _open_path(path: str) -> list[Piece]:
    start = b"" if os.path.isdir(path) else _first_bytes(path)
    if os.path.isdir(path):
        return [Piece(path, _open_zarr(path))]
    if Path(path).suffix.lower() in GRIB_SUFFIXES or start.startswith(b"GRIB"):
        return [Piece(path, ds) for ds in _open_grib(path)]
    return [_open_netcdf(path, start)]


def _first_bytes(path: str) -> bytes:
    with open(path, "rb") as file:
        start = file.read(8)
    if not start:
        raise refuse("unreadable", f"{path}: the file is empty (0 bytes); fetch or copy it again.")
    return start


def _open_netcdf(path: str, start: bytes) -> Piece:
    if start.startswith(STARTS):
        _check_whole(path)
    try:
        store = _store(path)
        texts = [name for name, variable in store.ds.variables.items() if variable.dtype is str]
        if not texts or os.path.getsize(path) > LARGEST_COPY:
            return Piece(path, _quietly(store), store.close)
        ds = _with_texts(_quietly(store, drop_variables=texts), path, texts)
        return Piece(path, ds, store.close)
    except BROKEN as error:
        if start.startswith(NETCDF_STARTS):
            raise unreadable(path, error) from None
        asked = "data files only"
        if path.endswith((".yaml", ".yml")):
            asked += ", and an experiment file by --experiment"
        raise refuse(
            "unreadable",
            f"{path}: this is neither netCDF nor zarr nor GRIB (it starts with {start!r}); give "
            f"{asked}.",
        ) from None


def _store(path: str) -> xr.backends.NetCDF4DataStore:
    """Open file, of which xarray keeps a few open and opens others again when they are read."""
    from xarray.backends.netCDF4_ import NETCDF4_PYTHON_LOCK as lock

    manager = xr.backends.CachingFileManager(
        _dataset_of_small_cache, path, mode="r", kwargs={}, lock=lock
    )
    return xr.backends.NetCDF4DataStore(manager, mode="r", lock=lock)


def _dataset_of_small_cache(path: str, mode: Literal["r"]) -> Any:
    """netCDF file whose variables keep CHUNK_CACHE bytes of chunks instead of 64 MiB each.

    Chunks are read whole and once; kept ones would add up over all files that are open.
    """
    import netCDF4

    usual = netCDF4.get_chunk_cache()
    netCDF4.set_chunk_cache(CHUNK_CACHE)
    try:
        return netCDF4.Dataset(path, mode=mode)
    finally:
        netCDF4.set_chunk_cache(*usual)


def _with_texts(ds: xr.Dataset, path: str, names: Sequence[str]) -> xr.Dataset:
    """Dataset with its texts of any length, read from a copy of the file in memory.

    netCDF-C crashes where such texts are read from a file that is opened twice, as in a notebook,
    and closed after that.
    """
    import netCDF4

    with netCDF4.Dataset("copy", memory=Path(path).read_bytes()) as copy:
        others = [name for name in copy.variables if name not in names]
        store = xr.backends.NetCDF4DataStore(copy)
        texts = _quietly(store, drop_variables=others).load()
        listed = {n for v in copy.variables.values() for n in getattr(v, "coordinates", "").split()}
    ds = ds.assign(texts.variables)
    return ds.set_coords([name for name in names if name in listed])


def _check_whole(path: str) -> None:
    """Refuse a classic netCDF file that ends before its values do."""
    try:
        with open(path, "rb") as file:
            expected = expected_size(file)
    except (struct.error, KeyError, IndexError):
        raise unreadable(path, OSError("its header is incomplete")) from None
    size = os.path.getsize(path)
    if size < expected:
        raise unreadable(path, OSError(f"{size} bytes, but its header says {expected}"))


def _open_zarr(path: str) -> xr.Dataset:
    if not is_url(path) and not any(os.path.exists(os.path.join(path, m)) for m in ZARR_MARKS):
        raise refuse(
            "unreadable",
            f"{path}: this is a folder but no zarr store; name the files in it, as in "
            f"'{os.path.join(path, '*.nc')}'.",
        )
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return _checked(open_store(path, chunks=None, cache=False, consolidated=False))
    except DataError:
        raise
    except BROKEN as error:
        raise unreadable(path, error) from None


def _open_grib(path: str) -> list[xr.Dataset]:
    try:
        with subnormals_kept():
            import cfgrib
    except (ImportError, RuntimeError):
        raise refuse(
            "grib-engine",
            f"{path}: reading GRIB needs cfgrib; install it with: pip install 'graphdown[grib]'",
        ) from None
    from graphdown.data.reading.grib import flat_in_time, with_step_ranges

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            # An empty index path keeps cfgrib from writing an index beside the data.
            parts = cfgrib.open_datasets(
                path,
                backend_kwargs={"indexpath": "", "errors": "ignore"},
                decode_times=False,
                decode_timedelta=False,
                chunks=None,
                cache=False,
            )
    except (*BROKEN, EOFError, cfgrib.DatasetBuildError) as e:
        raise unreadable(path, e) from None
    if not parts:
        raise refuse("unreadable", f"{path}: there is no GRIB message in it; fetch it again.")
    return with_step_ranges([flat_in_time(part) for part in parts], path)


def _quietly(store: xr.backends.NetCDF4DataStore, drop_variables: Sequence[str] = ()) -> xr.Dataset:
    """Open without decoding times and without warnings about fill values stated twice."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        ds = xr.open_dataset(
            store,
            chunks=None,
            cache=False,
            decode_times=False,
            decode_timedelta=False,
            drop_variables=list(drop_variables),
        )
    return _checked(ds)


def _checked(ds: xr.Dataset) -> xr.Dataset:
    """The dataset itself; raises a ValueError for attributes of a wrong type."""
    for name, variable in ds.variables.items():
        for key in ("scale_factor", "add_offset"):
            value = np.asarray(variable.encoding.get(key, 1.0))
            if value.dtype.kind not in "iuf" or value.size != 1:
                raise ValueError(
                    f"the attribute {key!r} of {name!r} is {str(value)!r}, not a number"
                )
        for key in REFERENCES:
            value = variable.attrs.get(key, variable.encoding.get(key, ""))
            if not isinstance(value, str):
                raise ValueError(f"the attribute {key!r} of {name!r} is {str(value)!r}, not text")
    return ds
