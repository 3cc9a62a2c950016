"""Missing values of a loaded source or target: filled, left out or refused."""

from collections.abc import Iterable, Mapping, Sequence

import numpy as np
import xarray as xr
from scipy.spatial import cKDTree

from graphdown.data.reading.dates import days_of
from graphdown.data.reading.horizontal import grid_of
from graphdown.data.reading.rules import Notes, are, counted, refuse
from graphdown.variables.catalogue import split_level
from graphdown.variables.names import variable_of
from meshes import Grid

LEAST_PRESENT = 0.5


def days_with_values(ds: xr.Dataset, names: Sequence[str], every: bool) -> np.ndarray:
    """Mask of the times [time], False where variables are missing everywhere.

    Args:
        ds: fields [time, *horizontal].
        names: the variables that count.
        every: True drops a time at which all of them are missing, False one at which any is.
    """
    there = [ds[n].notnull().any([d for d in ds[n].dims if d != "time"]).values for n in names]
    return np.asarray(np.any(there, axis=0) if every else np.all(there, axis=0))


def note_empty_days(time: xr.DataArray, kept: np.ndarray, where: str, notes: Notes) -> None:
    """Count the times that were dropped, False in `kept` [time].

    Raises:
        DataError: no time remains.
    """
    if kept.all():
        return
    if not kept.any():
        raise refuse("all-missing", f"{where}: no day has values of all variables; check them.")
    dropped = days_of(time)[~kept]
    count = len(dropped)
    text = f"{counted(count, 'day')} without values {are(count)} left out, the first {dropped[0]}"
    notes.add("empty-days-dropped", where, text)


def with_ground_filled(
    ds: xr.Dataset, names: Sequence[str], where: str
) -> tuple[xr.Dataset, dict[str, int]]:
    """Fill the points of pressure levels that lie below ground.

    Each missing point takes the nearest point with a value at that time. Times at which fewer
    than half of the points have values stay as they are.

    Returns:
        The dataset, and the number of values that were filled, by variable.
    """
    out, filled = ds, {}
    for name in names:
        if split_level(variable_of(name))[1] is None or not bool(ds[name].isnull().any()):
            continue
        grid = grid_of(ds[name], where)
        values = grid.values(ds[name].transpose("time", ...)).copy()
        count = _fill(values, grid.xyz)
        if count:
            filled[name] = count
            shaped = values.reshape(len(values), *grid.shape)
            field = ds[name].transpose("time", *grid.dims)
            out = out.assign({name: field.copy(data=shaped)})
    return out, filled


def note_filled(filled: Mapping[str, int], where: str, notes: Notes, sampled: bool = False) -> None:
    """Note the values below ground that were filled, by variable, in all or in a few times."""
    for name, count in filled.items():
        some = counted(count, "value") + " in the times looked at" * sampled
        text = f"{some} below ground, filled by the nearest point's of the same time"
        notes.add("below-ground-filled", where, text, name)


def _fill(values: np.ndarray, xyz: np.ndarray) -> int:
    """Fill values [time, node] in place; return how many were filled."""
    missing = ~np.isfinite(values)
    patterns, members = np.unique(missing, axis=0, return_inverse=True)
    count = 0
    for number, pattern in enumerate(patterns):
        if not pattern.any() or pattern.mean() > 1.0 - LEAST_PRESENT:
            continue
        here, there = np.flatnonzero(pattern), np.flatnonzero(~pattern)
        nearest = there[cKDTree(xyz[there]).query(xyz[here])[1]]
        times = np.flatnonzero(members == number)
        values[np.ix_(times, here)] = values[np.ix_(times, nearest)]
        count += len(times) * len(here)
    return count


def complete_values(values: np.ndarray, grid: Grid, names: Sequence[str], where: str) -> np.ndarray:
    """Source values [time, node, variable] without any missing one.

    Points that the grid masks take the nearest used point's values; only the statistics read them.

    Raises:
        DataError: values are missing at used points.
    """
    check_complete([values], grid, names, where)
    return values if grid.mask.all() else values[:, nearest_used(grid)]


def check_complete(
    parts: Iterable[np.ndarray], grid: Grid, names: Sequence[str], where: str
) -> None:
    """Refuse source values, in parts [time, node, variable], that are missing at points in use.

    Raises:
        DataError: values are missing.
    """
    count, first = 0, ""
    for values in parts:
        missing = ~np.isfinite(values) & grid.mask[:, None]
        if missing.any():
            count, first = count + int(missing.sum()), first or names[np.argwhere(missing)[0][2]]
    if count:
        raise refuse(
            "missing-values",
            f"{where}: {counted(count, 'value')} {are(count)} missing, the first in {first!r}; "
            "fill or leave out those points or days.",
        )


def nearest_used(grid: Grid) -> np.ndarray:
    """Return, for each point [N], itself or, if the grid masks it, the nearest used one."""
    out = np.arange(grid.size)
    used, masked = np.flatnonzero(grid.mask), np.flatnonzero(~grid.mask)
    out[masked] = used[cKDTree(grid.xyz[used]).query(grid.xyz[masked])[1]]
    return out
