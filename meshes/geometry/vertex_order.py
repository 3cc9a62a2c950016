"""Vertices of cells in an order that goes round the cell, where a file has them crossed."""

import numpy as np

from meshes.geometry import cells
from meshes.geometry.sphere import normalise, polygon_area, tangent_frame
from meshes.geometry.triangulation import cross2, gnomonic

# Shares of a cell's area, and of its size squared, that count as nothing.
AREA_SLACK = 1e-6
TURN_SLACK = 1e-9


def in_order(corners: np.ndarray, centre: np.ndarray) -> np.ndarray:
    """Return polygons of unit vectors [N, V, 3] counter-clockwise and without crossed edges.

    Vertices of a convex cell are sorted by the angle around their middle, those of another cell by
    the angle around its centre. A cell that is not convex keeps the order it has if no edges cross
    and it holds its centre.

    Args:
        corners: unit vectors [N, V, 3].
        centre: of the cells, unit vectors [N, 3].
    """
    corners = cells.counter_clockwise(corners)
    with np.errstate(invalid="ignore", divide="ignore"):
        plane, _, order = gnomonic(corners, centre)
    convex = _convex(plane)
    order[~convex] = _around(corners[~convex], centre[~convex], order[~convex])
    ordered = np.take_along_axis(corners, order[..., None], axis=1)
    area = polygon_area(ordered)
    wrong = np.abs(polygon_area(corners) - area) > AREA_SLACK * np.abs(area)
    doubtful = np.flatnonzero(wrong & ~convex)
    wrong[doubtful] = ~_holds_uncrossed(corners[doubtful], centre[doubtful])
    corners[wrong] = ordered[wrong]
    return corners


def _convex(plane: np.ndarray) -> np.ndarray:
    """Which polygons [P, V, 2], sorted by angle, are convex; vertices may lie on an edge."""
    before, after = np.roll(plane, 1, axis=1), np.roll(plane, -1, axis=1)
    return np.all(cross2(plane - before, after - plane) > -TURN_SLACK, axis=1)


def _around(corners: np.ndarray, centre: np.ndarray, otherwise: np.ndarray) -> np.ndarray:
    """Order [P, V] of vertices by the angle around the centre if it lies among them."""
    angle = _angles(corners, centre)
    order = np.argsort(angle, axis=1, kind="stable")
    angle = np.take_along_axis(angle, order, axis=1)
    gap = np.diff(angle, axis=1, append=angle[:, :1] + 2 * np.pi)
    return np.where(gap.max(axis=1, keepdims=True) < np.pi, order, otherwise)


def _angles(corners: np.ndarray, centre: np.ndarray) -> np.ndarray:
    """Angle [P, V] of vertices around the centre, counter-clockwise from the east."""
    frame = tangent_frame(centre)
    east, north = (np.einsum("pvk,pk->pv", corners, frame[:, i]) for i in (0, 1))
    return np.arctan2(north, east)


def _holds_uncrossed(corners: np.ndarray, centre: np.ndarray) -> np.ndarray:
    """Which polygons [P, V, 3] go once around their centre without crossed edges."""
    middle = normalise(corners.sum(axis=1))
    frame = tangent_frame(middle)[:, :2]
    plane = np.einsum("pvk,pik->pvi", corners, frame)
    plane = plane / np.einsum("pvk,pk->pv", corners, middle)[..., None]
    angle = _angles(corners, centre)
    turn = np.diff(angle, axis=1, append=angle[:, :1])
    turns = (np.mod(turn + np.pi, 2 * np.pi) - np.pi).sum(axis=1)
    return (np.abs(turns) > np.pi) & ~_crossed(plane)


def _crossed(plane: np.ndarray) -> np.ndarray:
    """Which polygons [P, V, 2] have two edges that cross."""
    n = plane.shape[1]
    following = np.roll(plane, -1, axis=1)
    crossed = np.zeros(len(plane), dtype=bool)
    for first in range(n):
        for second in range(first + 2, n - (first == 0)):
            a, b = plane[:, first], following[:, first]
            c, d = plane[:, second], following[:, second]
            apart = cross2(b - a, c - a) * cross2(b - a, d - a)
            other = cross2(d - c, a - c) * cross2(d - c, b - c)
            crossed |= (apart < 0) & (other < 0)
    return crossed
