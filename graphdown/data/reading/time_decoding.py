"""Times in files to dates: numbers with units, yyyymmdd, and text."""

import re
import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from graphdown.data.reading.dates import REAL_CALENDARS, is_date, to_second
from graphdown.data.reading.rules import Notes, refuse
from graphdown.data.reading.time_bounds import with_intervals
from graphdown.data.reading.time_dimensions import YYYYMMDD, by_time_axis, is_since
from graphdown.errors import DataError
from meshes.grids.conventions import bounds_label

CALENDARS = (*REAL_CALENDARS, "julian", "noleap", "365_day", "all_leap", "366_day", "360_day")
OTHER_CALENDARS = {"360": "360_day", "365": "noleap", "366": "all_leap", "no_leap": "noleap"}
OTHER_CALENDARS |= {"360day": "360_day", "360days": "360_day", "360_days": "360_day"}
OTHER_CALENDARS |= {"365_days": "noleap", "366_days": "all_leap"}
ISO = re.compile(
    r"(?P<year>\d{4})-?(?P<month>\d\d)-?(?P<day>\d\d)"
    r"([T_ ]+(?P<hour>\d\d)(:?(?P<minute>\d\d)(:?(?P<second>\d\d)(\.\d*)?)?)?)?"
    r"\s*(Z|UTC|(?P<sign>[+-])(?P<east>\d\d):?(?P<east_minute>\d\d)?)?"
)


def with_times(ds: xr.Dataset, where: str, notes: Notes) -> list[xr.Dataset]:
    """Datasets of a file, one for each of its time axes, which is decoded and called "time".

    Bounds of the times stay, decoded like the times.

    Raises:
        DataError: the times have no units, cannot be decoded or are missing.
    """
    return [_with_dates(part, where, notes) for part in by_time_axis(ds, where)]


def _with_dates(ds: xr.Dataset, where: str, notes: Notes) -> xr.Dataset:
    if "time" not in ds.dims:
        return ds
    if not ds.sizes["time"]:
        raise refuse("empty", f"{where}: there is no time in it; check the file.")
    if not is_date(ds["time"].values):
        ds = _decoded(ds, where, notes)
    if pd.isnull(ds["time"].values).any():
        raise _absent(where)
    return with_intervals(_rounded(ds), where, notes)


def _absent(where: str) -> DataError:
    return refuse(
        "time-undecodable", f"{where}: some times are missing; write them or drop those steps."
    )


def _rounded(ds: xr.Dataset) -> xr.Dataset:
    """Dataset with times and their bounds in whole seconds: 8 ms before midnight is midnight."""
    for name in ("time", bounds_label(ds["time"].variable)):
        if name not in ds.variables or not is_date(ds[name].values):
            continue
        variable = ds[name].variable
        if not pd.isnull(variable.values).any():
            whole = to_second(variable.values)
            if not np.array_equal(whole, variable.values):
                ds = ds.assign_coords({name: variable.copy(data=whole)})
    return ds


def _decoded(ds: xr.Dataset, where: str, notes: Notes) -> xr.Dataset:
    raw = ds["time"].values
    if raw.dtype.kind == "m":
        raise _without_units(ds, where)
    if not np.issubdtype(raw.dtype, np.number):
        return _from_text(ds, where)
    if np.isnan(raw.astype(np.float64)).any():
        raise _absent(where)
    ds = _with_known_calendar(ds, where, notes)
    units = str(ds["time"].attrs.get("units", ""))
    if YYYYMMDD.fullmatch(units) or (not is_since(units) and _are_yyyymmdd(raw)):
        return _from_yyyymmdd(ds, raw, where, notes)
    if not is_since(units):
        raise _without_units(ds, where)
    return _from_numbers(_with_lower_case_units(ds, units, where, notes), where)


def _without_units(ds: xr.Dataset, where: str) -> DataError:
    raw = ds["time"].values
    if raw.min() >= 1000 and raw.max() < 3000:
        return refuse(
            "time-undecodable",
            f"{where}: the times are years as numbers ({raw[0]:g} ...), from which no day "
            "can be derived; write them as 'days since' a date.",
        )
    return refuse(
        "time-units-missing",
        f"{where}: the times have no units such as 'days since 1850-01-01' (they run from "
        f"{raw.min():g} to {raw.max():g}); add them, as with ncatted or xarray.",
    )


def _with_known_calendar(ds: xr.Dataset, where: str, notes: Notes) -> xr.Dataset:
    """Dataset whose times have a calendar of CF, by another of its names if need be."""
    stated = ds["time"].attrs.get("calendar")
    name = str(stated).strip().lower()
    if stated is None or stated in CALENDARS:
        return ds
    calendar = OTHER_CALENDARS.get(name, name)
    if calendar not in CALENDARS:
        known = ", ".join(CALENDARS)
        reason = "has no dates" if name == "none" else "is not one of CF"
        raise refuse(
            "time-undecodable",
            f"{where}: the calendar {str(stated)!r} {reason}; set the attribute 'calendar' of the "
            f"times to one of {known}.",
        )
    if calendar != name:
        notes.add("calendar-name", where, f"the calendar {str(stated)!r} is read as {calendar!r}")
    return _with_attribute(ds, "calendar", calendar)


def _with_lower_case_units(ds: xr.Dataset, units: str, where: str, notes: Notes) -> xr.Dataset:
    words = re.split(r"(?i)\s+since\s+", units.strip(), maxsplit=1)
    if len(words) != 2:
        return ds
    lower = f"{words[0].lower()} since {words[1]}"
    if lower == units.strip():
        return ds
    notes.add("time-units-spelling", where, f"the time units {units!r} are read as {lower!r}")
    return _with_attribute(ds, "units", lower)


def _with_attribute(ds: xr.Dataset, key: str, value: str) -> xr.Dataset:
    """Dataset with an attribute of its times, and of their bounds where they repeat it, changed."""
    changed = {}
    for name in ("time", bounds_label(ds["time"].variable)):
        if name in ds.variables and (name == "time" or key in ds[name].attrs):
            changed[name] = ds[name].variable.copy(deep=False)
            changed[name].attrs = {**changed[name].attrs, key: value}
    return ds.assign_coords(time=changed.pop("time")).assign(changed)


def _from_numbers(ds: xr.Dataset, where: str) -> xr.Dataset:
    times = [n for n in ("time", bounds_label(ds["time"].variable)) if n in ds.variables]
    coder = xr.coders.CFDatetimeCoder(time_unit="us")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            part = xr.decode_cf(ds[times], decode_times=coder, decode_timedelta=False).load()
    except (ValueError, OverflowError, KeyError, TypeError) as error:
        reason = " ".join(str(error).split())
        units = ds["time"].attrs["units"]
        calendar = ds["time"].attrs.get("calendar", "standard")
        raise refuse(
            "time-undecodable",
            f"{where}: times in {units!r} with the calendar {calendar!r} cannot be turned into "
            f"dates ({reason[:120].rstrip('.')}); write them as 'days since' a date.",
        ) from None
    out = ds.assign_coords(time=part["time"])
    return out.assign({n: part[n] for n in times[1:]})


def _from_text(ds: xr.Dataset, where: str) -> xr.Dataset:
    values = ds["time"].values.ravel()
    texts = [t.decode() if isinstance(t, bytes) else str(t) for t in values]
    calendar = str(ds["time"].attrs.get("calendar", "standard")).lower()
    try:
        times = _dates([_parsed(text) for text in texts], calendar)
    except ValueError:
        raise refuse(
            "time-undecodable",
            f"{where}: the times are text that is no date ({texts[0]!r}); "
            "write them as 'days since' a date.",
        ) from None
    return ds.assign_coords(time=("time", times, _undated(ds["time"].attrs)))


def _parsed(text: str) -> tuple[int, ...]:
    """Year, month, day, and seconds since its 00 UTC, of a date as in ISO 8601.

    Raises:
        ValueError: the text is no date.
    """
    found = ISO.fullmatch(text.strip(" \0"))
    if found is None:
        raise ValueError(text)
    part = {key: int(value or 0) for key, value in found.groupdict().items() if key != "sign"}
    east = 60 * (60 * part["east"] + part["east_minute"]) * (-1 if found["sign"] == "-" else 1)
    seconds = 3600 * part["hour"] + 60 * part["minute"] + part["second"] - east
    return part["year"], part["month"], part["day"], seconds


def _dates(parts: Sequence[tuple[int, ...]], calendar: str) -> Any:
    """Dates [time] from year, month, day, and seconds since 00 UTC.

    Raises:
        ValueError: the calendar is unknown or lacks a date.
    """
    if calendar in REAL_CALENDARS:
        days = np.asarray([f"{y:04d}-{m:02d}-{d:02d}" for y, m, d, _ in parts], "datetime64[us]")
        return days + np.asarray([s for *_, s in parts]) * np.timedelta64(1, "s")
    import datetime

    import cftime

    return xr.CFTimeIndex(
        [
            cftime.datetime(y, m, d, calendar=calendar) + datetime.timedelta(seconds=s)
            for y, m, d, s in parts
        ]
    )


def _undated(attrs: dict[str, Any]) -> dict[str, Any]:
    return {k: v for k, v in attrs.items() if k not in ("units", "calendar")}


def _are_yyyymmdd(raw: np.ndarray) -> bool:
    whole = np.floor(raw.astype(np.float64))
    month, day = (whole // 100) % 100, whole % 100
    return bool(
        (whole >= 1e7).all()
        and (whole < 1e8).all()
        and ((month >= 1) & (month <= 12) & (day >= 1) & (day <= 31)).all()
    )


def _from_yyyymmdd(ds: xr.Dataset, raw: np.ndarray, where: str, notes: Notes) -> xr.Dataset:
    calendar = str(ds["time"].attrs.get("calendar", "standard"))
    exact = raw.astype(np.float64)
    whole = np.floor(exact)
    seconds = 3600 * np.round((exact - whole) * 24.0).astype(int)
    parts = [
        (int(d) // 10000, int(d) // 100 % 100, int(d) % 100, int(s))
        for d, s in zip(whole, seconds, strict=True)
    ]
    try:
        times = _dates(parts, calendar)
    except ValueError as error:
        raise refuse(
            "time-undecodable",
            f"{where}: the times are written as yyyymmdd, but one is no date ({error}); correct "
            "it.",
        ) from None
    notes.add("time-from-yyyymmdd", where, "the times are read as yyyymmdd")
    return ds.assign_coords(time=("time", times, _undated(ds["time"].attrs)))
