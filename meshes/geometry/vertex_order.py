"""Vertices of cells in an order that goes round the cell, where a file has them crossed."""

import numpy as np

from meshes.geometry import cells
from meshes.geometry.sphere import polygon_area
from meshes.geometry.triangulation import cross2, gnomonic

# Shares of a cell's area, and of its size squared, that count as nothing.
AREA_SLACK = 1e-6
TURN_SLACK = 1e-9


def in_order(corners: np.ndarray) -> np.ndarray:
    """Return polygons of unit vectors [N, V, 3] counter-clockwise and without crossed edges.

    Vertices of polygons whose edges cross are sorted by the angle around their middle. Polygons
    that have no crossed edges keep their vertices, convex or not.
    """
    corners = cells.counter_clockwise(corners)
    area = polygon_area(corners)
    with np.errstate(invalid="ignore", divide="ignore"):
        plane, _, order = gnomonic(corners, corners[:, 0])
    sorted_ = np.take_along_axis(corners, order[..., None], axis=1)
    smaller = np.flatnonzero(area < (1.0 - AREA_SLACK) * polygon_area(sorted_))
    if not smaller.size:
        return corners
    crossed = _convex(plane[smaller])
    rest = smaller[~crossed]
    back = np.argsort(order[rest], axis=1)
    crossed[~crossed] = _crossed(np.take_along_axis(plane[rest], back[..., None], axis=1))
    corners[smaller[crossed]] = sorted_[smaller[crossed]]
    return corners


def _convex(plane: np.ndarray) -> np.ndarray:
    """Which polygons [P, V, 2], sorted by angle, are convex; vertices may lie on an edge."""
    before, after = np.roll(plane, 1, axis=1), np.roll(plane, -1, axis=1)
    return np.all(cross2(plane - before, after - plane) > -TURN_SLACK, axis=1)


def _crossed(plane: np.ndarray) -> np.ndarray:
    """Which polygons [P, V, 2] have two edges that cross."""
    n = plane.shape[1]
    following = np.roll(plane, -1, axis=1)
    crossed = np.zeros(len(plane), dtype=bool)
    for first in range(n):
        for second in range(first + 2, n - (first == 0)):
            a, b, c, d = (
                plane[:, first],
                following[:, first],
                plane[:, second],
                following[:, second],
            )
            apart = cross2(b - a, c - a) * cross2(b - a, d - a)
            other = cross2(d - c, a - c) * cross2(d - c, b - c)
            crossed |= (apart < 0) & (other < 0)
    return crossed
