"""Grids that are lists of stations."""

from meshes.grids.cf import find_horizontal
from meshes.grids.conventions import bounds_label
from meshes.grids.grid import Grid

ROLE = {"cf_role": "timeseries_id"}


def are_stations(grid: Grid) -> bool:
    """Whether a grid is a list of points without bounds of cells."""
    names = find_horizontal(grid.coords).names
    return len(grid.shape) == 1 and not any(bounds_label(grid.coords[n].variable) for n in names)
