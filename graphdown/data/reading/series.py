"""Files that differ in their times only, treated as one.

An archive with a file per day has thousands of files with the same variables. The metadata of one
are valid for all of a series; only times and values are read from each.
"""

import hashlib
from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import xarray as xr
from xarray.backends import BackendArray
from xarray.core import indexing

from graphdown.data.reading.dates import calendar_of
from graphdown.data.reading.files import Piece

ORIGIN = "_origin"


@dataclass(frozen=True)
class Series:
    """One or several pieces, one after the other in time.

    Attributes:
        pieces: in the order of their times.
        ds: their variables, not read yet; those with times have the coordinate ORIGIN [time], the
            index in `pieces` of the one that has the time.
    """

    pieces: tuple[Piece, ...]
    ds: xr.Dataset

    @property
    def places(self) -> tuple[str, ...]:
        """Where the pieces are from."""
        return tuple(piece.where for piece in self.pieces)

    @property
    def where(self) -> str:
        """Where it is from, for messages about all of it."""
        more = len(set(self.places)) - 1
        return f"{self.places[0]} and {more} more" if more else self.places[0]


def series_of(pieces: Sequence[Piece]) -> list[Series]:
    """Join pieces to as few series as possible, in their order.

    Pieces belong together if they have the same variables with the same attributes and types on the
    same coordinates, and each begins after the one before has ended. A variable without time is
    the first piece's.

    Args:
        pieces: with their times decoded.
    """
    every: list[list[Piece]] = []
    latest: dict[Hashable, list[Piece]] = {}
    for piece in pieces:
        kind = _kind(piece.ds)
        chain = latest.get(kind)
        if chain is not None and _follows(piece.ds, chain[-1].ds):
            chain.append(piece)
            continue
        latest[kind] = [piece]
        every.append(latest[kind])
    return [_joined(chain) for chain in every]


def _kind(ds: xr.Dataset) -> Hashable:
    """Key that the pieces of one series have in common."""
    if "time" not in ds.dims or any(v.chunks is not None for v in ds.variables.values()):
        return object()  # dask arrays are not joined
    return (
        calendar_of(ds["time"]),
        tuple((n, *_layout(v), n in ds.coords) for n, v in ds.variables.items()),
        tuple(_digest(v) for n, v in ds.coords.variables.items() if "time" not in v.dims),
    )


def _layout(variable: xr.Variable) -> tuple[Hashable, ...]:
    sizes = tuple((d, n) for d, n in variable.sizes.items() if d != "time")
    return variable.dims, variable.dtype.str, sizes, repr(variable.attrs)


def _digest(variable: xr.Variable) -> Hashable:
    """Hash of a coordinate's numbers; a reference time may differ from file to file.

    Texts are left unread: netCDF-C crashes when a file that is opened twice is closed after texts
    of any length were read from it.
    """
    if variable.ndim == 0 and " since " in str(variable.attrs.get("units", "")):
        return None
    if variable.dtype.kind not in "biufcSUMm":
        return None
    return hashlib.sha256(variable.values.tobytes()).digest()


def _follows(ds: xr.Dataset, before: xr.Dataset) -> bool:
    times, earlier = ds.indexes["time"], before.indexes["time"]
    return bool(
        times.is_monotonic_increasing and earlier.is_monotonic_increasing and times[0] > earlier[-1]
    )


def _joined(chain: Sequence[Piece]) -> Series:
    first = chain[0].ds
    pieces = tuple(chain)
    if "time" not in first.dims:
        return Series(pieces, first)
    origin = np.repeat(np.arange(len(chain)), [piece.ds.sizes["time"] for piece in chain])
    ds = first
    if len(chain) > 1:
        every = {n: _one(n, chain) for n in first.variables}
        coords = {n: every.pop(n) for n in first.coords}
        ds = xr.Dataset(every, coords, first.attrs)
    return Series(pieces, ds.assign_coords({ORIGIN: ("time", origin)}))


def _one(name: Hashable, chain: Sequence[Piece]) -> xr.Variable:
    parts = [piece.ds.variables[name] for piece in chain]
    first = parts[0]
    if "time" not in first.dims:
        return first
    data: Any = indexing.LazilyIndexedArray(_Joined(parts))
    if name == "time":
        data = np.concatenate([part.values for part in parts])
    return xr.Variable(first.dims, data, first.attrs, first.encoding)


class _Joined(BackendArray):
    """Variables one after the other along time, read when and where they are indexed."""

    def __init__(self, parts: Sequence[xr.Variable]) -> None:
        self.parts = parts
        self.axis = parts[0].dims.index("time")
        self.ends = np.cumsum([part.sizes["time"] for part in parts])
        self.dtype = parts[0].dtype
        shape = list(parts[0].shape)
        shape[self.axis] = int(self.ends[-1])
        self.shape = tuple(shape)

    def __dask_tokenize__(self) -> object:
        return "graphdown.series", id(self)

    def __getitem__(self, key: indexing.ExplicitIndexer) -> np.ndarray:
        outer = indexing.IndexingSupport.OUTER
        return indexing.explicit_indexing_adapter(key, self.shape, outer, self._outer)

    def _outer(self, key: tuple[Any, ...]) -> np.ndarray:
        index = np.arange(self.shape[self.axis])[key[self.axis]]
        times = np.atleast_1d(index)
        number = np.searchsorted(self.ends, times, side="right")
        begins = self.ends - np.diff(self.ends, prepend=0)
        read = []
        for run in np.split(np.arange(len(times)), np.flatnonzero(np.diff(number)) + 1):
            part = number[run[0]] if len(run) else 0
            within = _as_slice(times[run] - begins[part])
            read.append(self.parts[part][(*key[: self.axis], within, *key[self.axis + 1 :])].values)
        along = sum(not isinstance(k, int | np.integer) for k in key[: self.axis])
        values = np.concatenate(read, axis=along)
        return values if index.ndim else np.take(values, 0, axis=along)


def _as_slice(index: np.ndarray) -> np.ndarray | slice:
    """Consecutive indices as a slice, which files read faster."""
    if len(index) and (np.diff(index) == 1).all():
        return slice(int(index[0]), int(index[-1]) + 1)
    return index
