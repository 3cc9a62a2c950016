"""netCDF files and zarr stores that are made as a whole and filled with days as these come."""

from collections.abc import Callable, Hashable, Mapping
from contextlib import nullcontext, suppress
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from graphdown.encoding import FILL_VALUE, descriptions, encodings


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


class Rows:
    """Fields of an open file, filled with days a row of chunks at a time.

    Args:
        file: gives the array of a field by its name.
        lock: to be held while the file is used.
        lengths: number of days in a chunk, for each field.
        start: the day to begin with, the first of a chunk.
        at: place along the dimensions before time, for fields that are filled one such place at a
            time.

    Attributes:
        written: the days up to which each field is written.
    """

    def __init__(
        self,
        file: Any,
        lock: Any,
        lengths: Mapping[Hashable, int],
        start: int = 0,
        at: tuple[int, ...] = (),
    ) -> None:
        self._file, self._lock, self._at = file, lock, at
        self._lengths = lengths
        self._waiting: dict[Hashable, np.ndarray] = {}
        self._count = dict.fromkeys(lengths, 0)
        self.written = dict.fromkeys(lengths, start)

    def append(self, part: xr.Dataset) -> None:
        """Take the next times of the fields."""
        for name, length in self._lengths.items():
            values = part[name].values
            while len(values):
                values = values[self._take(name, values, length) :]
                if self._count[name] == length:
                    self._put(name)

    def finish(self) -> None:
        """Write what waits for others."""
        for name, count in self._count.items():
            if count:
                self._put(name)

    def _take(self, name: Hashable, values: np.ndarray, length: int) -> int:
        """Let as many days wait as the row has room for; return how many those are."""
        if name not in self._waiting:
            self._waiting[name] = np.empty((length, *values.shape[1:]), values.dtype)
        count = self._count[name]
        taken = values[: length - count]
        self._waiting[name][count : count + len(taken)] = taken
        self._count[name] += len(taken)
        return len(taken)

    def _put(self, name: Hashable) -> None:
        rows = self._waiting[name][: self._count[name]]
        if rows.dtype.kind == "f":
            rows[np.isnan(rows)] = FILL_VALUE
        start, end = self.written[name], self.written[name] + len(rows)
        with self._lock:
            self._file[name][(*self._at, slice(start, end))] = rows
        self.written[name], self._count[name] = end, 0


class Growing(Rows):
    """A new output with all its coordinates, whose fields are written whole chunks at a time.

    Args:
        path: a name in .nc or .zarr.
        whole: the dataset to be, see `outline`.
    """

    def __init__(self, path: Path, whole: xr.Dataset) -> None:
        file: Any
        lock: Any
        if path.suffix == ".zarr":
            lengths = new_zarr(path, whole)
            file, self._close = opened_zarr(path)
            lock = nullcontext()
        else:
            file, self._close, lock, lengths = _new_netcdf(path, whole)
        super().__init__(file, lock, lengths)

    def finish(self) -> None:
        """Write what waits for others, and close the output."""
        super().finish()
        with self._lock:
            self._close()

    def abandon(self) -> None:
        """Close an output that is not finished."""
        with self._lock, suppress(OSError, RuntimeError):
            self._close()


def new_zarr(path: Path, whole: xr.Dataset) -> dict[Hashable, int]:
    """Make a store with coordinates and no values of the fields; return their days in a chunk."""
    bare, encoding = _described(whole, zarr=True)
    bare.to_zarr(path, mode="w", zarr_format=2, consolidated=True, encoding=encoding, compute=False)
    return _lengths(whole, {name: encoding[name]["chunks"] for name in _growing(whole)})


def opened_zarr(path: Path) -> tuple[dict[Hashable, Any], Callable[[], Any]]:
    """Return the arrays of a store, to be filled, and what closes it.

    Chunks without any value are written too, so that one that is absent is known to be lost.
    """
    import zarr

    with zarr.config.set({"array.write_empty_chunks": True}):
        group = zarr.open_group(path, mode="r+", zarr_format=2, use_consolidated=False)
        return dict(group.arrays()), group.store.close


def _new_netcdf(path: Path, whole: xr.Dataset) -> tuple[Any, Any, Any, dict[Hashable, int]]:
    """Return the file, what closes it, what keeps HDF5 from being read meanwhile, and lengths."""
    import netCDF4

    bare, encoding = _described(whole, zarr=False)
    file = netCDF4.Dataset(path, "w")
    store = xr.backends.NetCDF4DataStore(file)
    bare.dump_to_store(store, encoding=encoding, unlimited_dims=["time"])
    file.set_auto_maskandscale(False)
    lengths = _lengths(whole, {name: encoding[name]["chunksizes"] for name in _growing(whole)})
    return file, file.close, store.lock, lengths


def _described(whole: xr.Dataset, zarr: bool) -> tuple[xr.Dataset, Any]:
    """Return the dataset without the encoding of its files, and that of its own."""
    bare = whole.drop_encoding()
    for name in descriptions(whole):
        bare[name].encoding["coordinates"] = None
    return bare, encodings(whole, zarr)


def _growing(whole: xr.Dataset) -> list[Hashable]:
    """Return the names of the fields of an outline that have no values yet."""
    return [name for name, field in whole.data_vars.items() if field.chunks is not None]


def _lengths(whole: xr.Dataset, chunks: Mapping[Hashable, tuple[int, ...]]) -> dict[Hashable, int]:
    """Return the days in a chunk of each field."""
    return {name: sizes[whole[name].dims.index("time")] for name, sizes in chunks.items()}
