"""Quantiles of each cell's values, missing ones left out."""

import numpy as np


def sorted_by_cell(values: np.ndarray) -> np.ndarray:
    """Return values [T, N] in ascending order for each cell, [N, T], missing values last."""
    return np.sort(np.ascontiguousarray(values.T), axis=1)


def quantiles(ordered: np.ndarray, levels: np.ndarray) -> np.ndarray:
    """Return quantiles [L, N] of ordered values [N, T], linear between neighbouring values.

    Args:
        ordered: result of `sorted_by_cell`, missing values last.
        levels: probabilities [L] in 0..1.
    """
    count = np.isfinite(ordered).sum(axis=1)
    position = np.asarray(levels)[:, None] * np.maximum(count - 1, 0)
    below = np.floor(position).astype(np.intp)
    above = np.minimum(below + 1, np.maximum(count - 1, 0))
    lower = np.take_along_axis(ordered, below.T, axis=1).T.astype(np.float64)
    upper = np.take_along_axis(ordered, above.T, axis=1).T.astype(np.float64)
    return lower + (position - below) * (upper - lower)
