"""The part of a target's grid that is used: cut by index, box or region, or covered by sources."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import xarray as xr

from graphdown.config.regions import Box, region_named
from graphdown.data.reading.horizontal import grid_of_dataset
from graphdown.errors import DataError
from meshes import Grid
from meshes.graphs.cell_search import in_cells
from meshes.graphs.coverage import covers, describe_extent
from meshes.grids.base import LONLAT_KINDS

KEY = "'data.target.cut'"
FULL_TURN = 360.0


def cut_to(
    ds: xr.Dataset,
    cut: Mapping[str, tuple[int, int]] | Box | str,
    names: Sequence[str],
    where: str,
) -> xr.Dataset:
    """Part of a target's grid; cells outside of a box or region become missing.

    Args:
        ds: fields [time, *horizontal], not read yet.
        cut: as in the experiment, see `graphdown.config.data.Target`.
        names: of the fields.
        where: for messages.

    Raises:
        DataError: a dimension or index is not there, or the part is empty.
    """
    if isinstance(cut, Mapping):
        return _by_index(ds, cut)
    grid = grid_of_dataset(ds, names, where)
    inside = _inside(grid, region_named(cut) if isinstance(cut, str) else cut)
    if not inside.any():
        raise DataError(
            f"{KEY} asks for {cut if isinstance(cut, str) else list(cut)}, which holds no cell of "
            f"the target ({describe_extent(grid)}); choose a part of it."
        )
    index = _window(grid, inside)
    there = xr.DataArray(inside.reshape(grid.shape), dims=grid.dims).isel(index)
    ds = ds.isel(index)
    return ds if there.all() else _where(ds, there)


def covered_part(
    ds: xr.Dataset, sources: Sequence[Grid], names: Sequence[str], where: str
) -> tuple[xr.Dataset, int]:
    """Target without the cells that a source does not cover, which become missing.

    Args:
        ds: fields [time, *horizontal].
        sources: their grids.
        names: of the fields.
        where: for messages.

    Returns:
        The target, and the number of cells that are left out.
    """
    grid = grid_of_dataset(ds, names, where)
    there = np.ones(grid.size, dtype=bool)
    for source in sources:
        there &= covers(source, grid.xyz)
    if there.all():
        return ds, 0
    covered = xr.DataArray(there.reshape(grid.shape), dims=grid.dims)
    return _where(ds, covered), int(np.count_nonzero(grid.mask & ~there))


def _by_index(ds: xr.Dataset, cut: Mapping[str, tuple[int, int]]) -> xr.Dataset:
    for dim, (low, high) in cut.items():
        if dim not in ds.dims or not 0 <= low < high <= ds.sizes[dim]:
            sizes = ", ".join(f"{d} of {n}" for d, n in ds.sizes.items())
            raise DataError(
                f"{KEY} asks for [{low}, {high}) of {dim!r}, but the dimensions are "
                f"{sizes}; choose first and end within them."
            )
        ds = ds.isel({dim: slice(low, high)})
    return ds


def _inside(grid: Grid, region: Box | Grid) -> np.ndarray:
    """Which cells [N] have their centres in a box or in a cell of a grid."""
    if isinstance(region, Grid):
        return in_cells(region, grid.xyz)
    west, south, east, north = region
    along = np.mod(grid.lon - west, FULL_TURN)
    return (along <= east - west) & (grid.lat >= south) & (grid.lat <= north)


def _window(grid: Grid, inside: np.ndarray) -> dict[str, np.ndarray | slice]:
    """Index along each dimension of the smallest part of rows and columns around cells [N]."""
    if len(grid.shape) == 1:
        return {grid.dims[0]: np.flatnonzero(inside)}
    cells = inside.reshape(grid.shape)
    window: dict[str, np.ndarray | slice] = {}
    for axis, dim in enumerate(grid.dims):
        others = tuple(i for i in range(cells.ndim) if i != axis)
        window[dim] = _stretch(np.any(cells, axis=others), _goes_round(grid, axis))
    return window


def _stretch(used: Any, cyclic: bool) -> np.ndarray | slice:
    """Index of the shortest stretch [n] that holds all used places; it may go across the seam."""
    places = np.flatnonzero(used)
    gaps = np.diff(places, append=places[0] + len(used))
    begin = (int(np.argmax(gaps)) + 1) % len(places)
    if not cyclic or begin == 0:
        return slice(int(places[0]), int(places[-1]) + 1)
    return np.mod(np.arange(places[begin], places[begin - 1] + len(used) + 1), len(used))


def _goes_round(grid: Grid, axis: int) -> bool:
    """Whether the cells of a grid's rows along an axis go around the globe without a gap."""
    if grid.kind not in LONLAT_KINDS or grid.corners is None:
        return False
    lon = np.moveaxis(grid.lon.reshape(grid.shape), axis, 0)
    if np.ptp(lon, axis=0).max() == 0:
        return False
    width = np.ptp(grid.corners[..., 0], axis=1).reshape(grid.shape)
    return bool(np.moveaxis(width, axis, 0).sum(axis=0).min() > FULL_TURN - 1e-3)


def _where(ds: xr.Dataset, there: xr.DataArray) -> xr.Dataset:
    """Dataset with missing values at the cells that are not there."""
    fields = {
        name: field.where(there).transpose(*field.dims)
        for name, field in ds.data_vars.items()
        if set(there.dims) <= set(field.dims)
    }
    return ds.assign(fields)
