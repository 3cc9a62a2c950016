"""The coordinate variables of a target grid as CF wants them in a file.

Names, values, attributes, grid mapping and bounds of the target's own file are kept. What CF
asks for and the file lacks is added: standard names, units, axes, and bounds from the corners of
the grid's cells. Lists of points (stations, unstructured grids) get bounds only if their file had
them: Voronoi cells weigh the points, they are not the area that a station represents. Their
names, or numbers in their place, tell the time series of a file apart (CF's cf_role).
"""

from collections.abc import Hashable

import numpy as np
import xarray as xr

from meshes import Grid
from meshes.grids.base import LAT_ATTRS, LON_ATTRS
from meshes.grids.cf import find_horizontal
from meshes.grids.conventions import bounds_label
from meshes.grids.station_lists import ROLE, are_stations

AXES = {
    "latitude": "Y",
    "grid_latitude": "Y",
    "projection_y_coordinate": "Y",
    "longitude": "X",
    "grid_longitude": "X",
    "projection_x_coordinate": "X",
}
LONGITUDE, LATITUDE = 0, 1  # columns of Grid.corners


def cf_coordinates(grid: Grid) -> xr.Dataset:
    """Return the coordinates of a grid, their bounds and its grid mapping.

    Latitude and longitude are in degrees. Their attribute `bounds` names a variable: [n, bnds] for
    an axis, [*horizontal, vertices] for cells with corners of their own.
    """
    found = find_horizontal(grid.coords)
    variables = _kept(grid)
    for axis_name, attrs in _rotated_axes(grid).items():
        variables[axis_name].attrs = {**attrs, **variables[axis_name].attrs}
    lat, lon = found.names
    for name, field, attrs, column in (
        (lat, found.lat, LAT_ATTRS, LATITUDE),
        (lon, found.lon, LON_ATTRS, LONGITUDE),
    ):
        field = field.transpose(*(d for d in grid.dims if d in field.dims))
        merged = {**attrs, **variables[name].attrs, "units": attrs["units"]}
        variables[name] = xr.Variable(field.dims, field.values, merged)
        bounds = _bounds_of_file(grid.coords, name, field)
        if bounds is None:
            bounds = _bounds_of_corners(grid, field, column)
        if bounds is not None:
            label = _bounds_label(grid.coords, name, field.ndim)
            variables[name].attrs["bounds"] = str(label)
            variables[label] = bounds
    if are_stations(grid):
        (dim,) = grid.dims
        number = xr.Variable(dim, np.arange(grid.size), {"long_name": "number of the station"})
        variables.setdefault(dim, number).attrs |= ROLE
    for name, variable in variables.items():
        axis = AXES.get(str(variable.attrs.get("standard_name")))
        if variable.dims == (name,) and axis is not None:
            variable.attrs.setdefault("axis", axis)
    return xr.Dataset(coords=variables)


def _kept(grid: Grid) -> dict[Hashable, xr.Variable]:
    skip = {bounds_label(variable) for variable in grid.coords.variables.values()}
    return {
        name: xr.Variable(
            variable.dims,
            variable.values,
            {k: v for k, v in variable.attrs.items() if k != "bounds"},
        )
        for name, variable in grid.coords.variables.items()
        if name not in skip
    }


def _rotated_axes(grid: Grid) -> dict[str, dict[str, str]]:
    """Attributes that CF requires of the axes of a rotated-pole grid, by name; none for others."""
    if grid.kind != "rotated_pole":
        return {}
    y, x = grid.dims
    if y.startswith("rlon") or grid.coords[y].attrs.get("standard_name") == "grid_longitude":
        y, x = x, y
    return {
        name: {"standard_name": f"grid_{what}", "long_name": f"{what} in rotated pole grid"}
        | {"units": "degrees", "axis": axis}
        for name, what, axis in ((y, "latitude", "Y"), (x, "longitude", "X"))
    }


def _bounds_label(coords: xr.Dataset, name: Hashable, ndim: int) -> Hashable:
    named = bounds_label(coords.variables[name])
    return named or f"{name}_{'bnds' if ndim == 1 else 'vertices'}"


def _bounds_of_file(coords: xr.Dataset, name: Hashable, field: xr.DataArray) -> xr.Variable | None:
    """Return the bounds that the file had, in degrees as the field is, if they fit it."""
    coordinate = coords[name].variable
    label = bounds_label(coordinate)
    if label not in coords.variables:
        return None
    bounds = coords.variables[label]
    if set(bounds.dims[:-1]) != set(field.dims) or not np.isfinite(bounds.values).all():
        return None
    coordinate = coordinate.transpose(*field.dims)
    bounds = bounds.transpose(*field.dims, bounds.dims[-1])
    in_degrees = np.allclose(coordinate.values, field.values)
    values = bounds.values if in_degrees else np.degrees(bounds.values)
    if bounds.shape[-1] == 2:
        low, high = values.min(axis=-1), values.max(axis=-1)
        if not ((low <= field.values) & (field.values <= high)).all():
            return None
    return xr.Variable((*field.dims, _bounds_dim(bounds.shape[-1])), values)


def _bounds_of_corners(grid: Grid, field: xr.DataArray, column: int) -> xr.Variable | None:
    """Return bounds from the corners of the cells: of an axis [n, 2], of a field [*dims, V]."""
    if grid.corners is None or len(grid.shape) != 2:
        return None
    corners = grid.corners[..., column].reshape(*grid.shape, -1)
    if column == LONGITUDE:
        shift = field.broadcast_like(_template(grid)).transpose(*grid.dims).values
        corners = corners + (shift - grid.lon.reshape(grid.shape))[..., None]
    if field.ndim > 1:
        return xr.Variable((*grid.dims, "vertices"), corners)
    along = grid.dims.index(str(field.dims[0]))
    axis = np.take(corners, 0, axis=1 - along)
    low, high = axis.min(axis=-1), axis.max(axis=-1)
    falling = len(field) > 1 and field.values[0] > field.values[-1]
    values = np.stack([high, low] if falling else [low, high], axis=-1)
    return xr.Variable((*field.dims, "bnds"), values)


def _template(grid: Grid) -> xr.DataArray:
    return xr.DataArray(np.zeros(grid.shape), dims=grid.dims)


def _bounds_dim(vertices: int) -> str:
    return "bnds" if vertices == 2 else "vertices"
