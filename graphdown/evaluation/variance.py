"""Variability in time and in space."""

import numpy as np

from graphdown.evaluation.paired import Pair
from graphdown.evaluation.reduce import area_mean, divide, time_mean, time_variance


def variance_ratio_map(prediction: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """Return 100 var(y) / var(x) in time per cell [N], in %; NaN where x is constant."""
    return 100.0 * divide(time_variance(prediction), time_variance(truth))


def day_to_day_change(values: np.ndarray, consecutive: np.ndarray) -> np.ndarray:
    """Return mean |x_t - x_(t-1)| per cell [N], over days [T, N] that follow each other.

    Args:
        values: [T, N].
        consecutive: bool [T], True where a day follows the one before it in the series.
    """
    return time_mean(np.abs(np.diff(values, axis=0))[consecutive[1:]])


def spatial_std(values: np.ndarray, area: np.ndarray) -> float:
    """Return the time mean of the area-weighted standard deviation over the cells of [T, N]."""
    return float(time_mean(daily_std(values, area)[:, None])[0])


def daily_std(values: np.ndarray, area: np.ndarray) -> np.ndarray:
    """Return the area-weighted standard deviation over the cells of each day [T] of [T, N]."""
    deviation = values - area_mean(values, area)[:, None]
    return np.asarray(np.sqrt(area_mean(np.square(deviation), area)))


def variance_ratio(pair: Pair) -> np.ndarray:
    """Return the ratio of the variances in time per cell [N], in %."""
    return variance_ratio_map(pair.prediction, pair.truth)


def day_to_day_change_bias(pair: Pair) -> np.ndarray:
    """Return the error of the mean change from day to day per cell [N]."""
    y, x = (day_to_day_change(v, pair.days.consecutive) for v in (pair.prediction, pair.truth))
    return y - x


def daily_stds(pair: Pair) -> np.ndarray:
    """Return the standard deviations over the cells of prediction and truth [T, 2]."""
    return np.stack([daily_std(v, pair.area) for v in (pair.prediction, pair.truth)], axis=1)


def spatial_std_bias(stds: np.ndarray, area: np.ndarray) -> float:
    """Return the error of the time mean of standard deviations [T, 2] as of `daily_stds`."""
    predicted, true = time_mean(stds)
    return float(predicted - true)
