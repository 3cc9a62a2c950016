"""Missing values of a loaded source or target: what is filled, left out or refused."""

from collections.abc import Sequence

import numpy as np
import xarray as xr
from scipy.spatial import cKDTree

from graphdown.data.grids import grid_of
from graphdown.data.rules import Notes, refuse
from graphdown.data.times import days_of
from graphdown.data.units import split_level
from meshes import Grid

LEAST_PRESENT = 0.5


def without_empty_days(
    ds: xr.Dataset, names: Sequence[str], every: bool, where: str, notes: Notes
) -> xr.Dataset:
    """Return the dataset without the times at which variables are missing everywhere.

    Args:
        ds: fields [time, *horizontal], loaded.
        names: the variables that count.
        every: True drops a time at which all of them are missing, False one at which any is.
        where: for messages.
        notes: where the dropped times are counted.

    Raises:
        DataError: no time would remain.
    """
    there = [ds[n].notnull().any([d for d in ds[n].dims if d != "time"]).values for n in names]
    keep = np.any(there, axis=0) if every else np.all(there, axis=0)
    if keep.all():
        return ds
    if not keep.any():
        raise refuse("all-missing", f"{where}: no day has values of all variables; check them.")
    dropped = days_of(ds["time"])[~keep]
    text = f"{len(dropped)} days without values are left out, the first {dropped[0]}"
    notes.add("empty-days-dropped", where, text)
    return ds.isel(time=np.flatnonzero(keep))


def with_ground_filled(
    ds: xr.Dataset, names: Sequence[str], where: str, notes: Notes
) -> xr.Dataset:
    """Return the dataset with the points of pressure levels that lie below ground filled.

    Each missing point takes the nearest point with a value at that time. Times at which fewer
    than half of the points have values stay as they are.
    """
    out = ds
    for name in names:
        if split_level(name)[1] is None or not bool(ds[name].isnull().any()):
            continue
        grid = grid_of(ds[name], where)
        values = grid.values(ds[name].transpose("time", ...)).copy()
        count = _fill(values, grid.xyz)
        if count:
            text = f"{count} values below ground take the nearest point's of the same time"
            notes.add("below-ground-filled", where, text, name)
            shaped = values.reshape(len(values), *grid.shape)
            field = ds[name].transpose("time", *grid.dims)
            out = out.assign({name: field.copy(data=shaped)})
    return out


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
    """Return source values [time, node, variable] without any missing one.

    Points that the grid masks take the nearest used point's values; nothing reads them but the
    statistics.

    Raises:
        DataError: values are missing at used points.
    """
    missing = ~np.isfinite(values) & grid.mask[:, None]
    if missing.any():
        count, (_, _, column) = int(missing.sum()), np.argwhere(missing)[0]
        raise refuse(
            "missing-values",
            f"{where}: {count} values are missing, the first in {names[column]!r}; fill or leave "
            "out those points or days.",
        )
    if grid.mask.all():
        return values
    used, masked = np.flatnonzero(grid.mask), np.flatnonzero(~grid.mask)
    nearest = used[cKDTree(grid.xyz[used]).query(grid.xyz[masked])[1]]
    out = values.copy()
    out[:, masked] = values[:, nearest]
    return out
