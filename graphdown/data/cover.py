"""Whether a source lies around the target."""

import numpy as np
from scipy.spatial import cKDTree

from graphdown.data.rules import Notes, refuse
from meshes import EARTH_RADIUS_KM, Grid
from meshes.sphere import tangent_frame

REACH = 1.5  # source spacings: a point farther from every source point is outside
FEW = 0.01
DIRECTIONS = 8


def check_cover(source: Grid, target: Grid, margin_km: float, where: str, notes: Notes) -> None:
    """Refuse a source that leaves target points outside; note one that leaves the margin out.

    A point is outside if it is farther from every source point than 1.5 source spacings.

    Args:
        source, target: their grids.
        margin_km: width of the margin around the target.
        where: for messages.
        notes: collects the notice about the margin.

    Raises:
        DataError: more than 1 % of the target points are outside.
    """
    points = target.xyz[target.mask]
    outside = _outside(source, points)
    if outside.mean() > FEW:
        raise refuse(
            "outside",
            f"{where}: it covers {_extent(source)}, which leaves {100 * outside.mean():.0f} % of "
            f"the target ({_extent(target)}) outside; choose a source around the target, and check "
            "that latitude and longitude are not swapped.",
        )
    around = _ring(points, margin_km)
    beyond = _outside(source, around)
    if beyond.any():
        text = f"it does not reach {margin_km:g} km beyond the target on every side"
        notes.add("margin", where, text)


def _outside(source: Grid, points: np.ndarray) -> np.ndarray:
    distance = cKDTree(source.xyz[source.mask]).query(points)[0]
    return np.asarray(distance * EARTH_RADIUS_KM > REACH * source.spacing_km)


def _ring(points: np.ndarray, margin_km: float) -> np.ndarray:
    """Return points [8 N, 3] at the margin's distance in eight directions."""
    frame = tangent_frame(points)
    east, north = frame[:, 0], frame[:, 1]
    angle = margin_km / EARTH_RADIUS_KM
    turns = 2 * np.pi * np.arange(DIRECTIONS) / DIRECTIONS
    moved = [
        np.cos(angle) * points + np.sin(angle) * (np.cos(t) * east + np.sin(t) * north)
        for t in turns
    ]
    return np.concatenate(moved)


def _extent(grid: Grid) -> str:
    lon, lat = grid.lon[grid.mask], grid.lat[grid.mask]
    return (
        f"longitudes {lon.min():.1f} to {lon.max():.1f}, latitudes {lat.min():.1f} to "
        f"{lat.max():.1f}"
    )
