"""Coverage of a target, and of the mesh margin around it, by a source grid."""

from dataclasses import dataclass

import numpy as np

from meshes.geometry.icosahedron import MAX_LEVEL, nominal_spacing_km
from meshes.geometry.neighbours import nearest_points
from meshes.geometry.sphere import EARTH_RADIUS_KM, angle_to_chord, in_cap
from meshes.graphs.mesh import build_mesh
from meshes.grids.grid import Grid
from meshes.grids.outline import outline
from meshes.remapping.sites import Sites

# Spacing of the samples of the margin, as a share of its width.
SAMPLE = 0.25
NEAREST_CELLS = 4
CELLS_AROUND = 5.0
QUICK_SAMPLE = 50
# Points this far outside a cell, as a share of its size, count as inside.
EDGE_SLACK = 0.002


@dataclass(frozen=True)
class Coverage:
    """Shares between 0 and 1 that a source covers.

    Attributes:
        target: share of the area of the used target cells whose centres the source covers.
        margin: share of the margin around the target; 1 where there is none.
        margin_km: width of the margin.
    """

    target: float
    margin: float
    margin_km: float

    def require(self, target: float = 0.999, margin: float = 0.999) -> None:
        """Refuse a source that covers less than these shares.

        Raises:
            ValueError: the source covers less.
        """
        if self.target < target:
            raise ValueError(
                f"The source covers {_percent(self.target)} of the target, {_percent(target)} is "
                "needed; take a source of a larger region, or cut the target to the source."
            )
        if self.margin < margin:
            raise ValueError(
                f"The source covers {_percent(self.margin)} of the {self.margin_km:g} km around "
                f"the target that the mesh reaches into, {_percent(margin)} is needed; take a "
                "source of a larger region, or lower margin_km."
            )


def coverage(source: Grid, target: Grid, margin_km: float) -> Coverage:
    """Return the shares of the target, and of the margin around it, that the source covers.

    Args:
        source: the source grid; masked cells cover nothing.
        target: the target grid; masked cells need no cover.
        margin_km: width of the margin, as in `GraphSpec`.

    Raises:
        ValueError: a grid without used points, or a margin that is negative.
    """
    used = np.flatnonzero(target.mask)
    within = covers(source, target.xyz[used])
    area = target.area[used]
    share = float(np.sum(area * within) / area.sum())
    around = _margin_points(target, margin_km)
    return Coverage(share, float(covers(source, around).mean()) if len(around) else 1.0, margin_km)


def meets(source: Grid, target: Grid) -> bool:
    """Whether a source covers any used target point."""
    # A sample suffices in the usual case.
    points = target.xyz[target.mask]
    sample = points[:: max(1, len(points) // QUICK_SAMPLE)]
    return bool(covers(source, sample).any() or covers(source, points).any())


def describe_extent(grid: Grid) -> str:
    """Return the range of a grid's used latitudes and the shortest range of its longitudes."""
    lat, lon = grid.lat[grid.mask], np.sort(grid.lon[grid.mask])
    gaps = np.diff(lon, append=lon[0] + 360.0)
    east, west = int(np.argmax(gaps)), (int(np.argmax(gaps)) + 1) % len(lon)
    return (
        f"lat {lat.min():.1f} to {lat.max():.1f}, lon {lon[west]:.1f} to {lon[east]:.1f} eastwards"
    )


def _margin_points(target: Grid, margin_km: float) -> np.ndarray:
    """Return unit vectors [M, 3], evenly spread over the margin, outside the target."""
    if margin_km == 0:
        return np.zeros((0, 3))
    levels = range(MAX_LEVEL)
    level = next((n for n in levels if nominal_spacing_km(n) <= SAMPLE * margin_km), MAX_LEVEL)
    nodes = build_mesh(target, level, level, margin_km).xyz
    return nodes[~in_cells(target, nodes)]


def covers(grid: Grid, xyz: np.ndarray) -> np.ndarray:
    """Which unit vectors [N, 3] lie in a grid's used cells or among its used points.

    A position is among the points if it lies in a triangle of them that belongs to the region of
    their triangulation, which leaves out holes and bridges.
    """
    covered = in_cells(grid, xyz)
    rest = np.flatnonzero(~covered)
    if rest.size:
        sites = Sites.of(grid)
        triangle = sites.locate(xyz[rest])
        if triangle is not None and sites.triangulation is not None:
            covered[rest] = sites.triangulation.inside[triangle]
    return covered


def in_cells(grid: Grid, xyz: np.ndarray) -> np.ndarray:
    """Which unit vectors [N, 3] lie in the cell of one of the nearest used points."""
    used = np.flatnonzero(grid.mask)
    if not used.size:
        raise ValueError("The grid has no used point: its mask is False everywhere.")
    near = _nearest_cells(grid, used, xyz)
    candidates, slot = np.unique(near, return_inverse=True)
    corners = outline(grid, 1, candidates)[slot.reshape(near.shape)]
    return np.any(_encloses(corners, xyz[:, None, :]), axis=1)


def _nearest_cells(grid: Grid, used: np.ndarray, xyz: np.ndarray) -> np.ndarray:
    """Return the used points [N, k] nearest to unit vectors [N, 3]."""
    k = min(NEAREST_CELLS, used.size)
    reach = CELLS_AROUND * grid.spacing_km / EARTH_RADIUS_KM
    close = used[in_cap(grid.xyz[used], xyz, reach)]
    if k <= close.size < used.size:
        chord, index = nearest_points(grid.xyz[close], xyz, k)
        if chord.max() < angle_to_chord(reach):
            return close[index]
    return used[nearest_points(grid.xyz[used], xyz, k)[1]]


def _encloses(corners: np.ndarray, point: np.ndarray) -> np.ndarray:
    """Whether convex cells [..., V, 3], counter-clockwise, hold unit vectors [..., 3]."""
    following = np.roll(corners, -1, axis=-2)
    edge = np.cross(corners, following)
    length = np.linalg.norm(corners - following, axis=-1)
    size = length.max(axis=-1, keepdims=True)
    beyond = np.sum(edge * point[..., None, :], axis=-1)
    within = np.all(beyond >= -EDGE_SLACK * size * length - 1e-14, axis=-1)
    return np.logical_and(within, size[..., 0] > 0)


def _percent(share: float) -> str:
    return f"{100 * share:.4g} %"
