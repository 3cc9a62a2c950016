"""Values of fields in chunks, and samples of them at a few times."""

import math
from collections.abc import Iterator
from typing import TypeVar

import numpy as np
import xarray as xr

from graphdown.data.reading.files import unreadable
from graphdown.data.reading.series import ORIGIN

CHUNK_BYTES, CHUNK_TIMES = 8 * 2**20, 512

Fields = TypeVar("Fields", xr.DataArray, xr.Dataset)


def chunked(field: xr.DataArray) -> xr.DataArray:
    """Field in chunks of up to 8 MiB and 512 times, unless it is chunked already.

    They are multiples of the chunks in the file, and contain whole times unless one of the file's
    chunks along time would make them larger.
    """
    if field.chunks is not None:
        return field
    stored = field.encoding.get("preferred_chunks", {})
    sizes = {d: min(stored.get(d, 1 if d == "time" else n), n) for d, n in field.sizes.items()}
    for dim in sorted(sizes, key=lambda d: d == "time"):
        room = CHUNK_BYTES // (4 * math.prod(sizes.values()) or 1)
        if dim == "time":
            room = min(room, CHUNK_TIMES // sizes[dim])
        sizes[dim] = min(field.sizes[dim], sizes[dim] * max(1, room))
    return field.chunk(sizes)


def looks(field: xr.DataArray, count: int) -> Iterator[tuple[int, xr.DataArray]]:
    """Yield a few times of the field by file, up to 8 MiB each, with the number of the file."""
    few = some_times(field, count)
    if "time" not in few.dims:
        yield 0, few
        return
    cells = math.prod(n for d, n in few.sizes.items() if d != "time")
    most = max(1, CHUNK_BYTES // (4 * cells or 1))
    origin = few[ORIGIN].values
    for number in np.unique(origin):
        times = np.flatnonzero(origin == number)
        for start in range(0, len(times), most):
            yield int(number), few.isel(time=times[start : start + most])


def read_values(field: xr.DataArray, where: str) -> np.ndarray:
    """Values of a field.

    Raises:
        DataError: the file cannot be read.
    """
    try:
        return np.asarray(field.values)
    except (OSError, RuntimeError, EOFError) as error:
        raise unreadable(where, error) from None


def some_times(fields: Fields, count: int) -> Fields:
    """Field or dataset at a few times, first and last among them."""
    if "time" not in fields.dims:
        return fields
    return fields.isel(time=np.unique(np.linspace(0, fields.sizes["time"] - 1, count).astype(int)))
