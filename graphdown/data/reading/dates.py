"""Dates of any calendar: their calendar, days, distances and steps."""

import datetime
from typing import Any

import numpy as np
import xarray as xr

REAL_CALENDARS = ("standard", "gregorian", "proleptic_gregorian")
DAY = 86400.0


def is_date(times: np.ndarray) -> bool:
    """Whether an array holds dates already."""
    return np.issubdtype(times.dtype, np.datetime64) or (
        times.dtype == object and bool(times.size) and hasattr(times.flat[0], "calendar")
    )


def calendar_of(time: xr.DataArray) -> str:
    """Calendar of the times; the real ones are all called "standard"."""
    calendar = str(time.dt.calendar)
    aliases = {"365_day": "noleap", "366_day": "all_leap"}
    return "standard" if calendar in REAL_CALENDARS else aliases.get(calendar, calendar)


def days_of(time: xr.DataArray) -> np.ndarray:
    """Date of each time as text YYYY-MM-DD [time]."""
    if np.issubdtype(time.dtype, np.datetime64):
        return time.values.astype("datetime64[D]").astype(str)
    return np.asarray([f"{t.year:04d}-{t.month:02d}-{t.day:02d}" for t in time.values])


def seconds_of(time: xr.DataArray) -> np.ndarray:
    """Seconds since the first time, float64 [time]."""
    return seconds_between(time.values[:1], time.values)


def seconds_between(earlier: np.ndarray, later: np.ndarray) -> np.ndarray:
    """Seconds from dates to later dates of the same calendar, float64, broadcast."""
    if np.issubdtype(later.dtype, np.datetime64):
        return (later - earlier) / np.timedelta64(1, "us") / 1e6
    pairs = zip(*np.broadcast_arrays(earlier, later), strict=True)
    return np.asarray([(b - a).total_seconds() for a, b in pairs], np.float64)


def shifted(times: np.ndarray, seconds: np.ndarray) -> np.ndarray:
    """Dates [time] that many seconds later."""
    by: Any = np.round(np.asarray(seconds, np.float64) * 1e6).astype("timedelta64[us]")
    return times + (by if times.dtype != object else by.astype(object))


def to_second(times: np.ndarray) -> np.ndarray:
    """Dates rounded to whole seconds."""
    if np.issubdtype(times.dtype, np.datetime64):
        fine = times.astype("datetime64[us]")
        return (fine + np.timedelta64(500, "ms")).astype("datetime64[s]").astype("datetime64[us]")
    half = datetime.timedelta(milliseconds=500)
    flat = [(t + half).replace(microsecond=0) for t in times.ravel()]
    rounded = np.empty(len(flat), object)
    rounded[:] = flat
    return rounded.reshape(times.shape)


def second_of_day(time: xr.DataArray) -> np.ndarray:
    """Seconds since 00 UTC of each time's day, int64 [time]."""
    clock = time.dt
    return (3600 * clock.hour + 60 * clock.minute + clock.second).values.astype(np.int64)


def step_of(time: xr.DataArray) -> float | None:
    """Usual step between sorted times in seconds, None for a single time."""
    return None if time.size < 2 else float(np.median(np.diff(seconds_of(time))))


def step_name(step: float | None) -> str:
    """Words for a step in seconds, such as daily or 6-hourly."""
    if step is None:
        return "a single time"
    if step < 0.98 * DAY:
        hours = step / 3600.0
        return f"{hours:g}-hourly" if hours != 1 else "hourly"
    named = {1: "daily", 28: "monthly", 29: "monthly", 30: "monthly", 31: "monthly"}
    days = round(step / DAY)
    return named.get(days, "yearly" if 359 <= days <= 366 else f"{days}-daily")
