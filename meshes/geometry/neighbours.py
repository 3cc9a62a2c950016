"""Nearest points on the unit sphere."""

import numpy as np
from scipy.spatial import cKDTree


def nearest_points(
    points: np.ndarray | cKDTree, xyz: np.ndarray, k: int = 1, eps: float = 0.0
) -> tuple[np.ndarray, np.ndarray]:
    """Return the k nearest points of unit vectors xyz [N, 3]: chords [N, k] and indices [N, k].

    Args:
        points: unit vectors [P, 3], P >= k, or a tree of them.
        xyz: unit vectors to search from.
        k: number of neighbours.
        eps: points up to 1 + eps times as far as the nearest are accepted, for a faster search.
    """
    tree = points if isinstance(points, cKDTree) else cKDTree(points)
    chord, index = tree.query(xyz, k=[*range(1, k + 1)], eps=eps)
    return np.asarray(chord), np.asarray(index)
