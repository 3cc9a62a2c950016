"""A look at a few times of a lazy field that is taken when its values are, not before."""

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import numpy as np
import xarray as xr

from graphdown.data.reading.cleaning import Cleaning, Sample, check_range, check_size
from graphdown.data.reading.fill_codes import codes_in
from graphdown.data.reading.rules import Notes, log_notes

if TYPE_CHECKING:
    import dask.array as da


def cleaning_later(cleaning: Cleaning, raw: xr.DataArray, where: str, times: int) -> xr.DataArray:
    """Cleaning with the fill codes of a lazy field, as a lazy array [] that holds the object.

    Values out of range in the times looked at raise a DataError when it is computed; what is
    repaired, and units that are doubtful, are logged then.

    Args:
        cleaning: of the field's values.
        raw: [time, ...] or without time, a dask array.
        where: for messages.
        times: number of times to look at.
    """
    few = at_some_times(raw, times)
    return xr.DataArray(late(_looked_at, *few, cleaning=cleaning, where=where))


def at_some_times(field: xr.DataArray, count: int) -> list["da.Array"]:
    """Values of a lazy field at a few times [1, ...], first and last among them."""
    if "time" not in field.dims:
        return [field.data[None]]
    field, last = field.transpose("time", ...), field.sizes["time"] - 1
    rows = np.unique(np.linspace(0, last, count).astype(int))
    # Single slices: dask makes a shuffle of several rows.
    return [field.data[row : row + 1] for row in rows]


def is_lazy(ds: xr.Dataset) -> bool:
    """Whether a dataset holds dask arrays."""
    return any(field.chunks is not None for field in ds.data_vars.values())


def without_days(ds: xr.Dataset) -> xr.Dataset:
    """Fields [0, *horizontal] with names, types and grid of those [time, *horizontal] given."""
    bare = ds.drop_vars([n for n, c in ds.coords.items() if "time" in c.dims])
    sizes = {**bare.sizes, "time": 0}
    empty = {
        name: field.variable.copy(data=np.empty([sizes[d] for d in field.dims], field.dtype))
        for name, field in bare.isel(time=slice(0, 0)).data_vars.items()
    }
    return bare.isel(time=slice(0, 0)).assign(empty).compute()


def late(function: Callable[..., Any], *arrays: "da.Array", **plain: Any) -> "da.Array":
    """Result of a function, any object, as a dask array [] that blocks of others can be given.

    Args:
        function: of the values of the arrays and of the plain arguments.
        arrays: handed over whole.
        plain: further arguments, best small.
    """
    import dask.array as da

    pairs: list[Any] = []
    for number, array in enumerate(arrays):
        pairs += [array.rechunk(-1), [(number, axis) for axis in range(array.ndim)]]
    return da.blockwise(
        partial(function, **plain),
        [],
        *pairs,
        concatenate=True,
        align_arrays=False,
        dtype=object,
        meta=np.empty((), object),
        name=f"graphdown-{uuid4().hex}",
    )


def shared(value: Any) -> "da.Array":
    """Any object as a dask array [], of which each process gets one."""
    import dask
    import dask.array as da

    leaf = dask.delayed(value, traverse=False, name=f"graphdown-{uuid4().hex}")
    return da.from_delayed(leaf, (), object)


def _looked_at(*few: np.ndarray, cleaning: Cleaning, where: str) -> Cleaning:
    values, notes = np.concatenate(few), Notes()
    cleaning = replace(cleaning, codes=codes_in([values]))
    canonical = cleaning.block(values)
    check_range(cleaning.name, canonical, where, values)
    cleaning.note(values, where, notes)
    sample = Sample(cleaning.name).and_in(canonical)
    if not sample.empty:
        check_size(sample, cleaning.conversion, where, notes)
    log_notes(notes.listed())
    return cleaning
