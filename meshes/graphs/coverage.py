"""Coverage of a target, and of the mesh margin around it, by a source grid."""

from dataclasses import dataclass

import numpy as np

from meshes.geometry.icosahedron import MAX_LEVEL, nominal_spacing_km
from meshes.geometry.neighbours import nearest_points
from meshes.geometry.sphere import EARTH_RADIUS_KM, angle_to_chord, chord_to_angle, in_cap
from meshes.graphs.cell_search import in_cells
from meshes.graphs.mesh import build_mesh
from meshes.grids.grid import Grid
from meshes.remapping.sites import Sites

# Spacing of the samples of the margin, as a share of its width.
SAMPLE = 0.25
QUICK_SAMPLE = 50
# Positions between cells are covered up to this many sizes of the nearest cell from its centre.
REACH = 2.0
# Cells that are larger are no model's but those of scattered points, which cover no position that
# is farther from them.
LARGEST_KM, FARTHEST_KM = 2000.0, 1000.0


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
    margin = float(covers(source, around).mean()) if len(around) else 1.0
    return Coverage(share, margin, margin_km)


def usual_distance_km(source: Grid, target: Grid) -> float:
    """Return the median distance of the used target points from the nearest used source point."""
    return float(np.median(_nearest(source, target.xyz[target.mask])[0]))


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
    their triangulation, which leaves out holes and bridges, and within two sizes of the nearest
    cell. A position in a cell of more than 2000 km, and farther than 1000 km from its
    point, is not covered.
    """
    covered = in_cells(grid, xyz)
    distance, size = _nearest(grid, xyz)
    rest = np.flatnonzero(~covered & (distance <= REACH * size))
    if rest.size:
        sites = Sites.of(grid)
        triangle = sites.locate(xyz[rest])
        if triangle is not None and sites.triangulation is not None:
            covered[rest] = sites.triangulation.inside[triangle]
    return covered & ((size <= LARGEST_KM) | (distance <= FARTHEST_KM))


def _nearest(grid: Grid, xyz: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the distance [N] in km of unit vectors from the nearest used point, and its size."""
    used = np.flatnonzero(grid.mask)
    if not used.size:
        raise ValueError("The grid has no used point: its mask is False everywhere.")
    reach = FARTHEST_KM / EARTH_RADIUS_KM
    close = used[in_cap(grid.xyz[used], xyz, reach)]
    chord, index = nearest_points(grid.xyz[close if close.size else used], xyz)
    if close.size < used.size and chord.max() > angle_to_chord(reach):
        close = used
        chord, index = nearest_points(grid.xyz[used], xyz)
    size = np.sqrt(grid.area[close[index[:, 0]]]) * EARTH_RADIUS_KM
    return chord_to_angle(chord[:, 0]) * EARTH_RADIUS_KM, size


def _percent(share: float) -> str:
    return f"{100 * share:.4g} %"
