"""Limits that physics sets to what a network makes: no negative rain, tasmin <= tas <= tasmax."""

from collections.abc import Sequence

import numpy as np

from graphdown.variables.names import is_non_negative

ASCENDING = ("tasmin", "tas", "tasmax")


def within_limits(values: np.ndarray, names: Sequence[str]) -> np.ndarray:
    """Return targets [..., T] within their limits; those that keep them stay bit for bit.

    Temperatures in the wrong order are replaced by the nearest ones in order, in the sum of
    squares: the projection onto a convex set that holds the truth, which never adds to the error.

    Args:
        values: in physical units; changed in place.
        names: of the targets.
    """
    for i, name in enumerate(names):
        if is_non_negative(name):
            values[..., i] = np.maximum(values[..., i], 0.0)
    columns = [list(names).index(name) for name in ASCENDING if name in names]
    if len(columns) < 2:
        return values
    own = values[..., columns]
    wrong = (np.diff(own, axis=-1) < 0).any(axis=-1)
    if wrong.any():
        own[wrong] = _in_order(own[wrong])
        values[..., columns] = own
    return values


def _in_order(values: np.ndarray) -> np.ndarray:
    """Return the nearest ascending rows [n, k]: x_i = max_(a <= i) min_(b >= i) mean(x_a .. x_b).

    The formula of isotonic regression (Robertson, Wright and Dykstra 1988, theorem 1.4.4).
    """
    count = values.shape[1]

    def least(first: int, at: int) -> np.ndarray:
        means = [values[:, first : last + 1].mean(axis=1) for last in range(at, count)]
        return np.minimum.reduce(means)

    made = [np.maximum.reduce([least(a, i) for a in range(i + 1)]) for i in range(count)]
    return np.maximum.accumulate(np.stack(made, axis=1), axis=1)
