"""Variables together: correlation of temperature and precipitation from day to day."""

from collections.abc import Callable

import numpy as np

from graphdown.evaluation.error import correlation_map
from graphdown.evaluation.paired import Pair

TOTAL_PRECIPITATION = "pr"  # that of rain and snow alone is no measure of the protocol


def correlation_with(values: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Return the correlation in time per cell [N] of two variables [T, N], on days with both."""
    missing = np.isnan(values + others)
    if missing.any():
        values, others = (np.where(missing, np.nan, part) for part in (values, others))
    return correlation_map(values, others)


def correlation_bias(pair: Pair) -> np.ndarray | None:
    """Return the error of the correlation with pr per cell [N]; None but for temperatures."""
    return bias_with_rain(pair, correlation_with)


def bias_with_rain(pair: Pair, index: Callable[..., np.ndarray]) -> np.ndarray | None:
    """Return the error per cell [N] of an index of two variables [T, N], the second of them pr.

    It is None for a variable that is no temperature, and without pr.
    """
    rain = pair.others.get(TOTAL_PRECIPITATION)
    if rain is None or not pair.is_temperature:
        return None
    return index(pair.prediction, rain.prediction) - index(pair.truth, rain.truth)
