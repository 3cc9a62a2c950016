"""Coordinates as places: values that a fill value hides, and positions stored for every time."""

import re
from collections.abc import Hashable

import numpy as np
import xarray as xr

from meshes.grids.roles import ROLES, is_coordinate

COMPARED = 10  # times at which positions that are stored for every time are compared
_TIME = re.compile(r"x?times?\d*|t|date|ocean_time|time_counter", re.IGNORECASE)


def restored(ds: xr.Dataset) -> xr.Dataset:
    """Return the dataset with the values of axes that a fill value such as 0 hides.

    An axis has no missing values (CF 2.5.1), so a missing one is the fill value itself, which is a
    place if the axis goes on evenly through it. Of two-dimensional positions and of lists a value
    is a place where the other coordinate is there.
    """
    for name, variable in ds.variables.items():
        fill = _fill(variable)
        if fill is None or not _missing(ds, name).any():
            continue
        is_axis = variable.dims == (name,)
        places = np.isnan(variable.values) if is_axis else _alone(ds, name)
        values = np.where(places, fill, variable.values)
        if places.any() and (_even(values) or not is_axis):
            ds = ds.assign_coords({name: (variable.dims, values, variable.attrs)})
    return ds


def _fill(variable: xr.Variable) -> float | None:
    """Return the fill value that became missing when a floating point variable was decoded."""
    fill = variable.encoding.get("_FillValue", variable.encoding.get("missing_value"))
    if variable.dtype.kind != "f" or fill is None or np.size(fill) != 1 or not np.isfinite(fill):
        return None
    scale = float(variable.encoding.get("scale_factor", 1.0))
    return float(fill) * scale + float(variable.encoding.get("add_offset", 0.0))


def _missing(ds: xr.Dataset, name: Hashable) -> np.ndarray:
    is_axis = ds.variables[name].dims == (name,)
    if not is_axis and not any(is_coordinate(ds[name], role) for role in ROLES):
        return np.zeros(0, dtype=bool)
    return np.isnan(ds.variables[name].values)


def _even(axis: np.ndarray) -> bool:
    """Whether an axis runs in one direction with steps that are about equal."""
    if len(axis) < 2:
        return True
    step = np.diff(axis)
    step = (step + 180.0) % 360.0 - 180.0 if np.abs(step).max() > 180.0 else step
    usual = float(np.median(step))
    return bool(np.all(step * np.sign(usual) > 0) and np.abs(step).max() < 3.0 * abs(usual))


def _alone(ds: xr.Dataset, name: Hashable) -> np.ndarray:
    """Where a coordinate is missing and all others on the same points are there."""
    missing, dims = _missing(ds, name), ds.variables[name].dims
    others = [n for n in ds.variables if n != name and ds.variables[n].dims == dims]
    others = [n for n in others if any(is_coordinate(ds[n], role) for role in ROLES)]
    for other in others:
        missing &= ~np.isnan(ds[other].values)
    return missing & bool(others)


def steady(ds: xr.Dataset) -> xr.Dataset:
    """Return the dataset without the times of latitudes and longitudes that do not move.

    The models WRF and others store the same positions again with every time. Of long series,
    positions at ten times are compared.
    """
    groups: dict[tuple[Hashable, ...], list[Hashable]] = {}
    for name, variable in ds.variables.items():
        timed = sum(_is_time(ds, d) for d in variable.dims) == 1 and variable.ndim > 1
        if timed and any(is_coordinate(ds[name], role) for role in ROLES):
            groups.setdefault(variable.dims, []).append(name)
    still: dict[Hashable, xr.Variable] = {}
    for dims, names in groups.items():
        paired = all(any(is_coordinate(ds[n], role) for n in names) for role in ROLES)
        dim = next(d for d in dims if _is_time(ds, d))
        if paired and all(_constant(ds[n], dim) for n in names):
            still |= {n: ds[n].isel({dim: 0}, drop=True).variable for n in names}
    return ds.drop_vars(list(still)).assign_coords(still) if still else ds


def _is_time(ds: xr.Dataset, dim: Hashable) -> bool:
    if _TIME.fullmatch(str(dim)):
        return True
    units = ds[dim].attrs.get("units", "") if dim in ds.variables else ""
    return " since " in str(units).lower()


def _constant(da: xr.DataArray, dim: Hashable) -> bool:
    first, size = da.isel({dim: 0}).values, da.sizes[dim]
    chosen = np.unique(np.linspace(0, size - 1, COMPARED).astype(int))[1:]
    return all(np.array_equal(da.isel({dim: i}).values, first, equal_nan=True) for i in chosen)
