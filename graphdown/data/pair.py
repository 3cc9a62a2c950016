"""Bring the same days of two datasets together."""

from collections.abc import Iterable, Sequence

import numpy as np
import xarray as xr

from graphdown.data.times import days_of
from graphdown.errors import DataError


def select_period(ds: xr.Dataset, period: Sequence[str], where: str) -> xr.Dataset:
    """Return the part of a dataset within [first, last] (inclusive dates or months).

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
    """Return the times that lie in any of the periods [first, last] (inclusive)."""
    keep = np.zeros(ds.sizes["time"], dtype=bool)
    for first, last in periods:
        keep[ds.indexes["time"].slice_indexer(first, last)] = True
    return ds.isel(time=np.flatnonzero(keep))


def unpaired(coarse: xr.Dataset, fine: xr.Dataset) -> tuple[int, int]:
    """Return how many days of the source and of the target have no partner.

    Raises:
        DataError: several times in one day.
    """
    left, right = _days(coarse, "source"), _days(fine, "target")
    common = len(np.intersect1d(left, right, assume_unique=True))
    return len(left) - common, len(right) - common


def pair(coarse: xr.Dataset, fine: xr.Dataset) -> tuple[xr.Dataset, xr.Dataset]:
    """Return both datasets on the calendar days that both have, in order.

    A day is matched by year, month and day, whatever the hour of its time stamp and the calendar;
    a day without a partner is dropped.

    Raises:
        DataError: no day in common, or several times in one day.
    """
    days = [_days(coarse, "source"), _days(fine, "target")]
    _, left, right = np.intersect1d(days[0], days[1], assume_unique=True, return_indices=True)
    if len(left) == 0:
        raise DataError(
            f"The source ({days[0][0]} to {days[0][-1]}) and the target ({days[1][0]} to "
            f"{days[1][-1]}) have no day in common; choose files of the same period."
        )
    return coarse.isel(time=left), fine.isel(time=right)


def _days(ds: xr.Dataset, what: str) -> np.ndarray:
    days = days_of(ds["time"])
    unique, counts = np.unique(days, return_counts=True)
    if counts.max(initial=1) > 1:
        raise DataError(
            f"The {what} has {counts.max()} times on {unique[counts.argmax()]}; give daily values."
        )
    return days
