"""netCDF files and zarr stores that are made as a whole and filled with days as these come."""

from collections.abc import Callable, Hashable
from contextlib import nullcontext, suppress
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from graphdown.encoding import FILL_VALUE, descriptions, encodings
from graphdown.regroup import Waiting

# A file, what closes it, and a lock to be held for either.
_Opened = tuple[Any, Callable[[], Any], Any]


def outline(first: xr.Dataset, time: xr.Dataset) -> xr.Dataset:
    """Return a dataset like its first part, but of all times, its fields of no values yet.

    Args:
        first: some times of the fields [time, ...].
        time: the coordinate `time` of all times, and its bounds, if any.
    """
    import dask.array as da

    fields = {
        name: (
            field.dims,
            da.zeros((time.sizes["time"], *field.shape[1:]), dtype=field.dtype, chunks=-1),
            field.attrs,
        )
        for name, field in first.data_vars.items()
        if "time" in field.dims
    }
    still = first.drop_dims("time")
    every = xr.Dataset({**fields, **still.data_vars}, still.coords, still.attrs)
    return every.assign_coords(time.coords)


class Growing:
    """A new output with all its coordinates, whose fields are written whole chunks at a time.

    Args:
        path: a name in .nc or .zarr.
        whole: the dataset to be, see `outline`.
    """

    def __init__(self, path: Path, whole: xr.Dataset) -> None:
        zarr = path.suffix == ".zarr"
        encoding = encodings(whole, zarr)
        bare = whole.drop_encoding()
        for name in descriptions(whole):
            bare[name].encoding["coordinates"] = None
        self._file, self._close, self._lock = (_new_zarr if zarr else _new_netcdf)(
            path, bare, encoding
        )
        sizes = "chunks" if zarr else "chunksizes"
        self._waiting = {
            name: Waiting(encoding[name][sizes][0])
            for name, field in whole.data_vars.items()
            if field.chunks is not None
        }
        self._written = dict.fromkeys(self._waiting, 0)

    def append(self, part: xr.Dataset) -> None:
        """Take the next times of the fields."""
        for name, waiting in self._waiting.items():
            for rows in waiting.add(part[name].values):
                self._put(name, rows)

    def finish(self) -> None:
        """Write what waits for others, and close the output."""
        for name, waiting in self._waiting.items():
            rest = waiting.rest()
            if rest is not None:
                self._put(name, rest)
        with self._lock:
            self._close()

    def abandon(self) -> None:
        """Close an output that is not finished."""
        with self._lock, suppress(OSError, RuntimeError):
            self._close()

    def _put(self, name: Hashable, rows: np.ndarray) -> None:
        start, end = self._written[name], self._written[name] + len(rows)
        if rows.dtype.kind == "f":
            rows = np.where(np.isnan(rows), rows.dtype.type(FILL_VALUE), rows)
        with self._lock:
            self._file[name][start:end] = rows
        self._written[name] = end


def _new_netcdf(path: Path, bare: xr.Dataset, encoding: Any) -> _Opened:
    """Return the file, what closes it, and the lock that keeps HDF5 from being read meanwhile."""
    import netCDF4

    file = netCDF4.Dataset(path, "w")
    store = xr.backends.NetCDF4DataStore(file)
    bare.dump_to_store(store, encoding=encoding, unlimited_dims=["time"])
    file.set_auto_maskandscale(False)
    return file, file.close, store.lock


def _new_zarr(path: Path, bare: xr.Dataset, encoding: Any) -> _Opened:
    import zarr

    bare.to_zarr(path, mode="w", zarr_format=2, consolidated=True, encoding=encoding, compute=False)
    group = zarr.open_group(path, mode="r+", zarr_format=2, use_consolidated=False)
    return group, group.store.close, nullcontext()
