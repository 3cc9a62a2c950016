"""Statistics of each year, averaged over the years."""

from collections.abc import Callable

import numpy as np

from graphdown.evaluation.days import Days
from graphdown.evaluation.reduce import time_mean


def mean_annual(
    values: np.ndarray, days: Days, statistic: Callable[[np.ndarray], np.ndarray]
) -> np.ndarray:
    """Return the mean over the years [N] of a statistic of each year's values.

    Args:
        values: [T, N].
        days: the calendar of the T days; years that are cut off take no part.
        statistic: maps the values [t, N] of one year to [N], NaN where a cell has none.
    """
    return time_mean(np.stack([statistic(values[days.year == y]) for y in range(days.years)]))
