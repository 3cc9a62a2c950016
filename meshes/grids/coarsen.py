"""Coarser grids, whose cells are blocks of cells of a two-dimensional grid."""

from dataclasses import replace

import numpy as np
import xarray as xr

from meshes.geometry import cells
from meshes.geometry.sphere import normalise, xyz_to_lonlat
from meshes.grids.axes import axes_grid
from meshes.grids.base import LAT_ATTRS, LON_ATTRS, LONLAT_KINDS, GridData, transposed
from meshes.grids.grid import Grid
from meshes.grids.rotated import rotated_grid


def coarsen(grid: Grid, factor: int) -> Grid:
    """Return the grid whose cells are blocks of factor x factor cells.

    Rows and columns at the end that do not fill a block are dropped. A longitude-latitude or
    rotated-pole grid stays one; a block is used if any of its cells is.

    Raises:
        ValueError: the grid is not two-dimensional, or holds no whole block.
    """
    if len(grid.shape) != 2:
        raise ValueError(
            f"Only two-dimensional grids can be coarsened, not a {grid.kind} one of shape "
            f"{grid.shape}."
        )
    if factor < 1 or min(grid.shape) < factor:
        raise ValueError(f"A grid of {grid.shape} points holds no block of {factor} x {factor}.")
    if grid.kind in LONLAT_KINDS:
        coarse = _coarse_lonlat(grid, factor)
    elif grid.kind == "rotated_pole" and grid.grid_mapping is not None:
        coarse = _coarse_rotated(grid, factor)
    else:
        coarse = _coarse_curvilinear(grid, factor)
    mask = _blocks(grid.mask.reshape(grid.shape), factor).any(axis=-1).ravel()
    return Grid.from_data(replace(coarse, mask=mask))


def _blocks(values: np.ndarray, factor: int) -> np.ndarray:
    """Return the blocks [ny, nx, factor**2] of values [NY, NX]."""
    ny, nx = (n // factor for n in values.shape)
    cut = values[: ny * factor, : nx * factor].reshape(ny, factor, nx, factor)
    return cut.transpose(0, 2, 1, 3).reshape(ny, nx, -1)


def _axis_blocks(axis: np.ndarray, factor: int) -> np.ndarray:
    return axis[: len(axis) // factor * factor].reshape(-1, factor).mean(axis=1)


def _bounds_blocks(bounds: np.ndarray, factor: int) -> np.ndarray:
    whole = bounds[: len(bounds) // factor * factor].reshape(-1, factor * 2)
    low, high = whole.min(axis=1), whole.max(axis=1)
    edges = np.stack([low, high], axis=1)
    return edges if bounds[0, 1] >= bounds[0, 0] else edges[:, ::-1]


def _coarse_lonlat(grid: GridData, factor: int) -> GridData:
    if np.ptp(grid.lat.reshape(grid.shape)[:, 0]) == 0.0 and grid.shape[0] > 1:
        return transposed(_coarse_lonlat(transposed(grid), factor))
    assert grid.corners is not None
    corners = grid.corners.reshape(*grid.shape, 4, 2)
    wrapped = grid.lon[: grid.shape[1]]
    lon = cells.unwrap_axis(wrapped)
    lon_bounds = corners[0, :, [0, 2], 0].T + (lon - wrapped)[:, None]
    lat_bounds = corners[:, 0, [0, 2], 1]
    return axes_grid(
        _axis_blocks(lon, factor),
        _axis_blocks(grid.lat[:: grid.shape[1]], factor),
        "regular" if grid.kind == "regular" else "rectilinear",
        _bounds_blocks(lon_bounds, factor),
        _bounds_blocks(lat_bounds, factor),
    )


def _coarse_rotated(grid: GridData, factor: int) -> GridData:
    rotated = [grid.coords[d] for d in grid.dims]
    if rotated[0].attrs.get("standard_name") == "grid_longitude":
        return transposed(_coarse_rotated(transposed(grid), factor))
    rlat, rlon = (_axis_blocks(axis.values.astype(np.float64), factor) for axis in rotated)
    return rotated_grid(rlon, rlat, grid.coords[grid.grid_mapping].attrs)


def _coarse_curvilinear(grid: GridData, factor: int) -> GridData:
    area = _blocks(grid.area.reshape(grid.shape), factor)
    weighted = [_blocks((grid.area * axis).reshape(grid.shape), factor) for axis in grid.xyz.T]
    xyz = normalise(np.stack([block.sum(axis=-1) for block in weighted], axis=-1))
    lon, lat = xyz_to_lonlat(xyz)
    flat_lon = lon.ravel()
    return GridData(
        lon=flat_lon,
        lat=lat.ravel(),
        area=area.sum(axis=-1).ravel(),
        mask=np.ones(lon.size, dtype=bool),
        shape=lon.shape,
        dims=grid.dims,
        kind="curvilinear",
        corners=cells.corners_to_lonlat(cells.curvilinear_corners(xyz), flat_lon),
        coords=xr.Dataset(
            coords={"lat": (grid.dims, lat, LAT_ATTRS), "lon": (grid.dims, lon, LON_ATTRS)}
        ),
    )
