"""Canonical values that are checked as they are read: each value, at no second read."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import xarray as xr

from graphdown.data.reading.cleaning import Cleaning, extremes
from graphdown.data.reading.dates import days_of
from graphdown.data.reading.rules import counted, refuse
from graphdown.data.reading.series import ORIGIN
from graphdown.data.reading.units import meant_units
from graphdown.variables.catalogue import describe


@dataclass(frozen=True, eq=False)
class Whereabouts:
    """Files and dates of the times of a field, for messages.

    Attributes:
        places: where the field is from.
        numbers: which of them each time is from [time]; empty without times.
        time: the times; None without.
    """

    places: tuple[str, ...]
    numbers: np.ndarray
    time: xr.DataArray | None

    @classmethod
    def of(cls, field: xr.DataArray, places: Sequence[str]) -> "Whereabouts":
        """Those of a field that has the coordinate ORIGIN if there are several places."""
        if "time" not in field.dims:
            return cls(tuple(places), np.zeros(0, int), None)
        time = field["time"].reset_coords(drop=True)
        numbers = field[ORIGIN].values if ORIGIN in field.coords else np.zeros(time.size, int)
        return cls(tuple(places), numbers, time)

    def __dask_tokenize__(self) -> object:
        """Token by identity: the times of a century take long to hash."""
        return "graphdown.whereabouts", id(self)

    def words(self, steps: np.ndarray) -> str:
        """Words for the first of some steps, as in "tas.nc on 2001-01-07"."""
        if self.time is None or not steps.size:
            return self.places[0]
        step = int(steps.min())
        day = days_of(self.time.isel(time=slice(step, step + 1)))[0]
        more = len(np.unique(steps)) - 1
        others = f" and {counted(more, 'other time')} read with it" if more else ""
        return f"{self.places[int(self.numbers[step])]} on {day}{others}"


def checked_lazily(
    cleaning: Cleaning,
    field: xr.DataArray,
    places: Sequence[str],
    found: xr.DataArray | None = None,
) -> xr.DataArray:
    """Canonical values of a field, float32, read lazily where the field is.

    Reading a value that the variable cannot have raises a DataError, which names file and day.

    Args:
        cleaning: of the field's values.
        field: [time, ...] or without time, as in its files.
        places: the files; the coordinate ORIGIN is the number of each time's.
        found: the cleaning to use, with codes of missing values that are not known yet; see
            `graphdown.data.reading.late_look`.
    """
    whereabouts = Whereabouts.of(field, places)
    steps: tuple[xr.DataArray, ...] = ()
    if whereabouts.time is not None:
        number = xr.DataArray(np.arange(field.sizes["time"]), dims="time")
        steps = (number.chunk(time=field.variable.chunksizes["time"]) if field.chunks else number,)
    block = partial(_checked_block, cleaning=cleaning, whereabouts=whereabouts)
    late: tuple[xr.DataArray, ...] = ()
    if found is not None:
        block, late = partial(_with_found, block), (found,)
    out = xr.apply_ufunc(
        block,
        *late,
        field,
        *steps,
        dask="parallelized",
        output_dtypes=[np.float32],
        keep_attrs=True,
    )
    return out.assign_attrs(units=cleaning.conversion.canonical)


def _checked_block(
    raw: np.ndarray, *numbers: np.ndarray, cleaning: Cleaning, whereabouts: Whereabouts
) -> np.ndarray:
    values = cleaning.block(raw)
    _check(cleaning.name, raw, values, numbers, whereabouts)
    return values


def _with_found(
    block: Callable[..., np.ndarray], found: Cleaning, raw: np.ndarray, *numbers: np.ndarray
) -> np.ndarray:
    return block(raw, *numbers, cleaning=found)


def _check(
    name: str, raw: np.ndarray, values: np.ndarray, numbers: Any, whereabouts: Whereabouts
) -> None:
    """Refuse canonical values outside the range of the variable."""
    least, greatest = describe(name).plausible
    low, high = extremes(values)
    if (least <= low and high <= greatest) or low > high:
        return
    outside = (values < least) | (values > greatest)
    steps = np.broadcast_to(numbers[0], values.shape)[outside] if numbers else np.zeros(0, int)
    wrong, as_stored = values[outside], raw[outside].astype(np.float64)
    units = meant_units(name, float(as_stored.min()), float(as_stored.max()))
    looks = "" if units is None else f"the units there look like {units}, so "
    raise refuse(
        "out-of-range",
        f"{whereabouts.words(steps)}: {name!r} has values {_span(wrong)} in its canonical units, "
        f"which should lie between {least:g} and {greatest:g}; {looks}correct or drop them.",
    )


def _span(values: np.ndarray) -> str:
    low, high = float(values.min()), float(values.max())
    return f"of {low:.4g}" if low == high else f"from {low:.4g} to {high:.4g}"
