"""Mean and standard deviation over time, cell by cell."""

from collections.abc import Callable, Iterable

import numpy as np


def moments(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return mean and standard deviation [N] of the present values [T, N], NaN without any."""
    return moments_of_parts(lambda: [values])


def moments_of_parts(
    parts: Callable[[], Iterable[np.ndarray]],
) -> tuple[np.ndarray, np.ndarray]:
    """Return `moments` of values that come by parts of days [t, N], which are asked for twice."""
    count, mean = mean_of_parts(parts())
    square = sum(np.nansum(np.square(v - mean), axis=0, dtype=np.float64) for v in parts())
    spread = np.sqrt(square / np.maximum(count, 1))
    return mean, np.where(count, spread, np.nan)


def mean_of_parts(parts: Iterable[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """Return the number of values and their mean [N], NaN without any, by parts of days [t, N]."""
    count: np.ndarray | int = 0
    total: np.ndarray | float = 0.0
    for values in parts:
        count = count + np.isfinite(values).sum(axis=0)
        total = total + np.nansum(values, axis=0, dtype=np.float64)
    mean = np.where(count, total / np.maximum(count, 1), np.nan)
    return np.asarray(count), mean
