"""Physical limits of predictions: bounds of each variable, and tasmin <= tas <= tasmax."""

import math
from collections.abc import Sequence

import numpy as np

from graphdown.variables.catalogue import daily_methods, describe
from graphdown.variables.names import variable_of

ORDER = ("minimum", "mean", "maximum")


def within_limits(values: np.ndarray, names: Sequence[str]) -> np.ndarray:
    """Return variables [..., V] within their limits; those that keep them stay bit for bit.

    Daily minimum, mean and maximum in the wrong order are replaced by the nearest ones in order,
    in the sum of squares: the projection onto a convex set that holds the truth, which never adds
    to the error.

    Args:
        values: in canonical units; changed in place.
        names: of the variables.
    """
    for i, name in enumerate(names):
        values[..., i] = within_bounds(name, values[..., i])
    for columns in ascending(names):
        chain = values[..., columns]
        wrong = (np.diff(chain, axis=-1) < 0).any(axis=-1)
        if wrong.any():
            chain[wrong] = _in_order(chain[wrong])
            values[..., columns] = chain
    return values


def within_bounds(name: str, values: np.ndarray) -> np.ndarray:
    """Return the values of a variable, in canonical units, within its bounds; NaN stays NaN."""
    low, high = describe(name).bounds
    values = values if low == -math.inf else np.maximum(values, low)
    return values if high == math.inf else np.minimum(values, high)


def ascending(names: Sequence[str]) -> list[list[int]]:
    """Places in `names` of daily minimum, mean and maximum of the variables that have several."""
    chains = []
    for base in dict.fromkeys(describe(n).extreme_of or variable_of(n) for n in names):
        methods = daily_methods(base)
        there = sorted((n for n in methods if n in names), key=lambda n: ORDER.index(methods[n]))
        chains.append([list(names).index(name) for name in there])
    return [chain for chain in chains if len(chain) > 1]


def _in_order(values: np.ndarray) -> np.ndarray:
    """Return the nearest ascending rows [n, k]: x_i = max_(a <= i) min_(b >= i) mean(x_a .. x_b).

    The formula of isotonic regression (Robertson, Wright and Dykstra 1988, theorem 1.4.4).
    """
    count = values.shape[1]

    def least(first: int, at: int) -> np.ndarray:
        means = [values[:, first : last + 1].mean(axis=1) for last in range(at, count)]
        return np.minimum.reduce(means)

    columns = [np.maximum.reduce([least(a, i) for a in range(i + 1)]) for i in range(count)]
    return np.maximum.accumulate(np.stack(columns, axis=1), axis=1)
