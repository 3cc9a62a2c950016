"""Join the parts of one variable along time, and the variables of one source."""

from collections.abc import Mapping, Sequence

import numpy as np
import xarray as xr

from graphdown.data.reading.dates import DAY, calendar_of, days_of, step_name, step_of
from graphdown.data.reading.rules import Notes, are, counted, refuse
from graphdown.data.reading.series import ORIGIN
from graphdown.errors import DataError

TOLERANCE = 1e-5
LEAST, RATIO = 0.75 * DAY, 1.5  # sub-daily variables may have several steps


def join_times(
    parts: Sequence[tuple[Sequence[str], xr.DataArray]], name: str, notes: Notes
) -> tuple[xr.DataArray, int]:
    """Join parts from several files to one field [time, ...], its times sorted and unique.

    Times that occur twice are kept once if the values are the same at all of them.

    Args:
        parts: (places, field), canonical and on one grid; the coordinate ORIGIN of the field is
            the number of the place of each time.
        name: CF/CMIP name.
        notes: collects what was dropped or sorted.

    Returns:
        The field, and the number of times that were dropped.

    Raises:
        DataError: calendars differ, or values at one time do.
    """
    if "time" not in parts[0][1].dims:
        return parts[0][1], 0
    _check_calendars([(places[0], field) for places, field in parts])
    joined = parts[0][1]
    if len(parts) > 1:
        joined = xr.concat(
            [field for _, field in parts],
            "time",
            coords="minimal",
            compat="override",
            join="override",
            combine_attrs="override",
        )
    joined = joined.drop_vars(ORIGIN)
    places = [files[number] for files, field in parts for number in field[ORIGIN].values]
    order = np.argsort(joined.indexes["time"], kind="stable")
    if not (np.diff(order) > 0).all():
        if any(not field.indexes["time"].is_monotonic_increasing for _, field in parts):
            notes.add("time-sorted", parts[0][0][0], "the times were not in order", name)
        joined, places = joined.isel(time=order), [places[i] for i in order]
    return _unique(joined, places, name, notes)


def _check_calendars(parts: Sequence[tuple[str, xr.DataArray]]) -> None:
    calendars = [calendar_of(field["time"]) for _, field in parts]
    for (where, _), calendar in zip(parts, calendars, strict=True):
        if calendar != calendars[0]:
            raise refuse(
                "calendars-differ",
                f"{parts[0][0]} has the calendar {calendars[0]!r} but {where} has {calendar!r}; "
                "give files of one model run.",
            )


def _unique(
    field: xr.DataArray, places: Sequence[str], name: str, notes: Notes
) -> tuple[xr.DataArray, int]:
    times = field.indexes["time"]
    second = np.flatnonzero(times[1:] == times[:-1]) + 1
    if not second.size:
        return field, 0
    differing = second[_differ(field, second)]
    if differing.size:
        here, there = places[differing[0] - 1], places[differing[0]]
        raise _differing(here, there, name, times[differing], len(second))
    here, there = places[second[0] - 1], places[second[0]]
    rule = "duplicate-dropped" if here == there else "overlap-dropped"
    text = f"{counted(len(second), 'time')} ({_span(times[second])}) {are(len(second))} there twice"
    notes.add(rule, there, f"{text} with the same values", name)
    return field.isel(time=np.setdiff1d(np.arange(len(times)), second)), len(second)


def _differ(field: xr.DataArray, second: np.ndarray) -> np.ndarray:
    """Whether the values at these times differ from those at the times before [len(second)]."""
    space = [d for d in field.dims if d != "time"]
    a, b = (field.variable.isel(time=rows) for rows in (second - 1, second))
    scale = abs(a).max(space)
    near = abs(a - b) <= TOLERANCE * (scale + abs(b))
    return (~(near | (a.isnull() & b.isnull()))).any(space).values


def _differing(here: str, there: str, name: str, times: xr.CFTimeIndex, count: int) -> DataError:
    span = _span(times)
    if here == there:
        return refuse(
            "duplicate-differs",
            f"{here}: {len(times)} of {count} times of {name!r} are there twice with different "
            f"values ({span}); drop one of the two.",
        )
    return refuse(
        "overlap-differs",
        f"{here} and {there} both hold {name!r} for {span} with different values; leave one out "
        "or cut it.",
    )


def _span(times: xr.CFTimeIndex) -> str:
    first, last = (str(times[i])[:10] for i in (0, -1))
    return first if first == last else f"{first} to {last}"


def merge_variables(
    fields: Mapping[str, xr.DataArray], where: str, notes: Notes, any_step: bool = False
) -> dict[str, xr.DataArray]:
    """Fields on the times common to all; those without time are unchanged.

    Equal times match; else times of one date do where no field has two on a date, and the first
    field's stamps are taken.

    Args:
        fields: by name.
        where: for messages.
        notes: collects what was left out or aligned.
        any_step: whether fields of another step than the first field's are left out instead of
            refused.

    Raises:
        DataError: calendars or steps differ, or no time is common to all.
    """
    fields = _of_one_step(fields, where, notes, any_step)
    timed = {name: field for name, field in fields.items() if "time" in field.dims}
    if len(timed) < 2:
        return dict(fields)
    names = list(timed)
    first = timed[names[0]]
    _check_calendars([(f"{where} ({name})", field) for name, field in timed.items()])
    if all(_same_times(first, field) for field in timed.values()):
        return dict(fields)
    keys = {name: np.asarray(field.indexes["time"]) for name, field in timed.items()}
    days = {name: days_of(field["time"]) for name, field in timed.items()}
    by_day = all(len(np.unique(d)) == len(d) for d in days.values())
    keys = days if by_day else keys
    common = keys[names[0]]
    for name in names[1:]:
        common = common[np.isin(common, keys[name])]
    if not common.size:
        spans = "; ".join(f"{n} {_span(timed[n].indexes['time'])}" for n in names)
        raise refuse(
            "no-common-time",
            f"{where}: the variables have no time in common ({spans}); give files of one period.",
        )
    chosen = {
        name: field.isel(time=np.flatnonzero(np.isin(keys[name], common)))
        for name, field in timed.items()
    }
    dropped = {name: len(keys[name]) - len(common) for name in names}
    if any(dropped.values()):
        text = ", ".join(f"{count} of {name}" for name, count in dropped.items() if count)
        notes.add("periods-differ", where, f"times without the other variables left out: {text}")
    stamps = chosen[names[0]]["time"]
    if any(not _same_times(chosen[names[0]], field) for field in chosen.values()):
        notes.add("stamp-aligned", where, f"matched by date, stamps of {names[0]!r} taken")
    return {**fields, **{n: f.assign_coords(time=stamps) for n, f in chosen.items()}}


def _of_one_step(
    fields: Mapping[str, xr.DataArray], where: str, notes: Notes, any_step: bool
) -> Mapping[str, xr.DataArray]:
    """Fields of the first field's step, and those of a single time or none."""
    found = {n: step_of(f["time"]) for n, f in fields.items() if "time" in f.dims}
    steps = {name: step for name, step in found.items() if step}
    if not steps or max(steps.values()) < LEAST:
        return fields
    first, step = next(iter(steps.items()))
    others = [n for n, s in steps.items() if not step / RATIO < s < step * RATIO]
    if not others:
        return fields
    kinds = ", ".join(f"{name!r} is {step_name(steps[name])}" for name in (first, *others))
    if any_step:
        notes.add("steps-differ", where, f"the variables have different steps: {kinds}")
        return {name: field for name, field in fields.items() if name not in others}
    raise refuse(
        "steps-not-common",
        f"{where}: the variables have different steps ({kinds}); add 'daily: mean' beside the "
        "files (--daily mean on the command line) if all are daily or shorter, or give files of "
        "one step.",
    )


def _same_times(a: xr.DataArray, b: xr.DataArray) -> bool:
    return a.sizes["time"] == b.sizes["time"] and bool(
        np.array_equal(np.asarray(a.indexes["time"]), np.asarray(b.indexes["time"]))
    )
