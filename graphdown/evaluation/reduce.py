"""Means over time and over the area that leave missing values out."""

import numpy as np


def counts(values: np.ndarray) -> np.ndarray:
    """Return the number [N] of values [T, N] that are not missing."""
    if np.isfinite(values.sum(axis=0)).all():  # a sum takes less time than all the tests
        return np.full(values.shape[1], len(values))
    return np.isfinite(values).sum(axis=0)


def time_mean(values: np.ndarray) -> np.ndarray:
    """Return the mean [N] of values [T, N] over time, NaN where there is no value."""
    total = values.sum(axis=0, dtype=np.float64)
    if len(values) and np.isfinite(total).all():
        return total / len(values)
    present = np.isfinite(values)
    count = present.sum(axis=0)
    total = np.where(present, values, 0.0).sum(axis=0, dtype=np.float64)
    return divide(total, count)


def time_variance(values: np.ndarray) -> np.ndarray:
    """Return the variance [N] of values [T, N] over time (divided by the count)."""
    return time_mean(np.square(values - time_mean(values)))


def area_mean(values: np.ndarray, area: np.ndarray) -> np.ndarray:
    """Return the area-weighted mean [...] of values [..., N] over the cells that have a value.

    Args:
        values: any quantity [..., N].
        area: cell areas [N] in any unit.
    """
    total = _weighted_sum(values, area)
    if np.isfinite(total).all():
        return divide(total, area.sum())
    present = np.isfinite(values)
    total = _weighted_sum(np.where(present, values, 0.0), area)
    return divide(total, _weighted_sum(present, area))


class AreaMean:
    """Area-weighted mean [...] of values [..., N] that come by blocks of cells."""

    def __init__(self) -> None:
        self._total: np.ndarray | float = 0.0
        self._weight: np.ndarray | float = 0.0

    def add(self, values: np.ndarray, area: np.ndarray) -> None:
        """Add values [..., n] of cells with areas [n]; missing ones are left out."""
        present = np.isfinite(values)
        self._total = self._total + _weighted_sum(np.where(present, values, 0.0), area)
        self._weight = self._weight + _weighted_sum(present, area)

    @property
    def mean(self) -> np.ndarray:
        """The mean of all values so far, NaN where there are none."""
        return divide(np.asarray(self._total), np.asarray(self._weight))


def _weighted_sum(values: np.ndarray, area: np.ndarray) -> np.ndarray:
    """Return sums over the cells; BLAS would wait for busy cores."""
    return np.asarray(np.einsum("...n,n->...", values, area))


def divide(numerator: np.ndarray, denominator: np.ndarray) -> np.ndarray:
    """Return numerator / denominator as float64, NaN where the denominator is 0 or missing."""
    numerator, denominator = np.broadcast_arrays(numerator, denominator)
    usable = np.isfinite(denominator) & (denominator != 0)
    quotient = np.full(np.shape(denominator), np.nan)
    np.divide(numerator, denominator, out=quotient, where=usable)
    return quotient
