"""Nearest points on the unit sphere."""

import numpy as np
from scipy.spatial import cKDTree


def nearest_points(
    points: np.ndarray | cKDTree, xyz: np.ndarray, k: int = 1, eps: float = 0.0
) -> tuple[np.ndarray, np.ndarray]:
    """Return the chords [N, k] from unit vectors xyz [N, 3] to their k nearest points, and which.

    Args:
        points: unit vectors [P, 3], P >= k, or a tree of them.
        xyz: where to look from.
        k: how many.
        eps: a point at most 1 + eps times as far as the true one will do; fast from far away.
    """
    tree = points if isinstance(points, cKDTree) else cKDTree(points)
    chord, index = tree.query(xyz, k=[*range(1, k + 1)], eps=eps)
    return np.asarray(chord), np.asarray(index)
