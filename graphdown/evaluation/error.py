"""Errors day by day: bias, RMSE and correlation in time."""

import numpy as np

from graphdown.evaluation.paired import Pair
from graphdown.evaluation.reduce import area_mean, counts, divide, time_mean


def bias_map(prediction: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """Return mean_t(y - x) per cell [N] of values [T, N]."""
    return time_mean(prediction - truth)


def rmse_map(prediction: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """Return sqrt(mean_t (y - x)^2) per cell [N] of values [T, N]."""
    return np.sqrt(time_mean(np.square(prediction - truth)))


def rmse_total(prediction: np.ndarray, truth: np.ndarray, area: np.ndarray) -> float:
    """Return sqrt(mean (y - x)^2), the mean over all days and cells, weighted by area [N]."""
    square = np.square(prediction - truth)
    weight = counts(square) * area
    return float(np.sqrt(area_mean(time_mean(square), weight)))


def correlation_map(prediction: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """Return Pearson's correlation in time per cell [N], NaN where one side is constant."""
    y, x = (values - time_mean(values) for values in (prediction, truth))
    variances = time_mean(np.square(y)) * time_mean(np.square(x))
    return divide(time_mean(y * x), np.sqrt(variances))


def without_monthly_mean(values: np.ndarray, month: np.ndarray) -> np.ndarray:
    """Return values [T, N] minus the mean of their calendar month [T] over all years."""
    anomaly = np.empty(values.shape)
    for m in np.unique(month):
        anomaly[month == m] = values[month == m] - time_mean(values[month == m])
    return anomaly


def bias(pair: Pair) -> np.ndarray:
    """Return the mean error per cell [N]."""
    return bias_map(pair.prediction, pair.truth)


def mean_bias(pair: Pair) -> float:
    """Return the area mean of the mean error."""
    return float(area_mean(bias(pair), pair.area))


def rmse(pair: Pair) -> np.ndarray:
    """Return the root mean square error per cell [N]."""
    return rmse_map(pair.prediction, pair.truth)


def total_rmse(pair: Pair) -> float:
    """Return the root mean square error over all days and cells."""
    return rmse_total(pair.prediction, pair.truth, pair.area)


def correlation(pair: Pair) -> np.ndarray:
    """Return the correlation in time per cell [N]."""
    return correlation_map(pair.prediction, pair.truth)


def anomaly_correlation(pair: Pair) -> np.ndarray:
    """Return the correlation in time per cell [N] of departures from the monthly means."""
    y, x = (without_monthly_mean(v, pair.days.month) for v in (pair.prediction, pair.truth))
    return correlation_map(y, x)
