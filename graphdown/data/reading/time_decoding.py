"""Times in files to dates: decoding, stamps, order, gaps, daily values."""

import re
import warnings
from collections.abc import Hashable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from graphdown.data.reading.rules import Notes, refuse
from meshes.grids.conventions import bounds_label

NAMES = ("time", "valid_time", "Time", "TIME", "t", "XTIME", "date")
REAL_CALENDARS = ("standard", "gregorian", "proleptic_gregorian")
YYYYMMDD = re.compile(r"\s*day as %Y%m%d(\.%f)?\s*")
DAY = 86400.0


@dataclass(frozen=True)
class Gap:
    """A stretch without times.

    Attributes:
        after, before: the last date before and the first date after it.
        missing: number of steps that are absent.
    """

    after: str
    before: str
    missing: int


def with_time(ds: xr.Dataset, where: str, notes: Notes) -> xr.Dataset:
    """Dataset with its time axis, if it has one, decoded and called "time".

    Bounds of the times stay, decoded like the times.

    Raises:
        DataError: the times have no units, cannot be decoded or are missing.
    """
    name = _time_name(ds)
    if name is None:
        return ds
    ds = ds if name == "time" else _renamed(ds, name)
    if ds["time"].ndim == 0:
        ds = ds.expand_dims("time") if "time" not in ds.dims else ds
    if not ds.sizes["time"]:
        raise refuse("empty", f"{where}: there is no time in it; check the file.")
    if not is_date(ds["time"].values):
        ds = _decoded(ds, where, notes)
    if pd.isnull(ds["time"].values).any():
        raise refuse(
            "time-undecodable", f"{where}: some times are missing; write them or drop those steps."
        )
    return _middle(ds, where, notes)


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
    values = time.values
    if np.issubdtype(values.dtype, np.datetime64):
        return (values - values[0]) / np.timedelta64(1, "us") / 1e6
    return np.asarray([(t - values[0]).total_seconds() for t in values])


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


def gaps_of(time: xr.DataArray) -> list[Gap]:
    """Gaps in sorted times: steps longer than one and a half of the usual one."""
    step = step_of(time)
    if not step:
        return []
    steps, days = np.diff(seconds_of(time)), days_of(time)
    allowed = 1.5 * step if step < 27 * DAY else 1.2 * step
    return [
        Gap(str(days[i]), str(days[i + 1]), round(steps[i] / step) - 1)
        for i in np.flatnonzero(steps > allowed)
    ]


def note_gaps(time: xr.DataArray, where: str, notes: Notes) -> None:
    """Note the gaps in sorted times, absent leap days separately."""
    gaps = gaps_of(time)
    leap = [gap for gap in gaps if gap.missing == 1 and gap.after.endswith("02-28")]
    leap = [gap for gap in leap if gap.before.endswith("03-01")]
    if leap:
        text = f"{len(leap)} times 29 February is absent; those days have no partner"
        notes.add("leap-days-absent", where, text)
    others = [gap for gap in gaps if gap not in leap]
    if others:
        longest = max(others, key=lambda gap: gap.missing)
        count = f"{len(others)} gap{'s' * (len(others) > 1)}"
        text = f"{count}, the longest of {longest.missing} steps after {longest.after}"
        notes.add("gap", where, text)


def daily(field: xr.DataArray, method: str, where: str, notes: Notes) -> xr.DataArray:
    """Daily values, stamped at 12, from sorted sub-daily ones.

    Args:
        field: [time, ...].
        method: "mean", "max", "min" or "sum".
        where: for messages.
        notes: collects the number of days left out.
    """
    days = days_of(field["time"])
    unique, first, counts = np.unique(days, return_index=True, return_counts=True)
    if counts.max() == 1:
        return field
    usual = int(np.bincount(counts).argmax()) if len(unique) < 3 else int(np.median(counts))
    usual = max(usual, 2)
    full = unique[counts == usual]
    kept = field.isel(time=np.flatnonzero(np.isin(days, full)))
    out = getattr(kept.coarsen(time=usual), method)(keep_attrs=True)
    stamps = kept.indexes["time"][::usual].floor("D") + pd.Timedelta(hours=12)
    left = len(unique) - len(full)
    text = f"daily {method} of {usual} values" + (f"; {left} incomplete days left out" * (left > 0))
    notes.add("daily", where, text, str(field.name))
    return out.assign_coords(time=("time", stamps, field["time"].attrs))


def check_daily(ds: xr.Dataset, where: str) -> None:
    """Refuse times that are not daily.

    Raises:
        DataError: the usual step is not one day.
    """
    step = step_of(ds["time"])
    if step is not None and step > 1.5 * DAY:
        raise refuse(
            "not-daily",
            f"{where}: the values are {step_name(step)}, but daily ones are needed; give daily "
            "files.",
        )
    check_not_sub_daily(ds, where)


def check_not_sub_daily(ds: xr.Dataset, where: str) -> None:
    """Refuse several times a day.

    Raises:
        DataError: the usual step is shorter than a day.
    """
    step = step_of(ds["time"])
    if step is not None and step < 0.75 * DAY:
        raise refuse(
            "sub-daily",
            f"{where}: the values are {step_name(step)}, but daily ones are needed; add "
            "'daily: mean' beside the files (--daily mean on the command line), or give daily "
            "files.",
        )


def _time_name(ds: xr.Dataset) -> Hashable | None:
    for name in NAMES:
        if name in ds.variables and (name in ds.dims or ds[name].ndim == 0):
            return name
    import cf_xarray  # noqa: F401

    named = [n for n in ds.cf.standard_names.get("time", []) if ds[n].dims == (n,)]
    if named:
        return named[0]
    return next((n for n in NAMES if n in ds.dims), None)


def _renamed(ds: xr.Dataset, name: Hashable) -> xr.Dataset:
    """Dataset with its time axis called "time"; any other variable of that name is dropped."""
    return ds.drop_vars([n for n in ("time",) if n in ds.variables]).rename({name: "time"})


def _decoded(ds: xr.Dataset, where: str, notes: Notes) -> xr.Dataset:
    raw = ds["time"].values
    units = str(ds["time"].attrs.get("units", ""))
    if not np.issubdtype(raw.dtype, np.number):
        return _from_text(ds, where)
    if np.isnan(raw.astype(np.float64)).any():
        raise refuse(
            "time-undecodable", f"{where}: some times are missing; write them or drop those steps."
        )
    if YYYYMMDD.fullmatch(units) or (" since " not in units and _are_yyyymmdd(raw)):
        return _from_yyyymmdd(ds, raw, where, notes)
    if " since " not in units:
        if raw.min() >= 1000 and raw.max() < 3000:
            raise refuse(
                "time-undecodable",
                f"{where}: the times are years as numbers ({raw[0]:g} ...), from which no day "
                "can be derived; write them as 'days since' a date.",
            )
        raise refuse(
            "time-units-missing",
            f"{where}: the times have no units such as 'days since 1850-01-01' (they run from "
            f"{raw.min():g} to {raw.max():g}); add them, as with ncatted or xarray.",
        )
    times = [n for n in ("time", bounds_label(ds["time"].variable)) if n in ds.variables]
    coder = xr.coders.CFDatetimeCoder(time_unit="us")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            part = xr.decode_cf(ds[times], decode_times=coder, decode_timedelta=False).load()
    except (ValueError, OverflowError, KeyError, TypeError) as error:
        reason = " ".join(str(error).split())
        calendar = ds["time"].attrs.get("calendar", "standard")
        raise refuse(
            "time-undecodable",
            f"{where}: times in {units!r} with the calendar {calendar!r} cannot be turned into "
            f"dates ({reason[:120].rstrip('.')}); write them as 'days since' a date.",
        ) from None
    out = ds.assign_coords(time=part["time"])
    return out.assign({n: part[n] for n in times[1:]})


def _from_text(ds: xr.Dataset, where: str) -> xr.Dataset:
    try:
        times = pd.to_datetime([str(t) for t in ds["time"].values], format="ISO8601")
    except (ValueError, TypeError):
        raise refuse(
            "time-undecodable",
            f"{where}: the times are text that is no date ({str(ds['time'].values.flat[0])!r}); "
            "write them as 'days since' a date.",
        ) from None
    return ds.assign_coords(time=("time", times.to_numpy()))


def _are_yyyymmdd(raw: np.ndarray) -> bool:
    whole = np.floor(raw.astype(np.float64))
    month, day = (whole // 100) % 100, whole % 100
    return bool(
        (whole >= 1e7).all()
        and (whole < 1e8).all()
        and ((month >= 1) & (month <= 12) & (day >= 1) & (day <= 31)).all()
    )


def _from_yyyymmdd(ds: xr.Dataset, raw: np.ndarray, where: str, notes: Notes) -> xr.Dataset:
    import cftime

    calendar = str(ds["time"].attrs.get("calendar", "standard"))
    exact = raw.astype(np.float64)
    whole = np.floor(exact)
    hours = np.round((exact - whole) * 24.0).astype(int)
    parts = [(int(d) // 10000, int(d) // 100 % 100, int(d) % 100) for d in whole]
    try:
        if calendar in REAL_CALENDARS:
            texts = [f"{y:04d}-{m:02d}-{d:02d}" for y, m, d in parts]
            times: Any = np.asarray(texts, "datetime64[us]") + hours * np.timedelta64(1, "h")
        else:
            times = xr.CFTimeIndex(
                [
                    cftime.datetime(y, m, d, int(h), calendar=calendar)
                    for (y, m, d), h in zip(parts, hours, strict=True)
                ]
            )
    except ValueError as error:
        raise refuse(
            "time-undecodable",
            f"{where}: the times are written as yyyymmdd, but one is no date ({error}); correct "
            "it.",
        ) from None
    notes.add("time-from-yyyymmdd", where, "the times are read as yyyymmdd")
    attrs = {k: v for k, v in ds["time"].attrs.items() if k not in ("units", "calendar")}
    return ds.assign_coords(time=("time", times, attrs))


def _middle(ds: xr.Dataset, where: str, notes: Notes) -> xr.Dataset:
    """Move time stamps that stand at the end of their bounds to the middle."""
    bounds = bounds_label(ds["time"].variable)
    if bounds not in ds.variables or not is_date(ds[bounds].values):
        return ds
    low, high = ds[bounds].values[..., 0], ds[bounds].values[..., -1]
    stamps = ds["time"].values
    if pd.isnull(low).any() or not np.all((stamps == high) & (high > low)):
        return ds
    notes.add("stamp-to-middle", where, "time stamps move from the end of their interval")
    time = xr.Variable("time", low + (high - low) / 2, ds["time"].attrs, ds["time"].encoding)
    return ds.assign_coords(time=time)
