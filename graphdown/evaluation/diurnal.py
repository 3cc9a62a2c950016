"""The diurnal cycle of series with several times a day."""

import numpy as np

from graphdown.evaluation.paired import Pair
from graphdown.evaluation.reduce import area_mean, time_mean


def cycle(values: np.ndarray, time_of_day: np.ndarray) -> np.ndarray:
    """Return the mean [H, N] of values [T, N] at each of the H times of day that occur [T]."""
    return np.stack([time_mean(values[time_of_day == t]) for t in np.unique(time_of_day)])


def scores(pair: Pair) -> dict[str, float]:
    """Return the group's values by measure name; none for daily series."""
    times = pair.days.time_of_day
    if len(np.unique(times)) == 1:
        return {}
    error = cycle(pair.prediction, times) - cycle(pair.truth, times)
    return {"diurnal_cycle_rmse": float(np.sqrt(np.mean(area_mean(np.square(error), pair.area))))}
