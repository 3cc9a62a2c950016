"""Fields by coarse steps: what neighbouring steps hold beside them, sub-steps folded and unfolded.

Names and weights are those of `graphdown.variables.time_steps`. Steps begin on the clock, so a step
is told by the time within it, whatever the stamp, and holds the days of any calendar.
"""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from graphdown.data.reading.rules import Notes, refuse
from graphdown.data.reading.time_decoding import (
    check_daily,
    days_of,
    seconds_of,
    step_name,
    step_of,
)
from graphdown.variables.catalogue import describe
from graphdown.variables.names import lagged, part
from graphdown.variables.time_steps import DAY_HOURS, HOUR_SECONDS, TimeSpec, offset_of

DAY = DAY_HOURS * HOUR_SECONDS
TOLERANCE = 0.25  # of a step


def check_step(ds: xr.Dataset, seconds: int, where: str) -> None:
    """Refuse times that are not so many seconds apart.

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
    """Return text that tells the step of each time [time], of any calendar; of days the date."""
    days = days_of(time)
    if hours == DAY_HOURS:
        return days
    within = time.dt.hour.values // hours
    return np.asarray([f"{day} step {k}" for day, k in zip(days, within, strict=True)])


def neighbours(time: xr.DataArray, spec: TimeSpec) -> np.ndarray:
    """Return which of sorted times stand for the window's other steps of each time [time, lags].

    The next step towards the time itself stands for one that is not there.
    """
    begins = seconds_of(xr.DataArray(_begins(time.to_index(), spec), dims="time"))
    own = np.arange(len(begins))
    found = {0: own}
    for lag in sorted(range(min(spec.window), max(spec.window) + 1), key=abs):
        if lag:
            wanted = begins + lag * spec.seconds
            place = np.minimum(np.searchsorted(begins, wanted), len(begins) - 1)
            found[lag] = np.where(begins[place] == wanted, place, found[lag - np.sign(lag)])
    return np.stack([own, *(found[lag] for lag in spec.beside)], axis=1)[:, 1:]


def windowed(ds: xr.Dataset, spec: TimeSpec) -> xr.Dataset:
    """Return fields [time, ...] with those of the window's other steps beside them."""
    timed = [name for name, field in ds.data_vars.items() if "time" in field.dims]
    fields = {}
    for lag, rows in zip(spec.beside, neighbours(ds["time"], spec).T, strict=True):
        for name in timed:
            own = ds[name].variable
            fields[lagged(str(name), lag)] = own.isel(time=rows)
    return ds.assign(fields)


def folded(
    ds: xr.Dataset, spec: TimeSpec, targets: Sequence[str], where: str, notes: Notes
) -> xr.Dataset:
    """Return fields [time, ...] by coarse steps: their means, and the sub-steps of the targets.

    Steps that lack a sub-step are left out. Time stamps stand in the middle of the steps.

    Args:
        ds: fields, sorted in time.
        spec: of the steps.
        targets: names of the fields whose sub-steps are wanted.
        where: for messages.
        notes: where steps left out are counted.

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
                own = field.variable.isel(time=slice(k, None, spec.substeps))
                fields[part(str(name), k + 1)] = own
    bare = kept.drop_vars([n for n, v in kept.variables.items() if "time" in v.dims])
    middle = begins + pd.Timedelta(seconds=spec.seconds / 2)
    return bare.assign_coords(time=("time", middle, ds["time"].attrs)).assign(fields)


def unfolded(ds: xr.Dataset, spec: TimeSpec, names: Sequence[str]) -> xr.Dataset:
    """Return the fields by sub-steps [time, ...] of fields by steps; see `folded`."""
    if spec.substeps == 1:
        return ds[list(names)]
    return _by_substeps(ds, spec, lambda k: {name: ds[part(name, k)] for name in names})


def linear_in_time(ds: xr.Dataset, spec: TimeSpec) -> xr.Dataset:
    """Return fields by sub-steps on straight lines between those of steps [time, ...].

    Beyond the ends of the record and its gaps they stay as they are.
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
    """Return the coordinate `time` of the sub-steps of steps.

    Means have bounds and stand in their middle; points in time are those at which they begin.

    Args:
        time: that of the steps, see `graphdown.cf.time_axis.time_axis`.
        spec: of the steps.
    """
    if spec.substeps == 1:
        return time
    own = time["time"]
    begins = _substep_begins(time.indexes["time"], spec)
    attrs = {key: value for key, value in own.attrs.items() if key != "bounds"}
    if spec.values == "point":
        return xr.Dataset(coords={"time": xr.Variable("time", begins, attrs, own.encoding)})
    ends = begins + pd.Timedelta(seconds=spec.target_seconds)
    bounds = np.stack([begins.to_numpy(), ends.to_numpy()], axis=-1)
    middle = _stamped(begins, spec)
    variable = xr.Variable("time", middle, {**attrs, "bounds": "time_bnds"}, own.encoding)
    return xr.Dataset(coords={"time": variable, "time_bnds": (("time", "bnds"), bounds)})


def _begins(index: Any, spec: TimeSpec) -> Any:
    """Return when the steps begin that hold times."""
    return index.floor(f"{spec.step_hours}h")


def _substep_begins(index: Any, spec: TimeSpec) -> Any:
    """Return when the sub-steps begin of the steps that hold times, step by step."""
    begins = _begins(index, spec)
    later = np.tile(np.arange(spec.substeps) * spec.target_seconds, len(begins))
    return begins.repeat(spec.substeps) + pd.to_timedelta(later, unit="s")


def _stamped(begins: Any, spec: TimeSpec) -> Any:
    """Return the time stamps of sub-steps by when they begin."""
    half = spec.target_seconds / 2 if spec.values == "mean" else 0
    return begins + pd.Timedelta(seconds=half)


def _by_substeps(
    ds: xr.Dataset, spec: TimeSpec, at: Callable[[int], dict[str, xr.DataArray]]
) -> xr.Dataset:
    """Return what `at` makes of each sub-step's number, one after the other in time."""
    stamps = _stamped(_substep_begins(ds.indexes["time"], spec), spec)
    made = [
        xr.Dataset(at(k + 1)).assign_coords(time=stamps[k :: spec.substeps])
        for k in range(spec.substeps)
    ]
    return xr.concat(made, "time").sortby("time")
