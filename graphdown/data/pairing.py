"""Bring the same days of two datasets together."""

from collections.abc import Iterable, Sequence

import numpy as np
import xarray as xr

from graphdown.data.time_windows import step_labels
from graphdown.errors import DataError
from graphdown.variables.time_steps import DAY_HOURS


def select_period(ds: xr.Dataset, period: Sequence[str], where: str) -> xr.Dataset:
    """Part of a dataset within [first, last] (inclusive dates or months).

    Raises:
        DataError: no day of the dataset lies in the period.
    """
    part = ds.sel(time=slice(period[0], period[1]))
    if part.sizes["time"] == 0:
        first, last = (str(ds.time.values[i])[:10] for i in (0, -1))
        raise DataError(
            f"{where} [{period[0]}, {period[1]}] holds no day of the data, which run from {first} "
            f"to {last}; choose a period within."
        )
    return part


def within(ds: xr.Dataset, periods: Iterable[Sequence[str]]) -> xr.Dataset:
    """Times that lie in any of the periods [first, last] (inclusive)."""
    keep = np.zeros(ds.sizes["time"], dtype=bool)
    for first, last in periods:
        keep[ds.indexes["time"].slice_indexer(first, last)] = True
    return ds.isel(time=np.flatnonzero(keep))


def unpaired(coarse: xr.Dataset, fine: xr.Dataset, step_hours: int = DAY_HOURS) -> tuple[int, int]:
    """Number of steps of the source and of the target that have no partner.

    Raises:
        DataError: several times in one step.
    """
    left, right = _steps(coarse, "source", step_hours), _steps(fine, "target", step_hours)
    common = len(np.intersect1d(left, right, assume_unique=True))
    return len(left) - common, len(right) - common


def pair(
    coarse: xr.Dataset, fine: xr.Dataset, step_hours: int = DAY_HOURS
) -> tuple[xr.Dataset, xr.Dataset]:
    """Both datasets on the calendar days, or parts of days, that they have in common, in order.

    A day is matched by year, month and day, whatever the hour of its time stamp and the calendar;
    a day without a partner is dropped. So is a shorter step, see `graphdown.data.time_windows`.

    Raises:
        DataError: no step in common, or several times in one.
    """
    days = [_steps(coarse, "source", step_hours), _steps(fine, "target", step_hours)]
    _, left, right = np.intersect1d(days[0], days[1], assume_unique=True, return_indices=True)
    if len(left) == 0:
        raise DataError(
            f"The source ({days[0][0]} to {days[0][-1]}) and the target ({days[1][0]} to "
            f"{days[1][-1]}) have no day in common; choose files of the same period."
        )
    return coarse.isel(time=left), fine.isel(time=right)


def with_times_of(coarse: xr.Dataset, fine: xr.Dataset) -> xr.Dataset:
    """Fine fields of paired days with the time stamps of the coarse ones, bounds included."""
    bare = fine.drop_vars([n for n, v in fine.coords.items() if "time" in v.dims])
    timed = {n: v.variable for n, v in coarse.coords.items() if v.dims[:1] == ("time",)}
    return bare.assign_coords(timed)


def _steps(ds: xr.Dataset, what: str, hours: int) -> np.ndarray:
    steps = step_labels(ds["time"], hours)
    unique, counts = np.unique(steps, return_counts=True)
    if counts.max(initial=1) > 1:
        frequency = "daily" if hours == DAY_HOURS else f"{hours}-hourly"
        raise DataError(
            f"The {what} has {counts.max()} times on {unique[counts.argmax()]}; give {frequency} "
            "values."
        )
    return steps
