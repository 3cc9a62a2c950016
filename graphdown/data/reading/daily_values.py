"""Daily values of sub-daily ones, and refusals of fields that are not daily."""

import re
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from graphdown.data.reading.amount_intervals import ends_days
from graphdown.data.reading.cell_methods import method_of
from graphdown.data.reading.dates import (
    DAY,
    days_of,
    is_date,
    second_of_day,
    seconds_between,
    seconds_of,
    shifted,
    step_name,
    step_of,
)
from graphdown.data.reading.rules import Notes, refuse
from graphdown.data.reading.time_bounds import BEGIN, END, SLACK
from graphdown.errors import DataError
from graphdown.variables.catalogue import canonical_units
from meshes.grids.conventions import bounds_label

OVER_INTERVALS = ("mean", "sum", "maximum", "minimum")
_TIMES = r"(s|sec|seconds?|min|minutes?|h|hr|hours?|d|days?|months?|years?)"
PER_TIME = re.compile(rf"\b{_TIMES}(\*\*|\^)?-1\b|(/|\bper)\s*{_TIMES}\b|\bW\b|[Ww]att")
USUAL_MEANS = (5, *range(28, 32), 360, 365, 366)  # days of which there are means
ALIKE = 1.4  # ratio of the steps of months, dekads and pentads
MINUTE = 60.0
LONGER, SHORTER = 1.5 * DAY, 0.75 * DAY  # no steps of daily values


def daily(
    field: xr.DataArray, method: str, where: str, notes: Notes, was_amount: bool = False
) -> xr.DataArray:
    """Daily values, stamped at 12, from sorted sub-daily ones.

    A daily mean weights values by the intervals they cover, where the file says so, and takes
    those that fill the day without overlap.

    Args:
        field: [time, ...].
        method: "mean", "max", "min" or "sum".
        where: for messages.
        notes: collects the number of days left out.
        was_amount: whether the rates were amounts in the file, whose sum is the mean rate.

    Raises:
        DataError: a sum of rates is asked for, or no day has all of its values.
    """
    days = days_of(_labels(field))
    unique, counts = np.unique(days, return_counts=True)
    if counts.max() == 1:
        return without_spans(field)
    if method == "sum":
        _check_sum(field, where, was_amount)
        method = "mean" if was_amount else "sum"
    tiled = _tiles(field) if method == "mean" and _has_spans(field) else []
    rows = tiled if tiled or (was_amount and method == "mean") else _counted(field, days)
    if not rows:
        raise _incomplete(field, where)
    out = _reduced(field, rows, method)
    left = len(unique) - len(rows)
    usual = int(np.median([len(r) for r in rows]))
    text = f"daily {method} of {usual} values"
    text += ", which cover times across midnight" * (_has_spans(field) and rows is not tiled)
    text += f"; {left} incomplete days left out" * (left > 0)
    notes.add("daily", where, text, str(field.name))
    return out


def without_spans(field: xr.DataArray) -> xr.DataArray:
    """Field without the coordinates of the intervals that its values cover."""
    return field.drop_vars([BEGIN, END], errors="ignore")


def check_daily(ds: xr.Dataset, where: str) -> None:
    """Refuse times that are not daily.

    Raises:
        DataError: values are of longer or shorter steps than days.
    """
    step = _covered(ds["time"], ds)
    if step > LONGER:
        raise refuse(
            "not-daily",
            f"{where}: the values are {step_name(step)}, but daily ones are needed; give daily "
            "files.",
        )
    usual = step_of(ds["time"])
    if usual is not None and usual < SHORTER:
        raise refuse(
            "sub-daily",
            f"{where}: the values are {step_name(usual)}, but daily ones are needed; add "
            "'daily: mean' beside the files (--daily mean on the command line), or give daily "
            "files.",
        )


def _covered(time: xr.DataArray, ds: xr.Dataset) -> float:
    """Seconds that values cover: by their bounds, else the step that most times are apart.

    Chosen days, such as the first and the tenth, are days all the same.
    """
    bounds = bounds_label(time.variable)
    if bounds in ds.variables and ds[bounds].ndim == 2 and is_date(ds[bounds].values):
        ends = ds[bounds].transpose("time", ...).values
        return float(np.median(np.abs(seconds_between(ends[:, 0], ends[:, -1]))))
    steps = np.diff(np.unique(seconds_of(time)))
    if not steps.size:
        return DAY
    shortest = float(steps.min())
    alike = (steps <= ALIKE * shortest).mean() >= 0.5
    usual = steps.size > 1 or round(shortest / DAY) in USUAL_MEANS
    return shortest if alike and usual else DAY


def _has_spans(field: xr.DataArray) -> bool:
    return BEGIN in field.coords and method_of(field) != "point"


def _labels(field: xr.DataArray) -> xr.DataArray:
    """Times that say to which day values belong: the middle of what they cover.

    Values over intervals at 01 to 24 UTC are of the time before.
    """
    time = field["time"]
    if _has_spans(field):
        by = (field[BEGIN].values + field[END].values) / 2
    elif (
        method_of(field) in OVER_INTERVALS and (step_of(time) or DAY) < SHORTER and ends_days(time)
    ):
        by = np.full(time.size, -(step_of(time) or 0.0) / 2)
    else:
        return time
    return time.copy(data=shifted(time.values, by))


def _check_sum(field: xr.DataArray, where: str, was_amount: bool) -> None:
    units = str(field.attrs.get("units", ""))
    if was_amount or (canonical_units(str(field.name)) is None and not PER_TIME.search(units)):
        return
    raise refuse(
        "sum-of-rates",
        f"{where}: 'daily: sum' would add up values of {str(field.name)!r} in {units!r}, which are "
        "no amounts; use 'daily: mean'.",
    )


def _incomplete(field: xr.DataArray, where: str) -> DataError:
    step = step_of(field["time"])
    return refuse(
        "days-incomplete",
        f"{where}: no day has all of its {step_name(step)} values of {str(field.name)!r}; give "
        "files of whole days, or daily files.",
    )


def _counted(field: xr.DataArray, days: np.ndarray) -> list[np.ndarray]:
    """Rows of the times of each day that has as many as there are steps in a day."""
    seconds = seconds_of(field["time"])
    values, counts = np.unique(np.diff(seconds), return_counts=True)
    step = float(values[counts.argmax()])
    number = round(DAY / step) if step > 0 else 0
    if number < 2 or abs(number * step - DAY) > SLACK * number:
        return []
    begins = np.flatnonzero(np.concatenate([[True], days[1:] != days[:-1]]))
    rows = np.split(np.arange(len(days)), begins[1:])
    return [r for r in rows if len(r) == number and np.ptp(np.diff(seconds[r])) < SLACK]


def _tiles(field: xr.DataArray) -> list[np.ndarray]:
    """Rows of the times of each day whose intervals fill it without overlap."""
    from_midnight = _from_first_midnight(field)
    # An interval may end a second before the next begins.
    ends = ((from_midnight + field[n].values) / MINUTE for n in (BEGIN, END))
    begin, end = (np.round(end) * MINUTE for end in ends)
    shortest = np.lexsort([end, begin])[::-1]
    at = {begin[i]: i for i in shortest}  # the shortest interval from each beginning
    rows = []
    for midnight in np.unique(np.floor(begin / DAY) * DAY):
        chain, position = [], midnight
        while position < midnight + DAY and position in at:
            chain.append(at[position])
            position = end[at[position]]
        if position == midnight + DAY:
            rows.append(np.asarray(chain))
    return rows


def _from_first_midnight(field: xr.DataArray) -> np.ndarray:
    """Seconds since 00 UTC of the first time's day [time]."""
    return seconds_of(field["time"]) + second_of_day(field["time"][:1])[0]


def _reduced(field: xr.DataArray, rows: list[np.ndarray], method: str) -> xr.DataArray:
    """Daily values of rows of times; days with equally many rows at once."""
    counts = np.asarray([len(r) for r in rows])
    parts = []
    for count in np.unique(counts):
        some = np.concatenate([r for r in rows if len(r) == count])
        parts.append(_of_equal_days(field.isel(time=some), int(count), method))
    joined = parts[0] if len(parts) == 1 else xr.concat(parts, "time").sortby("time")
    return joined.assign_attrs(field.attrs).rename(field.name)


def _of_equal_days(field: xr.DataArray, count: int, method: str) -> xr.DataArray:
    labels: Any = _labels(field).to_index()[::count]
    bare = without_spans(field)
    if method == "mean" and _has_spans(field):
        length = (field[END] - field[BEGIN]).values
        if np.ptp(length) > SLACK:
            weights = xr.DataArray((length / DAY * count).astype(field.dtype), dims="time")
            bare = bare * weights
    values = bare.variable.coarsen({"time": count}, getattr(np, method))
    stamps = labels.floor("D") + pd.Timedelta(hours=12)
    kept = bare.isel(time=slice(None, None, count))
    time = xr.Variable("time", stamps, field["time"].attrs)
    return kept.copy(data=values.data.astype(field.dtype)).assign_coords(time=time)
