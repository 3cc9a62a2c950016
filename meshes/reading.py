"""Build a Grid from the coordinates of a CF dataset."""

from collections.abc import Hashable
from dataclasses import replace

import numpy as np
import xarray as xr

from meshes import cells
from meshes.cf import Horizontal, degrees_per_unit, find_horizontal
from meshes.grid import Grid, axes_grid, points_grid, transposed
from meshes.rotated import (
    GRID_MAPPING_NAME,
    fitted_attrs,
    fitted_matrix,
    grid_of_matrix,
    matrix_of_attrs,
)
from meshes.sphere import lonlat_to_xyz, polygon_area, wrap_longitude


def grid_from_dataset(ds: xr.Dataset, mask: xr.DataArray | np.ndarray | None) -> Grid:
    """Return the horizontal grid of a dataset (see `Grid.from_dataset`)."""
    found = find_horizontal(ds)
    if found.lat.ndim == 1:
        grid = _from_list(found) if found.lat.dims == found.lon.dims else _from_axes(found)
    else:
        grid = _from_arrays(ds, found)
    return grid if mask is None else replace(grid, mask=_flat_mask(mask, grid))


def _flat_mask(mask: xr.DataArray | np.ndarray, grid: Grid) -> np.ndarray:
    values = mask.transpose(*grid.dims).values if isinstance(mask, xr.DataArray) else mask
    values = np.asarray(values)
    if values.dtype != bool or values.shape not in (grid.shape, (grid.size,)):
        raise ValueError(
            f"The mask must be boolean with shape {grid.shape}, not {values.dtype} {values.shape}."
        )
    return values.reshape(-1)


def _bounds(found: Horizontal, name: Hashable, shape: tuple[int, ...]) -> np.ndarray | None:
    """Return the bounds [*shape, V] of a coordinate in degrees, None if missing or unusable."""
    variable = found.coords.variables[name]
    bounds = variable.attrs.get("bounds", variable.encoding.get("bounds"))
    if bounds not in found.coords.variables:
        return None
    given = found.coords.variables[bounds].astype(np.float64)
    if set(given.dims[:-1]) != set(variable.dims):
        return None
    values = np.asarray(given.transpose(*variable.dims, given.dims[-1]).values)
    if values.shape[:-1] != shape or not np.isfinite(values).all():
        return None
    return values * degrees_per_unit(variable)


def _from_axes(found: Horizontal) -> Grid:
    lat, lon = found.lat.values, cells.unwrap_axis(found.lon.values)
    lat_name, lon_name = found.names
    lat_bounds, lon_bounds = (
        _bounds(found, n, (found.coords.sizes[d],))
        for n, d in ((lat_name, found.lat.dims[0]), (lon_name, found.lon.dims[0]))
    )
    if not _around_axis(lat_bounds, lat):
        lat_bounds = cells.latitude_bounds(lat)
    if lon_bounds is not None:
        lon_bounds = cells.near_longitude(lon_bounds, lon)
    if not _around_axis(lon_bounds, lon):
        lon_bounds = cells.longitude_bounds(lon)
    assert lat_bounds is not None and lon_bounds is not None
    dims = (str(found.lat.dims[0]), str(found.lon.dims[0]))
    grid = axes_grid(lon, lat, _axes_kind(lat, lon), lon_bounds, lat_bounds, found.coords, dims)
    return grid if found.dims == dims else transposed(grid)


def _around_axis(bounds: np.ndarray | None, axis: np.ndarray) -> bool:
    """Tell whether bounds [n, 2] exist and enclose every value of an axis [n] in a real cell."""
    if bounds is None or bounds.shape[-1] != 2:
        return False
    low, high = bounds.min(axis=1), bounds.max(axis=1)
    return bool(np.all((low <= axis + 1e-6) & (axis <= high + 1e-6) & (high > low)))


def _axes_kind(lat: np.ndarray, lon: np.ndarray) -> str:
    def uniform(axis: np.ndarray) -> bool:
        step = np.diff(axis)
        return len(step) < 2 or bool(np.ptp(step) < 1e-3 * np.abs(step).mean())

    if uniform(lon) and cells.gaussian_bounds(lat) is not None:
        return "gaussian"
    return "regular" if uniform(lon) and uniform(lat[1:-1]) else "rectilinear"


def _from_arrays(ds: xr.Dataset, found: Horizontal) -> Grid:
    rotated = _from_rotated(ds, found)
    if rotated is not None:
        return rotated
    lat, lon = (v.transpose(*found.dims).values for v in (found.lat, found.lon))
    flat_lon, flat_lat = wrap_longitude(lon.ravel()), lat.ravel()
    corners = _polygon_bounds(found, flat_lon)
    if corners is None:
        corners = cells.curvilinear_corners(lonlat_to_xyz(lon, lat))
    return Grid(
        lon=flat_lon,
        lat=flat_lat,
        area=polygon_area(corners),
        mask=np.ones(lon.size, dtype=bool),
        shape=lon.shape,
        dims=found.dims,
        kind="curvilinear",
        corners=cells.corners_to_lonlat(corners, flat_lon),
        coords=found.coords,
    )


def _polygon_bounds(found: Horizontal, lon: np.ndarray) -> np.ndarray | None:
    """Return the corners [N, V, 3] in the file, None if it has none that enclose cells."""
    arrays = []
    for name, da in zip(found.names, (found.lat, found.lon), strict=True):
        bounds = _bounds(found, name, da.shape)
        if bounds is None:
            return None
        order = [da.dims.index(d) for d in found.dims]
        arrays.append(np.transpose(bounds, (*order, bounds.ndim - 1)).reshape(len(lon), -1))
    lat_bounds, lon_bounds = arrays
    if lat_bounds.shape != lon_bounds.shape or lat_bounds.shape[1] < 3:
        return None
    corners = cells.counter_clockwise(lonlat_to_xyz(lon_bounds, lat_bounds))
    return corners if (polygon_area(corners) > 0).all() else None


def _from_rotated(ds: xr.Dataset, found: Horizontal) -> Grid | None:
    """Return a rotated-pole grid if the dimensions carry rotated axes that fit lat and lon."""
    y, x = found.dims
    if not all(d in ds.variables and ds[d].ndim == 1 and ds.sizes[d] > 1 for d in (y, x)):
        return None
    if ds[y].attrs.get("standard_name") == "grid_longitude" or str(y).startswith("rlon"):
        y, x = x, y
    rlat, rlon = ds[y].values.astype(np.float64), ds[x].values.astype(np.float64)
    if np.abs(rlat).max() > 90 or np.abs(rlon).max() > 360:
        return None
    lat, lon = (v.transpose(y, x).values for v in (found.lat, found.lon))
    matrix = fitted_matrix(rlon, rlat, lon, lat)
    if matrix is None:
        return None
    coords, matrix = _with_mapping(found.coords, matrix, np.radians(abs(rlat[1] - rlat[0])))
    grid = grid_of_matrix(matrix, rlon, rlat, coords, (y, x))
    grid = replace(grid, lon=wrap_longitude(lon.ravel()), lat=lat.ravel())
    return grid if found.dims == (y, x) else transposed(grid)


def _with_mapping(
    coords: xr.Dataset, fitted: np.ndarray, step: float
) -> tuple[xr.Dataset, np.ndarray]:
    """Return the coordinates with a grid mapping that agrees with the fitted rotation, and both.

    The file's mapping is kept if it agrees to a tenth of the spacing `step` (radian).
    """
    names = [n for n, v in coords.variables.items() if "grid_mapping_name" in v.attrs]
    for name in names:
        attrs = coords[name].attrs
        if attrs["grid_mapping_name"] == GRID_MAPPING_NAME:
            given = matrix_of_attrs(attrs)
            if np.abs(given - fitted).max() < 0.1 * step:
                return coords, given
    attrs = fitted_attrs(fitted)
    name = names[0] if names else "rotated_pole"
    mapping = xr.Variable((), np.int32(0), attrs)
    return coords.assign_coords({name: mapping}), matrix_of_attrs(attrs)


def _from_list(found: Horizontal) -> Grid:
    lon, lat = wrap_longitude(found.lon.values), found.lat.values
    corners = _polygon_bounds(found, lon)
    if corners is None:
        return points_grid(lon, lat, None, found.coords, found.dims)
    grid = points_grid(lon, lat, polygon_area(corners), found.coords, found.dims)
    return replace(grid, corners=cells.corners_to_lonlat(corners, lon))
