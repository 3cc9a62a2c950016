"""The diurnal cycle of series with several times a day."""

import numpy as np

from graphdown.evaluation.paired import Pair
from graphdown.evaluation.reduce import area_mean, time_mean


def cycle(values: np.ndarray, time_of_day: np.ndarray) -> np.ndarray:
    """Return the mean [H, N] of values [T, N] at each of the H times of day that occur [T]."""
    return np.stack([time_mean(values[time_of_day == t]) for t in np.unique(time_of_day)])


def cycle_squares(pair: Pair) -> np.ndarray | None:
    """Return the squared error of the mean at each time of day [H, N]; None for daily series."""
    times = pair.days.time_of_day
    if len(np.unique(times)) == 1:
        return None
    return np.square(cycle(pair.prediction, times) - cycle(pair.truth, times))


def cycle_rmse(squares: np.ndarray, area: np.ndarray) -> float:
    """Return the root of the mean over cells and times of day of squares [H, N]."""
    return float(np.sqrt(np.mean(area_mean(squares, area))))
