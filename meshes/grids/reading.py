"""The grids of a CF dataset, from its coordinates."""

from collections.abc import Hashable
from dataclasses import replace

import numpy as np
import xarray as xr
from scipy.ndimage import distance_transform_edt

from meshes.geometry import cells
from meshes.geometry.sphere import lonlat_to_xyz, polygon_area, wrap_longitude
from meshes.geometry.triangulation import merge_coincident, voronoi_cells
from meshes.geometry.vertex_order import AREA_SLACK, in_order
from meshes.grids.axes import axes_grid
from meshes.grids.base import GridData, transposed
from meshes.grids.cf import Horizontal, find_horizontal, horizontal_pairs
from meshes.grids.conventions import bounds_label, scrip_mask, to_cf
from meshes.grids.degrees import degrees_per_unit
from meshes.grids.projections import projection_of
from meshes.grids.rotated import (
    GRID_MAPPING_NAME,
    fitted_attrs,
    fitted_matrix,
    grid_of_matrix,
    matrix_of_attrs,
)

FULL_TURN_SLACK = 1e-3
AXIS_SLACK = 1e-4
BOUNDS_SLACK = 1e-3


def grid_from_dataset(ds: xr.Dataset, mask: xr.DataArray | np.ndarray | None = None) -> GridData:
    """Return the horizontal grid of a dataset (see `Grid.from_dataset`)."""
    ds = to_cf(ds)
    found = find_horizontal(ds)
    if found.lat.dims != found.lon.dims:
        grid = _from_axes(found)
    elif found.lat.ndim == 2:
        grid = _from_fields(ds, found)
    else:
        grid = _from_list(found)
    mask = scrip_mask(ds) if mask is None else mask
    return grid if mask is None else replace(grid, mask=grid.mask & _flat_mask(mask, grid))


def grids_of_dataset(ds: xr.Dataset) -> list[tuple[list[str], GridData]]:
    """Return every horizontal grid of a dataset with its variables (see `meshes.grids_in`)."""
    ds = to_cf(ds)
    used = horizontal_pairs(ds)
    if len(used) == 1:
        return [(users, grid_from_dataset(ds)) for users in used.values()]
    return [(users, grid_from_dataset(ds[users])) for users in used.values()]


def _flat_mask(mask: xr.DataArray | np.ndarray, grid: GridData) -> np.ndarray:
    values = mask.transpose(*grid.dims).values if isinstance(mask, xr.DataArray) else mask
    values = np.asarray(values)
    if values.dtype != bool or values.shape not in (grid.shape, (grid.size,)):
        raise ValueError(
            f"The mask must be boolean with shape {grid.shape}, not {values.dtype} {values.shape}."
        )
    return values.reshape(-1)


def _bounds(found: Horizontal, name: Hashable) -> np.ndarray | None:
    """Return the bounds [*shape, V] of a coordinate in degrees, None if it has none."""
    variable = found.coords.variables[name]
    bounds = bounds_label(variable)
    if bounds not in found.coords.variables:
        return None
    return found.coords.variables[bounds].values * degrees_per_unit(variable, str(name))


def _from_axes(found: Horizontal) -> GridData:
    lat, lon = found.lat.values, cells.unwrap_axis(found.lon.values)
    bounds = [_bounds(found, name) for name in found.names]
    ordered = np.sort(lon) if (np.diff(found.lon.values) > 0).all() else lon
    for role, da, axis, axis_bounds in zip(
        ("latitude", "longitude"), (found.lat, found.lon), (lat, ordered), bounds, strict=True
    ):
        _check_axis(role, da, axis, axis_bounds)
    lat_bounds, lon_bounds = bounds
    if not _around_axis(lat_bounds, lat):
        lat_bounds = cells.latitude_bounds(lat)
    if lon_bounds is not None:
        lon_bounds = cells.near_longitude(lon_bounds, lon)
    if not _around_axis(lon_bounds, lon):
        lon_bounds = cells.longitude_bounds(lon)
    assert lat_bounds is not None and lon_bounds is not None
    dims = (str(found.lat.dims[0]), str(found.lon.dims[0]))
    grid = axes_grid(lon, lat, _axes_kind(lat, ordered), lon_bounds, lat_bounds, found.coords, dims)
    return grid if found.dims == dims else transposed(grid)


def _check_axis(role: str, da: xr.DataArray, axis: np.ndarray, bounds: np.ndarray | None) -> None:
    """Refuse an axis of one value without bounds, a non-monotonic one, and one beyond a turn."""
    if len(axis) < 2 and bounds is None:
        raise ValueError(
            f"The {role} axis {da.name!r} has only one value ({axis[0]:g}), which gives no cell "
            "size; keep more rows and columns, or give the axis bounds."
        )
    step = np.diff(axis)
    wrong = step * np.sign(np.sum(np.sign(step)) or 1.0) <= 0
    if wrong.any():
        place = int(np.argmax(wrong))
        raise ValueError(
            f"The {role} axis {da.name!r} does not strictly increase or decrease: "
            f"{da.values[place]:g} is followed by {da.values[place + 1]:g} at index {place + 1}; "
            f"sort it, such as with ds.sortby({da.name!r}), and drop repetitions."
        )
    if role == "longitude" and abs(axis[-1] - axis[0]) > 360.0 + FULL_TURN_SLACK:
        raise ValueError(
            f"The longitude axis {da.name!r} goes around the globe more than once, from "
            f"{axis[0]:g} to {axis[-1]:g} degrees; drop the repeated columns."
        )


def _around_axis(bounds: np.ndarray | None, axis: np.ndarray) -> bool:
    """Whether bounds [n, 2] exist, have a width and enclose the values of an axis [n]."""
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


def _from_fields(ds: xr.Dataset, found: Horizontal) -> GridData:
    """Return the grid of two-dimensional latitude and longitude."""
    if found.usable is None:
        grid = _from_rotated(ds, found) or _from_crossing_axes(found)
        if grid is not None:
            return grid
    lon, lat, usable = _positions(found)
    kind = None
    if usable.all():
        shape = tuple(found.coords.sizes[d] for d in found.dims)
        mapping = _mapping_attrs(found.coords)
        kind = projection_of(lon.reshape(shape), lat.reshape(shape), mapping)
    return _from_cells(found, lon, lat, usable, kind or "curvilinear")


def _mapping_attrs(coords: xr.Dataset) -> dict | None:
    mappings = [v.attrs for v in coords.variables.values() if "grid_mapping_name" in v.attrs]
    return mappings[0] if mappings else None


def _from_list(found: Horizontal) -> GridData:
    """Return the grid of a list of cells, or of the faces of a cubed sphere."""
    kind = "unstructured" if found.lat.ndim == 1 else "cubed_sphere"
    return _from_cells(found, *_positions(found), kind)


def _positions(found: Horizontal) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return longitude, latitude and usability [N]; unusable cells lie at the nearest usable."""
    lat, lon = (da.transpose(*found.dims).values for da in (found.lat, found.lon))
    usable = np.isfinite(lat) & np.isfinite(lon)
    if not usable.all():
        index = tuple(distance_transform_edt(~usable, return_distances=False, return_indices=True))
        lat, lon = lat[index], lon[index]
    return wrap_longitude(lon.ravel()), lat.ravel(), usable.ravel()


def _from_cells(
    found: Horizontal, lon: np.ndarray, lat: np.ndarray, usable: np.ndarray, kind: str
) -> GridData:
    """Return the grid of cells that need not lie on axes.

    Corners come from the file; else from the four points around them where no cell of the rows
    and columns is missing; else from Voronoi cells. Unusable cells, and rows or columns of a field
    stored twice, are masked and have no area.
    """
    shape = tuple(found.coords.sizes[d] for d in found.dims)
    xyz = lonlat_to_xyz(lon, lat)
    corners, coords = _polygon_bounds(found, lon, lat, usable)
    area = None if corners is None else polygon_area(corners)
    if corners is None and len(shape) == 2 and usable.all():
        corners = cells.curvilinear_corners(xyz.reshape(*shape, 3))
        area = polygon_area(corners)
    if corners is None or area is None:
        polygons, areas = voronoi_cells(xyz[usable])
        corners = np.repeat(xyz[:, None, :], polygons.shape[1], axis=1)
        corners[usable] = polygons
        area = np.zeros(len(xyz))
        area[usable] = areas
    mask = usable & ~_stored_twice(xyz, lat, usable) if len(shape) == 2 else usable
    return GridData(
        lon=lon,
        lat=lat,
        area=np.where(mask, area, 0.0),
        mask=mask,
        shape=shape,
        dims=found.dims,
        kind=kind,
        corners=cells.corners_to_lonlat(corners, lon),
        coords=coords,
    )


def _stored_twice(xyz: np.ndarray, lat: np.ndarray, usable: np.ndarray) -> np.ndarray:
    """Which points [N] repeat an earlier one, as the halos of ocean grids do.

    Points on a pole do not count: there the cells of a whole row meet.
    """
    candidates = np.flatnonzero(usable & (np.abs(lat) < 90.0 - 1e-4))
    repeated = np.zeros(len(xyz), dtype=bool)
    _, site = merge_coincident(xyz[candidates])
    first = np.unique(site, return_index=True)[1]
    repeated[candidates] = True
    repeated[candidates[first]] = False
    return repeated


def _polygon_bounds(
    found: Horizontal, lon: np.ndarray, lat: np.ndarray, usable: np.ndarray
) -> tuple[np.ndarray | None, xr.Dataset]:
    """Return the corners [N, V, 3] in the file and its coordinates, crossed vertices in order.

    The corners are None if the file has none that enclose usable cells.
    """
    arrays = []
    for name, da in zip(found.names, (found.lat, found.lon), strict=True):
        bounds = _bounds(found, name)
        if bounds is None:
            return None, found.coords
        order = [da.dims.index(d) for d in found.dims]
        arrays.append(np.transpose(bounds, (*order, bounds.ndim - 1)).reshape(len(lon), -1))
    lat_bounds, lon_bounds = (np.where(usable[:, None], array, 0.0) for array in arrays)
    if lat_bounds.shape != lon_bounds.shape or lat_bounds.shape[1] < 3:
        return None, found.coords
    if not (np.isfinite(lat_bounds).all() and np.abs(lat_bounds).max() < 90.0 + BOUNDS_SLACK):
        return None, found.coords
    stored = lonlat_to_xyz(lon_bounds, lat_bounds)
    corners = in_order(stored, lonlat_to_xyz(lon, lat))
    area = polygon_area(corners)
    if not (area[usable] > 0).all():
        return None, found.coords
    crossed = np.abs(area - np.abs(polygon_area(stored))) > AREA_SLACK * area
    return corners, _with_vertices(found, corners, lon) if crossed.any() else found.coords


def _with_vertices(found: Horizontal, corners: np.ndarray, lon: np.ndarray) -> xr.Dataset:
    """Return the coordinates with corners [N, V, 3] as bounds, instead of those in the file."""
    in_degrees = cells.corners_to_lonlat(corners, lon)
    shape = tuple(found.coords.sizes[d] for d in found.dims)
    coords = found.coords.copy()
    for name, column in zip(found.names, (1, 0), strict=True):
        variable = coords.variables[name]
        bounds = bounds_label(variable)
        values = in_degrees[..., column].reshape(*shape, -1) / degrees_per_unit(variable, str(name))
        dims = (*found.dims, coords.variables[bounds].dims[-1])
        coords = coords.assign_coords({bounds: (dims, values, coords.variables[bounds].attrs)})
    return coords


def _from_crossing_axes(found: Horizontal) -> GridData | None:
    """Return a longitude-latitude grid if the two-dimensional coordinates only repeat axes."""
    for y, x in (found.dims, found.dims[::-1]):
        lat, lon = (da.transpose(y, x).values for da in (found.lat, found.lon))
        turned = cells.unwrap_axis(lon[0])
        if min(lat.shape) < 2 or np.ptp(lat, axis=1).max() > AXIS_SLACK:
            continue
        if np.abs(wrap_longitude(lon - turned)).max() > AXIS_SLACK or not _monotonic(
            lat[:, 0], turned
        ):
            continue
        bounds = cells.longitude_bounds(turned), cells.latitude_bounds(lat[:, 0])
        kind = _axes_kind(lat[:, 0], turned)
        if kind == "rectilinear" and projection_of(lon, lat, None) == "mercator":
            kind = "mercator"
        grid = axes_grid(turned, lat[:, 0], kind, *bounds, found.coords, (y, x))
        return grid if found.dims == (y, x) else transposed(grid)
    return None


def _monotonic(*axes: np.ndarray) -> bool:
    return all(np.all(np.diff(a) > 0) or np.all(np.diff(a) < 0) for a in axes)


def _from_rotated(ds: xr.Dataset, found: Horizontal) -> GridData | None:
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
    """Return the coordinates with a grid mapping that fits, and the rotation of that mapping.

    The file's mapping is kept if it agrees with the fitted rotation to a tenth of the spacing
    `step` (radian).
    """
    names = [n for n, v in coords.variables.items() if "grid_mapping_name" in v.attrs]
    for name in names:
        attrs = coords[name].attrs
        matrix = _rotation(attrs)
        if matrix is not None and np.abs(matrix - fitted).max() < 0.1 * step:
            return coords, matrix
    attrs = fitted_attrs(fitted)
    name = names[0] if names else "rotated_pole"
    mapping = xr.Variable((), np.int32(0), attrs)
    return coords.assign_coords({name: mapping}), matrix_of_attrs(attrs)


def _rotation(attrs: dict) -> np.ndarray | None:
    """Return the rotation of a grid mapping, None if it is another one or incomplete."""
    if attrs["grid_mapping_name"] != GRID_MAPPING_NAME:
        return None
    try:
        return matrix_of_attrs(attrs)
    except ValueError:
        return None
