"""Amounts to rates: running totals are differenced, totals of an interval divided by it."""

import datetime

import numpy as np
import xarray as xr

from graphdown.data.reading.cell_methods import method_of
from graphdown.data.reading.grib import LEAD, START
from graphdown.data.reading.rules import Notes
from graphdown.data.reading.time_decoding import DAY, days_of, seconds_of
from graphdown.data.reading.units import is_amount
from graphdown.variables.catalogue import describe

ROUNDING = 1e-3
FEW = 0.01


def as_rate(
    field: xr.DataArray, units: str | None, running: bool, where: str, notes: Notes
) -> tuple[xr.DataArray, str | None]:
    """Convert an amount to a rate; anything else is returned unchanged.

    Args:
        field: raw values [time, ...].
        units: of the file, or stated by the user.
        running: whether, as the user states, totals run up from 00 UTC of each day.
        where: for messages.
        notes: collects what was done.

    Returns:
        The field, and its units.
    """
    if units is None or "time" not in field.dims:
        return field, units
    rate = f"{'mm' if units.startswith('m of') else units} s-1"
    rate = "m s-1" if units.startswith("m of") else rate
    if running:
        start, lead = _since_midnight(field["time"])
        return _differenced(field, start, lead, where, notes), rate
    variable = describe(str(field.name))
    if not is_amount(units, variable.name):
        return field, units
    if field.attrs.get("GRIB_stepType") == "accum" and LEAD in field.coords:
        start, lead = field[START].values, field[LEAD].values.astype(np.float64)
        if _runs_up(field, start):
            return _differenced(field, start, lead, where, notes), rate
        seconds = _intervals(start, lead)
        return _to_middle(_divided(field, seconds, where, notes), seconds), rate
    if method_of(field) == "sum" or field.attrs.get("standard_name") in variable.amount_names:
        seconds = np.diff(seconds_of(field["time"]))
        usual = float(np.median(np.abs(seconds))) if seconds.size else DAY
        return _divided(field, np.full(field.sizes["time"], usual), where, notes), rate
    return field, units


def without_forecast(field: xr.DataArray, where: str, notes: Notes) -> xr.DataArray:
    """Field without the coordinates of forecasts; the shortest forecast for each time.

    Fields that are no forecast are returned as they are.
    """
    if LEAD not in field.coords:
        return field
    order = np.lexsort([field[LEAD].values, field["time"].values])
    out = field.isel(time=order).drop_vars([START, LEAD])
    kept = out.drop_duplicates("time", keep="first")
    dropped = out.sizes["time"] - kept.sizes["time"]
    if dropped:
        text = f"{dropped} times of longer forecasts are left out"
        notes.add("forecast-shortest-lead", where, text, str(field.name))
    return kept


def _since_midnight(time: xr.DataArray) -> tuple[np.ndarray, np.ndarray]:
    """Day that a total belongs to and the hours since its 00 UTC, in (0, 24]."""
    hours = time.dt.hour.values + time.dt.minute.values / 60.0
    midnight = hours == 0
    hour = np.timedelta64(1, "h") if time.dtype != object else datetime.timedelta(hours=1)
    earlier = time.copy(data=np.where(midnight, time.values - hour, time.values))
    return days_of(earlier), np.where(midnight, 24.0, hours)


def _intervals(start: np.ndarray, lead: np.ndarray) -> np.ndarray:
    """Seconds [time] since the previous time of the same forecast, or since its start."""
    first = np.concatenate([[True], start[1:] != start[:-1]])
    before = np.where(first, 0.0, np.concatenate([[0.0], lead[:-1]]))
    return (lead - before) * 3600.0


def _runs_up(field: xr.DataArray, start: np.ndarray) -> bool:
    """Whether totals do not fall within the first forecast, except for noise in few places."""
    first = field.isel(time=np.flatnonzero(start == start[0])).values
    steps = np.nan_to_num(np.diff(first, axis=0))
    fallen = steps < -ROUNDING * np.nanmax(np.abs(first), initial=0.0)
    return not fallen.size or bool(fallen.mean() < FEW)


def _differenced(
    field: xr.DataArray, start: np.ndarray, lead: np.ndarray, where: str, notes: Notes
) -> xr.DataArray:
    first = xr.DataArray(np.concatenate([[True], start[1:] != start[:-1]]), dims="time")
    seconds = _intervals(start, lead)
    # At a forecast's start the total is zero over no time: that is no interval.
    keep = np.flatnonzero(seconds > 0)
    length = xr.DataArray(np.where(seconds > 0, seconds, 1.0), dims="time")
    out = (field - field.shift(time=1).where(~first, 0.0)) / length
    text = f"running totals are differenced and divided by {np.median(seconds[keep]):g} s"
    if describe(str(field.name)).is_non_negative and _runs_up(field, start):
        out = out.where(~(out < 0), 0.0)
        text += "; falls of a total, which are noise, become 0"
    notes.add("accumulation-differenced", where, text, str(field.name))
    kept = out.isel(time=keep).assign_attrs(field.attrs).rename(field.name)
    return _to_middle(kept, seconds[keep])


def _divided(field: xr.DataArray, seconds: np.ndarray, where: str, notes: Notes) -> xr.DataArray:
    out = (field / xr.DataArray(seconds, dims="time")).assign_attrs(field.attrs).rename(field.name)
    text = f"amounts are divided by their interval of {np.median(seconds):g} s"
    notes.add("amount-divided", where, text, str(field.name))
    return out


def _to_middle(field: xr.DataArray, seconds: np.ndarray) -> xr.DataArray:
    """Move the stamps from the end of the intervals to their middle."""
    half = (seconds / 2 * 1e6).astype("timedelta64[us]")
    times = field["time"].values
    moved = times - (half if times.dtype != object else half.astype(object))
    return field.assign_coords(time=("time", moved, field["time"].attrs))
