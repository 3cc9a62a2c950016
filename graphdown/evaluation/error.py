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
    return total_of_squares(squares(prediction, truth), area)


def squares(prediction: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """Return mean_t (y - x)^2 of values [T, N] and the number of days per cell [2, N]."""
    square = np.square(prediction - truth)
    return np.stack([time_mean(square), counts(square)])


def total_of_squares(parts: np.ndarray, area: np.ndarray) -> float:
    """Return the root mean square error over all days and cells from the parts of `squares`."""
    mean, days = parts
    return float(np.sqrt(area_mean(mean, days * area)))


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


def rmse(pair: Pair) -> np.ndarray:
    """Return the root mean square error per cell [N]."""
    return rmse_map(pair.prediction, pair.truth)


def mean_squares(pair: Pair) -> np.ndarray:
    """Return the mean square error and the number of days per cell [2, N]."""
    return squares(pair.prediction, pair.truth)


def correlation(pair: Pair) -> np.ndarray:
    """Return the correlation in time per cell [N]."""
    return correlation_map(pair.prediction, pair.truth)


def anomaly_correlation(pair: Pair) -> np.ndarray:
    """Return the correlation in time per cell [N] of departures from the monthly means."""
    y, x = (without_monthly_mean(v, pair.days.month) for v in (pair.prediction, pair.truth))
    return correlation_map(y, x)
