"""Outlines of a grid's cells, with edges fine enough to follow the true curves."""

import numpy as np

from meshes.geometry import cells
from meshes.geometry.sphere import lonlat_to_xyz, normalise, wrap_longitude, xyz_to_lonlat
from meshes.geometry.triangulation import voronoi_cells
from meshes.grids.base import LONLAT_KINDS, GridData
from meshes.grids.rotated import matrix_of_attrs

PARTS = 4


def outline(grid: GridData, parts: int = PARTS, keep: np.ndarray | None = None) -> np.ndarray:
    """Return the cells' vertices as unit vectors [N, V, 3], counter-clockwise.

    Edges run along meridians and parallels for longitude-latitude grids, along the rotated ones
    for rotated-pole grids, and along great circles otherwise. Unknown cells are Voronoi cells.

    Args:
        grid: the grid.
        parts: number of straight parts that each edge is cut into.
        keep: indices or boolean [N] of the cells to outline, all by default.
    """
    chosen = slice(None) if keep is None else keep
    if grid.corners is None:
        return normalise(cells.densify(voronoi_cells(grid.xyz)[0][chosen], parts))
    if grid.kind in LONLAT_KINDS:
        return cells.lonlat_corners_to_xyz(cells.densify(grid.corners[chosen], parts))
    corners = cells.lonlat_corners_to_xyz(grid.corners[chosen])
    if grid.kind == "rotated_pole" and grid.grid_mapping is not None:
        matrix = matrix_of_attrs(grid.coords[grid.grid_mapping].attrs)
        return _along_rotated(corners, matrix, parts)
    return normalise(cells.densify(corners, parts))


def _along_rotated(corners: np.ndarray, matrix: np.ndarray, parts: int) -> np.ndarray:
    rlon, rlat = xyz_to_lonlat(corners @ matrix)
    # A corner at the rotated pole gets the longitude of the other end of its meridian.
    rlon = np.where(np.abs(rlat) > 90.0 - 1e-7, rlon[:, ::-1], rlon)
    rlon = cells.near_longitude(rlon, rlon[:, 0])
    dense = cells.densify(np.stack([rlon, rlat], axis=-1), parts)
    return lonlat_to_xyz(dense[..., 0], dense[..., 1]) @ matrix.T


def continuous_lonlat(vertices: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return lon, lat [N, V, 2] in degrees without jumps, and the number of turns [N].

    The turns are +1 for a cell around the north pole, -1 around the south pole, else 0.
    """
    lon, lat = xyz_to_lonlat(vertices)
    steps = wrap_longitude(np.diff(lon, axis=1, append=lon[:, :1]))
    turns = np.rint(steps.sum(axis=1) / 360.0).astype(int)
    lon = lon[:, :1] + np.concatenate([np.zeros((len(lon), 1)), np.cumsum(steps, axis=1)], axis=1)
    return np.stack([lon[:, :-1], lat], axis=-1), turns
