"""The climate-change signal: an index's change from a historical to a future period."""

import numpy as np

from graphdown.evaluation.paired import Pair
from graphdown.evaluation.quantiles import quantiles
from graphdown.evaluation.reduce import area_mean, divide, time_mean

MIN_BASE = 0.01


def change(future: np.ndarray, historical: np.ndarray, relative: bool) -> np.ndarray:
    """Return the change of an index [N]: future - historical, or that in % of historical.

    A relative change is missing where the historical index is below 0.01 (mm/day).
    """
    difference = future - historical
    if not relative:
        return difference
    return 100.0 * divide(difference, np.where(historical >= MIN_BASE, historical, np.nan))


def pattern_correlation(first: np.ndarray, second: np.ndarray, area: np.ndarray) -> float:
    """Return the area-weighted correlation over the cells of two maps [N], their means removed."""
    a, b = _anomalies(first, second, area)
    covariance = area_mean(a * b, area)
    return float(divide(covariance, np.sqrt(area_mean(a * a, area) * area_mean(b * b, area))))


def std_ratio(prediction: np.ndarray, truth: np.ndarray, area: np.ndarray) -> float:
    """Return the ratio of the area-weighted standard deviations of two maps [N]; 1 is perfect."""
    a, b = _anomalies(prediction, truth, area)
    return float(np.sqrt(divide(area_mean(a * a, area), area_mean(b * b, area))))


def _anomalies(
    first: np.ndarray, second: np.ndarray, area: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    present = np.isfinite(first) & np.isfinite(second)
    first, second = (np.where(present, v, np.nan) for v in (first, second))
    return first - area_mean(first, area), second - area_mean(second, area)


def index_pairs(pair: Pair) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Return prediction's and truth's maps [N] of the indices whose change is scored."""
    p98 = np.array([0.98])
    return {
        "signal": (time_mean(pair.prediction), time_mean(pair.truth)),
        "signal_p98": (
            quantiles(pair.sorted_prediction, p98)[0],
            quantiles(pair.sorted_truth, p98)[0],
        ),
    }


def changes(future: Pair, historical: Pair) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Return prediction's and truth's change [N] of the mean and of P98; in % for precipitation."""
    relative = future.is_precipitation
    before = index_pairs(historical)
    return {
        name: (
            change(predicted, before[name][0], relative),
            change(true, before[name][1], relative),
        )
        for name, (predicted, true) in index_pairs(future).items()
    }


def scores(prediction: np.ndarray, truth: np.ndarray, area: np.ndarray) -> dict[str, float]:
    """Return bias (mean of |error|), mean bias, RMSE, pattern correlation and std ratio of maps."""
    error = prediction - truth
    return {
        "bias": float(area_mean(np.abs(error), area)),
        "mean_bias": float(area_mean(error, area)),
        "rmse": float(np.sqrt(area_mean(np.square(error), area))),
        "pattern_correlation": pattern_correlation(prediction, truth, area),
        "std_ratio": std_ratio(prediction, truth, area),
        "truth_mean": float(area_mean(np.where(np.isfinite(error), truth, np.nan), area)),
    }
