"""netCDF files and zarr stores, created at full length and filled with days as they come."""

import itertools
from collections.abc import Callable, Hashable, Iterator, Mapping
from contextlib import nullcontext, suppress
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from graphdown.cf.encoding import FILL_VALUE, descriptions, encodings


def outline(first: xr.Dataset, time: xr.Dataset) -> xr.Dataset:
    """Dataset like its first part, but with all times, its fields without values yet.

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
    whole = xr.Dataset({**fields, **still.data_vars}, still.coords, still.attrs)
    return whole.assign_coords(time.coords)


class Rows:
    """Fields of an open file, filled with days a row of chunks at a time.

    Args:
        file: the open file, a mapping from names of fields to arrays.
        lock: acquired while the file is used.
        chunks: sizes of a chunk from time on, for each field.
        start: the first day, at which a chunk begins.
        at: index along the dimensions before time, for fields that are filled one index at a time.

    Attributes:
        written: the day before which each field is written.
    """

    def __init__(
        self,
        file: Any,
        lock: Any,
        chunks: Mapping[Hashable, tuple[int, ...]],
        start: int = 0,
        at: tuple[int, ...] = (),
    ) -> None:
        self._file, self._lock, self._at = file, lock, at
        self._chunks = chunks
        self._waiting: dict[Hashable, np.ndarray] = {}
        self._count = dict.fromkeys(chunks, 0)
        self.written = dict.fromkeys(chunks, start)

    def append(self, part: xr.Dataset) -> None:
        """Add the next times of the fields."""
        for name, (length, *_) in self._chunks.items():
            values = part[name].values
            while len(values):
                values = values[self._take(name, values, length) :]
                if self._count[name] == length:
                    self._put(name)

    def finish(self) -> None:
        """Write the days that wait for others."""
        for name, count in self._count.items():
            if count:
                self._put(name)

    def _take(self, name: Hashable, values: np.ndarray, length: int) -> int:
        """Let as many days wait as the row has room for; return their number."""
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
        for space in self._spaces(name, rows.shape[1:]):
            with self._lock:
                self._file[name][(*self._at, slice(start, end), *space)] = rows[:, *space]
        self.written[name], self._count[name] = end, 0

    def _spaces(self, name: Hashable, shape: tuple[int, ...]) -> Iterator[tuple[slice, ...]]:
        """Place of each chunk in space: one at a time, since each is copied."""
        sizes = self._chunks[name][1:]
        pairs = zip(shape, sizes, strict=True)
        yield from itertools.product(
            *([slice(k, k + size) for k in range(0, length, size)] for length, size in pairs)
        )


class Growing(Rows):
    """A new output with all its coordinates, whose fields are written whole chunks at a time.

    Args:
        path: a name in .nc or .zarr.
        whole: the dataset to be, see `outline`.
        classic: whether a netCDF file keeps to the classic data model, as archives demand.
    """

    def __init__(self, path: Path, whole: xr.Dataset, classic: bool = False) -> None:
        file: Any
        lock: Any
        if path.suffix == ".zarr":
            chunks = new_zarr(path, whole)
            file, self._close = opened_zarr(path)
            lock = nullcontext()
        else:
            file, self._close, lock, chunks = _new_netcdf(path, whole, classic)
        super().__init__(file, lock, chunks)

    def finish(self) -> None:
        """Write the days that wait for others, and close the output."""
        super().finish()
        with self._lock:
            self._close()

    def abandon(self) -> None:
        """Close an output that is not finished."""
        with self._lock, suppress(OSError, RuntimeError):
            self._close()


def new_zarr(path: Path, whole: xr.Dataset) -> dict[Hashable, tuple[int, ...]]:
    """Create a store with coordinates and no values; return the fields' chunks from time on."""
    bare, encoding = _described(whole, zarr=True)
    bare.to_zarr(path, mode="w", zarr_format=2, consolidated=True, encoding=encoding, compute=False)
    return _from_time_on(whole, {name: encoding[name]["chunks"] for name in _growing(whole)})


def opened_zarr(path: Path) -> tuple[dict[Hashable, Any], Callable[[], Any]]:
    """Arrays of a store, to be filled, and a function that closes it.

    Chunks without any value are written too, so that one that is absent is known to be lost.
    """
    import zarr

    with zarr.config.set({"array.write_empty_chunks": True}):
        group = zarr.open_group(path, mode="r+", zarr_format=2, use_consolidated=False)
        return dict(group.arrays()), group.store.close


def _new_netcdf(
    path: Path, whole: xr.Dataset, classic: bool
) -> tuple[Any, Any, Any, dict[Hashable, tuple[int, ...]]]:
    """The file, a function that closes it, the lock of the HDF5 library, and the fields' chunks."""
    import netCDF4

    bare, encoding = _described(whole, zarr=False)
    file = netCDF4.Dataset(path, "w", format="NETCDF4_CLASSIC" if classic else "NETCDF4")
    store = xr.backends.NetCDF4DataStore(file)
    bare.dump_to_store(store, encoding=encoding, unlimited_dims=["time"])
    file.set_auto_maskandscale(False)
    chunks = {name: encoding[name]["chunksizes"] for name in _growing(whole)}
    return file, file.close, store.lock, _from_time_on(whole, chunks)


def _described(whole: xr.Dataset, zarr: bool) -> tuple[xr.Dataset, Any]:
    """Dataset without the encoding of the files it is from, and its own encoding."""
    bare = whole.drop_encoding()
    for name in descriptions(whole):
        bare[name].encoding["coordinates"] = None
    return bare, encodings(whole, zarr)


def _growing(whole: xr.Dataset) -> list[Hashable]:
    """Names of the fields of an outline that have no values yet."""
    return [name for name, field in whole.data_vars.items() if field.chunks is not None]


def _from_time_on(
    whole: xr.Dataset, chunks: Mapping[Hashable, tuple[int, ...]]
) -> dict[Hashable, tuple[int, ...]]:
    """Sizes of a chunk of each field without those of the dimensions before time."""
    return {name: sizes[whole[name].dims.index("time") :] for name, sizes in chunks.items()}
