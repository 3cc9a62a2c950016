"""Intervals that values cover, from the bounds of the times or from GRIB; stamps in them."""

from typing import TypeVar

import numpy as np
import pandas as pd
import xarray as xr

from graphdown.data.reading.dates import is_date, seconds_between, shifted
from graphdown.data.reading.rules import Notes, are, counted
from meshes.grids.conventions import bounds_label

# Coordinates along time: seconds from the stamp to the ends of what a value covers.
BEGIN, END = "_interval_begin", "_interval_end"
SLACK = 1.0  # seconds

Timed = TypeVar("Timed", xr.DataArray, xr.Dataset)


def with_intervals(ds: xr.Dataset, where: str, notes: Notes) -> xr.Dataset:
    """Dataset with the coordinates BEGIN and END if the file says what its values cover.

    Stamps at the end of their interval move to its middle, each by itself. The state at a run's
    start, whose bounds have no length, is left out.
    """
    if BEGIN not in ds.coords:
        ds = _from_bounds(ds, where, notes)
    if BEGIN not in ds.coords:
        return ds
    empty = ds[END].values - ds[BEGIN].values < SLACK
    if empty.any():
        count = int(empty.sum())
        text = f"{counted(count, 'time')} whose bounds have no length {are(count)} left out"
        notes.add("instant-left-out", where, text)
        ds = ds.isel(time=np.flatnonzero(~empty))
    at_end = np.abs(ds[END].values) < SLACK
    if at_end.any():
        notes.add("stamp-to-middle", where, "time stamps move from the end of their interval")
        ds = in_middle(ds, at_end)
    return ds


def in_middle(ds: Timed, which: np.ndarray) -> Timed:
    """Dataset or field whose stamps are in the middle of their intervals for some times [time]."""
    begin, end = ds[BEGIN].values, ds[END].values
    by = np.where(which, (begin + end) / 2, 0.0)
    time = ds["time"].variable
    times = xr.Variable("time", shifted(time.values, by), time.attrs, time.encoding)
    return with_span(ds.assign_coords(time=times), begin - by, end - by)


def with_span(ds: Timed, begin: np.ndarray, end: np.ndarray) -> Timed:
    """Dataset or field with the seconds from its stamps to the ends of what they cover [time]."""
    return ds.assign_coords({BEGIN: ("time", begin), END: ("time", end)})


def _from_bounds(ds: xr.Dataset, where: str, notes: Notes) -> xr.Dataset:
    name = bounds_label(ds["time"].variable)
    if name not in ds.variables or ds[name].ndim != 2 or not is_date(ds[name].values):
        return ds
    bounds = ds[name].transpose("time", ...).values
    if pd.isnull(bounds).any():
        return ds
    stamps = ds["time"].values
    ends = np.stack([seconds_between(stamps, bounds[:, i]) for i in (0, -1)])
    begin, end = ends.min(axis=0), ends.max(axis=0)
    if not (end - begin >= SLACK).any():
        return ds
    if (begin > SLACK).any() or (end < -SLACK).any():
        notes.add("bounds-outside", where, "time bounds that do not contain their time are ignored")
        return ds
    return with_span(ds, begin, end)
