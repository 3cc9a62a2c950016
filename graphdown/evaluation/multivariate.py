"""Variables together: how temperature and precipitation go with each other from day to day."""

from collections.abc import Mapping

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


def maps(pair: Pair, pairs: Mapping[str, Pair]) -> dict[str, np.ndarray]:
    """Return the group's maps [N] by measure name; none but for temperatures beside pr."""
    rain = pairs.get(TOTAL_PRECIPITATION)
    if rain is None or not pair.is_temperature:
        return {}
    return {
        "pr_correlation_bias": correlation_with(pair.prediction, rain.prediction)
        - correlation_with(pair.truth, rain.truth)
    }
