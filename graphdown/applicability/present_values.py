"""Means and ratios of values some of which are missing, NaN where there are none."""

import numpy as np


def mean_of_present(values: np.ndarray, axis: int | tuple[int, ...] | None = None) -> np.ndarray:
    """Mean of the values that are there."""
    there = np.isfinite(values)
    count = there.sum(axis=axis)
    total = np.where(there, values, 0.0).sum(axis=axis)
    return np.asarray(np.where(count > 0, total / np.maximum(count, 1), np.nan))


def ratio(values: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Values by others, NaN where those are 0 or missing."""
    known = np.isfinite(others) & (others != 0)
    return np.asarray(np.where(known, values / np.where(known, others, 1.0), np.nan))
