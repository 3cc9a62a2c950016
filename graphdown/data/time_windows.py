"""Fields by coarse steps: neighbouring steps as further fields, sub-steps folded and unfolded.

Names and weights are those of `graphdown.variables.time_steps`. Steps begin at
fixed hours of the day, so any time within a step identifies it, in any calendar.
"""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from graphdown.data.reading.daily_values import check_daily
from graphdown.data.reading.dates import days_of, seconds_of, step_name, step_of
from graphdown.data.reading.rules import Notes, refuse
from graphdown.variables.catalogue import describe
from graphdown.variables.names import lagged, part
from graphdown.variables.time_steps import DAY_HOURS, HOUR_SECONDS, TimeSpec, offset_of

DAY = DAY_HOURS * HOUR_SECONDS
TOLERANCE = 0.25  # of a step


def check_step(ds: xr.Dataset, seconds: int, where: str) -> None:
    """Refuse times that are not `seconds` apart.

    Raises:
        DataError: the usual step is another one.
    """
    if seconds == DAY:
        check_daily(ds, where)
        return
    step = step_of(ds["time"])
    if step is not None and abs(step - seconds) > TOLERANCE * seconds:
        raise refuse(
            "step-differs",
            f"{where}: the values are {step_name(step)}, but {step_name(seconds)} ones are needed; "
            "give such files, or change 'time' in the experiment.",
        )


def step_labels(time: xr.DataArray, hours: int) -> np.ndarray:
    """Text label of the step of each time [time], of any calendar; the date for daily steps."""
    days = days_of(time)
    if hours == DAY_HOURS:
        return days
    within = time.dt.hour.values // hours
    return np.asarray([f"{day} step {k}" for day, k in zip(days, within, strict=True)])


def neighbours(time: xr.DataArray, spec: TimeSpec) -> np.ndarray:
    """Indices of sorted times for the window's other steps of each time [time, lags].

    An absent step is replaced by the next one towards the time itself.
    """
    begins = seconds_of(xr.DataArray(_begins(time.to_index(), spec), dims="time"))
    identity = np.arange(len(begins))
    found = {0: identity}
    for lag in sorted(range(min(spec.window), max(spec.window) + 1), key=abs):
        if lag:
            beginning = begins + lag * spec.seconds
            place = np.minimum(np.searchsorted(begins, beginning), len(begins) - 1)
            found[lag] = np.where(begins[place] == beginning, place, found[lag - np.sign(lag)])
    return np.stack([identity, *(found[lag] for lag in spec.beside)], axis=1)[:, 1:]


def windowed(ds: xr.Dataset, spec: TimeSpec) -> xr.Dataset:
    """Fields [time, ...] together with those of the window's other steps."""
    timed = [name for name, field in ds.data_vars.items() if "time" in field.dims]
    fields = {}
    for lag, rows in zip(spec.beside, neighbours(ds["time"], spec).T, strict=True):
        for name in timed:
            fields[lagged(str(name), lag)] = ds[name].variable.isel(time=rows)
    return ds.assign(fields)


def folded(
    ds: xr.Dataset, spec: TimeSpec, targets: Sequence[str], where: str, notes: Notes
) -> xr.Dataset:
    """Fields [time, ...] by coarse steps: their means, and the sub-steps of the targets.

    Steps that lack a sub-step are left out. Time stamps are in the middle of the steps.

    Args:
        ds: fields, sorted in time.
        spec: of the steps.
        targets: names of the fields whose sub-steps are kept.
        where: for messages.
        notes: collects the number of steps left out.

    Raises:
        DataError: the times are not those of the sub-steps, or no step is complete.
    """
    if spec.substeps == 1:
        return ds
    labels = step_labels(ds["time"], spec.step_hours)
    unique, first, counts = np.unique(labels, return_index=True, return_counts=True)
    full = unique[counts == spec.substeps]
    if not len(full):
        raise refuse(
            "step-differs",
            f"{where}: no step of {spec.step_hours} hours has {spec.substeps} values; change "
            "'time.substeps', or give files without gaps.",
        )
    if len(full) < len(unique):
        text = f"{len(unique) - len(full)} steps without all of their sub-steps are left out"
        notes.add("steps-incomplete", where, text)
    kept = ds.isel(time=np.flatnonzero(np.isin(labels, full)))
    begins = _begins(kept.indexes["time"][:: spec.substeps], spec)
    fields: dict[str, xr.Variable] = {}
    for name, field in kept.data_vars.items():
        reduce = getattr(np, describe(str(name)).reduction)
        blocks = field.variable.coarsen({"time": spec.substeps}, reduce)
        fields[str(name)] = blocks.astype(field.dtype)
        if name in targets:
            for k in range(spec.substeps):
                substep = field.variable.isel(time=slice(k, None, spec.substeps))
                fields[part(str(name), k + 1)] = substep
    bare = kept.drop_vars([n for n, v in kept.variables.items() if "time" in v.dims])
    middle = begins + pd.Timedelta(seconds=spec.seconds / 2)
    return bare.assign_coords(time=("time", middle, ds["time"].attrs)).assign(fields)


def unfolded(ds: xr.Dataset, spec: TimeSpec, names: Sequence[str]) -> xr.Dataset:
    """Fields by sub-steps [time, ...] from fields by steps; the inverse of `folded`."""
    if spec.substeps == 1:
        return ds[list(names)]
    return _by_substeps(ds, spec, lambda k: {name: ds[part(name, k)] for name in names})


def linear_in_time(ds: xr.Dataset, spec: TimeSpec) -> xr.Dataset:
    """Fields by sub-steps, interpolated linearly between those of steps [time, ...].

    At the ends of the record and of its parts between gaps they stay constant.
    """
    if spec.substeps == 1:
        return ds
    rows = neighbours(ds["time"], TimeSpec(spec.step_hours, (-1, 0, 1)))

    def at(number: int) -> dict[str, xr.DataArray]:
        offset = offset_of(number, spec.substeps)
        beside = ds.isel(time=rows[:, int(offset > 0)])
        share = np.float32(abs(offset))
        return {
            str(name): field.copy(data=(1 - share) * field.values + share * beside[name].values)
            for name, field in ds.data_vars.items()
        }

    return _by_substeps(ds, spec, at)


def substep_axis(time: xr.Dataset, spec: TimeSpec) -> xr.Dataset:
    """Coordinate `time` of the sub-steps of steps.

    Means have bounds and are stamped in their middle; instantaneous values at the beginning.

    Args:
        time: that of the steps, see `graphdown.cf.time_axis.time_axis`.
        spec: of the steps.
    """
    if spec.substeps == 1:
        return time
    coordinate = time["time"]
    begins = _substep_begins(time.indexes["time"], spec)
    attrs = {key: value for key, value in coordinate.attrs.items() if key != "bounds"}
    if spec.values == "point":
        return xr.Dataset(coords={"time": xr.Variable("time", begins, attrs, coordinate.encoding)})
    ends = begins + pd.Timedelta(seconds=spec.target_seconds)
    bounds = np.stack([begins.to_numpy(), ends.to_numpy()], axis=-1)
    middle = _stamped(begins, spec)
    variable = xr.Variable("time", middle, {**attrs, "bounds": "time_bnds"}, coordinate.encoding)
    return xr.Dataset(coords={"time": variable, "time_bnds": (("time", "bnds"), bounds)})


def _begins(index: Any, spec: TimeSpec) -> Any:
    """Beginnings of the steps that contain the times."""
    return index.floor(f"{spec.step_hours}h")


def _substep_begins(index: Any, spec: TimeSpec) -> Any:
    """Beginnings of all sub-steps of the steps that contain the times, in order."""
    begins = _begins(index, spec)
    later = np.tile(np.arange(spec.substeps) * spec.target_seconds, len(begins))
    return begins.repeat(spec.substeps) + pd.to_timedelta(later, unit="s")


def _stamped(begins: Any, spec: TimeSpec) -> Any:
    """Time stamps of sub-steps that begin at these times."""
    half = spec.target_seconds / 2 if spec.values == "mean" else 0
    return begins + pd.Timedelta(seconds=half)


def _by_substeps(
    ds: xr.Dataset, spec: TimeSpec, at: Callable[[int], dict[str, xr.DataArray]]
) -> xr.Dataset:
    """Dataset of the sub-steps' fields, which `at` returns by number, in order of time."""
    stamps = _stamped(_substep_begins(ds.indexes["time"], spec), spec)
    parts = [
        xr.Dataset(at(k + 1)).assign_coords(time=stamps[k :: spec.substeps])
        for k in range(spec.substeps)
    ]
    return xr.concat(parts, "time").sortby("time")
