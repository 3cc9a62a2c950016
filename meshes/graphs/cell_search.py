"""Search for the cells of a grid around positions, and for cells that overlap."""

import numpy as np

from meshes.geometry.neighbours import nearest_points
from meshes.geometry.sphere import EARTH_RADIUS_KM, angle_to_chord, in_cap, normalise
from meshes.grids.grid import Grid
from meshes.grids.outline import outline

NEAREST_CELLS = 4
CELLS_AROUND = 5.0
# Points this far outside a cell, as a share of its size, count as inside.
EDGE_SLACK = 0.002
OVERLAP_CELLS = 2000
OVERLAP_NEAREST = 8
RIM = 0.9


def in_cells(grid: Grid, xyz: np.ndarray) -> np.ndarray:
    """Which unit vectors [N, 3] lie in the cell of one of the nearest used points."""
    used = np.flatnonzero(grid.mask)
    if not used.size:
        raise ValueError("The grid has no used point: its mask is False everywhere.")
    near = _nearest_cells(grid, used, xyz, NEAREST_CELLS)
    return np.any(_encloses(_outlines(grid, near), xyz[:, None, :]), axis=1)


def overlap_share(grid: Grid) -> float:
    """Return the share of the used cells' parts that lie in another used cell as well.

    Positions near the rims of up to 2000 cells are looked at: cells that fit side by side have none
    in others, and cells twice as wide as their distance have all.
    """
    used = np.flatnonzero(grid.mask)
    if grid.corners is None or used.size < 2:
        return 0.0
    chosen = used[np.unique(np.linspace(0, used.size - 1, OVERLAP_CELLS).astype(int))]
    centre = grid.xyz[chosen][:, None, :]
    rim = centre + RIM * (outline(grid, 1, chosen) - centre)
    points = normalise(rim.reshape(-1, 3))
    owner = np.repeat(chosen, rim.shape[1])
    near = _nearest_cells(grid, used, points, OVERLAP_NEAREST)
    inside = _encloses(_outlines(grid, near), points[:, None, :], slack=0.0)
    return float(np.any(inside & (near != owner[:, None]), axis=1).mean())


def _outlines(grid: Grid, index: np.ndarray) -> np.ndarray:
    """Return the vertices [*index.shape, V, 3] of cells."""
    chosen, slot = np.unique(index, return_inverse=True)
    return outline(grid, 1, chosen)[slot.reshape(index.shape)]


def _nearest_cells(grid: Grid, used: np.ndarray, xyz: np.ndarray, count: int) -> np.ndarray:
    """Return the used points [N, k] nearest to unit vectors [N, 3], k at most `count`."""
    k = min(count, used.size)
    reach = CELLS_AROUND * grid.spacing_km / EARTH_RADIUS_KM
    close = used[in_cap(grid.xyz[used], xyz, reach)]
    if k <= close.size < used.size:
        chord, index = nearest_points(grid.xyz[close], xyz, k)
        if chord.max() < angle_to_chord(reach):
            return close[index]
    return used[nearest_points(grid.xyz[used], xyz, k)[1]]


def _encloses(corners: np.ndarray, point: np.ndarray, slack: float = EDGE_SLACK) -> np.ndarray:
    """Whether convex cells [..., V, 3], counter-clockwise, hold unit vectors [..., 3]."""
    following = np.roll(corners, -1, axis=-2)
    edge = np.cross(corners, following)
    length = np.linalg.norm(corners - following, axis=-1)
    size = length.max(axis=-1, keepdims=True)
    beyond = np.sum(edge * point[..., None, :], axis=-1)
    within = np.all(beyond >= -slack * size * length - 1e-14, axis=-1)
    return np.logical_and(within, size[..., 0] > 0)
