"""Mean and standard deviation over time, cell by cell."""

from collections.abc import Callable, Iterable
from typing import Any

import numpy as np

Labelled = Iterable[tuple[str, np.ndarray]]


def mean_of_parts(parts: Iterable[np.ndarray]) -> np.ndarray:
    """Return the mean [N] of values that come by parts of days [t, N], NaN without any."""
    return means(("", values) for values in parts)[""][1]


def means(parts: Labelled) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Return the number of present values and their mean [N], NaN without any, by label.

    Args:
        parts: values [t, N] with a label.
    """
    count: dict[str, Any] = {}
    total: dict[str, Any] = {}
    for label, values in parts:
        count[label] = count.get(label, 0) + np.isfinite(values).sum(axis=0)
        total[label] = total.get(label, 0.0) + np.nansum(values, axis=0, dtype=np.float64)
    return {
        label: (n, np.where(n, total[label] / np.maximum(n, 1), np.nan))
        for label, n in count.items()
    }


def moments(parts: Callable[[], Labelled]) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Return mean and standard deviation [N] of the present values, NaN without any, by label.

    Args:
        parts: as for `means`; asked for twice.
    """
    mean = means(parts())
    square: dict[str, Any] = {}
    for label, values in parts():
        part = np.nansum(np.square(values - mean[label][1]), axis=0, dtype=np.float64)
        square[label] = square.get(label, 0.0) + part
    return {
        label: (middle, np.where(n, np.sqrt(square[label] / np.maximum(n, 1)), np.nan))
        for label, (n, middle) in mean.items()
    }
