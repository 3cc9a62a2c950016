"""Scratch file: fields that are kept on disk for a while, to be read by days or by places.

Neighbouring rows of a field lie together with all of their days, so that a block of some rows and
all days is read in a few pieces, and so is one of some days and all rows.
"""

import math
import os
import tempfile
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np
import xarray as xr

from graphdown.errors import GraphdownError
from graphdown.runtime.parts import parts_of

BAND_BYTES = 8 * 2**20  # of rows that lie together
DASK_DAYS = 64


@dataclass(frozen=True)
class ScratchArray:
    """Values [time, row, ...] of float32 in a scratch file.

    Attributes:
        file: descriptor of the file.
        start: offset in it, in bytes.
        shape: days, rows and further sizes.
        band: number of rows that lie together.
        refused: makes the error of a full disk.
    """

    file: int
    start: int
    shape: tuple[int, ...]
    band: int
    refused: Callable[[OSError], "ScratchError"]
    dtype: Any = np.dtype(np.float32)

    @property
    def ndim(self) -> int:
        """Number of dimensions."""
        return len(self.shape)

    @property
    def nbytes(self) -> int:
        """Size in the file."""
        return 4 * math.prod(self.shape)

    def __setitem__(self, index: tuple[slice, slice], values: np.ndarray) -> None:
        """Write values [days, row, ...] of consecutive days and of whole bands of rows.

        Raises:
            ScratchError: the disk is full.
        """
        days, rows = (range(n)[i] for n, i in zip(self.shape[:2], index, strict=True))
        for first, count in self._bands(rows.start, rows.stop):
            begin = first - rows.start
            band = np.ascontiguousarray(values[:, begin : begin + count], np.float32)
            if band.shape != (len(days), count, *self.shape[2:]):
                raise ValueError(f"Rows are written in bands of {self.band}, not as {index}.")
            self._write(band.data.cast("B"), self._offset(days.start, first, count))

    def _write(self, piece: memoryview, offset: int) -> None:
        try:
            while piece:
                written = os.pwrite(self.file, piece, offset)
                piece, offset = piece[written:], offset + written
        except OSError as error:
            raise self.refused(error) from error

    def __getitem__(self, index: tuple[Any, ...]) -> np.ndarray:
        (days, d), (rows, r) = (
            _span(np.arange(n)[i]) for n, i in zip(self.shape[:2], index[:2], strict=True)
        )
        values = np.empty((len(days), len(rows), *self.shape[2:]), np.float32)
        for first, count in self._bands(rows.start, rows.stop):
            size = 4 * len(days) * count * math.prod(self.shape[2:])
            piece = os.pread(self.file, size, self._offset(days.start, first, count))
            band = np.frombuffer(piece, np.float32).reshape(len(days), count, *self.shape[2:])
            begin, end = max(first, rows.start), min(first + count, rows.stop)
            values[:, begin - rows.start : end - rows.start] = band[:, begin - first : end - first]
        return values[:, r][d][(..., *index[2:])]

    def _bands(self, begin: int, end: int) -> Iterator[tuple[int, int]]:
        """First row and number of rows of the bands that hold some rows."""
        for first in range(begin // self.band * self.band, end, self.band):
            yield first, min(self.band, self.shape[1] - first)

    def _offset(self, day: int, first: int, rows: int) -> int:
        """Offset of a day in the band of so many rows that begins with a row."""
        return self.start + 4 * math.prod(self.shape[2:]) * (self.shape[0] * first + day * rows)


def _span(places: np.ndarray) -> tuple[range, Any]:
    """Least range that holds places, one number or several, and the places within it."""
    if not places.size:
        return range(0), slice(None)
    span = range(int(places.min()), int(places.max()) + 1)
    inside = places - span.start
    return span, slice(None) if np.array_equal(inside, range(len(span))) else inside


class ScratchError(GraphdownError):
    """The disk of a scratch file has no room, or cannot be written."""


class Scratch:
    """A file without a name for fields, gone when the block of `with` ends or the process dies.

    Args:
        folder: on whose disk it lies.
        advice: what to do if the disk is full, for the message.
    """

    def __init__(self, folder: Path, advice: str) -> None:
        self._folder, self._advice = folder, advice
        self._end = 0

    @property
    def path(self) -> Path:
        """Name that the file could have, for messages."""
        return self._folder / "scratch"

    def __enter__(self) -> Self:
        try:
            self._file = tempfile.TemporaryFile(dir=self._folder)
        except OSError as error:
            raise self._refused(error) from error
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._file.close()

    def keep(self, parts: Iterable[xr.Dataset], days: int) -> xr.Dataset:
        """Dataset whose fields [time, ...] lie in the file as float32, read lazily.

        Args:
            parts: some days of it at a time, with the same variables.
            days: how many there are in all.

        Raises:
            ScratchError: they cannot be written.
        """
        first, times, arrays = None, [], {}
        day = 0
        for part in parts:
            fields = {n: v.transpose("time", ...) for n, v in _timed(part).items()}
            if first is None:
                first, arrays = part, {n: self._created(v, days) for n, v in fields.items()}
            for name, array in arrays.items():
                array[day : day + part.sizes["time"], :] = fields[name].values
            times.append(part.drop_vars(list(part.data_vars)))
            day += part.sizes["time"]
        if first is None or day != days:
            raise ValueError(f"There are {day} days to keep, not {days}.")
        time = xr.concat(times, "time", coords="minimal", compat="override", join="override")
        lazy = {name: _lazy(array, first[name].variable) for name, array in arrays.items()}
        return first.drop_dims("time").assign_coords(time.coords).assign(lazy)

    def keep_lazy(self, ds: xr.Dataset) -> xr.Dataset:
        """Dataset whose fields [time, ...] lie in the file, unless they are in memory already.

        Raises:
            ScratchError: they cannot be written.
        """
        if all(variable.chunks is None for variable in ds.variables.values()):
            return ds
        return self.keep(parts_of(ds), ds.sizes["time"])

    def array(self, shape: tuple[int, ...], band: int) -> ScratchArray:
        """New array [time, row, ...] with so many rows in a band, in the place of a NumPy array."""
        array = ScratchArray(
            self._file.fileno(), self._end, shape, min(band, shape[1]), self._refused
        )
        self._end += array.nbytes
        return array

    def beside(self) -> "Scratch":
        """Another scratch file on the same disk."""
        return Scratch(self._folder, self._advice)

    def _created(self, like: xr.Variable, days: int) -> ScratchArray:
        """New array for fields like one [time, ...]."""
        rows, *rest = like.shape[1:]
        band = max(1, BAND_BYTES // (4 * days * math.prod(rest)))
        return self.array((days, rows, *rest), band)

    def _refused(self, error: OSError) -> "ScratchError":
        reason = error.strerror or " ".join(str(error).split())
        return ScratchError(
            f"The fields that are kept in {str(self._folder)!r} for a while were not written "
            f"({reason}); {self._advice}."
        )


def _timed(ds: xr.Dataset) -> dict[str, xr.Variable]:
    return {str(n): v.variable for n, v in ds.data_vars.items() if "time" in v.dims}


def _lazy(array: ScratchArray, like: xr.Variable) -> xr.Variable:
    import dask.array as da

    chunks = (DASK_DAYS, array.band, *array.shape[2:])
    values = da.from_array(array, chunks, name=False, meta=np.empty((0,) * array.ndim, np.float32))
    return xr.Variable(like.transpose("time", ...).dims, values, like.attrs)
