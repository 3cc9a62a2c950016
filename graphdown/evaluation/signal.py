"""The climate-change signal: an index's change from a historical to a future period."""

from collections.abc import Callable

import numpy as np

from graphdown.evaluation.paired import Pair, Sides
from graphdown.evaluation.reduce import area_mean, divide

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


def change_of_mean(pair: Pair) -> np.ndarray | None:
    """Return the change of the time mean in prediction and truth [2, N].

    In % for precipitation; None without a historical period.
    """
    return _changes(pair, lambda period: period.time_means)


def change_of_p98(pair: Pair) -> np.ndarray | None:
    """Return the change of the 98th percentile, as `change_of_mean` does."""
    return _changes(pair, lambda period: period.p98)


CHANGES = {"signal": change_of_mean, "signal_p98": change_of_p98}


def _changes(pair: Pair, index: Callable[[Pair], Sides]) -> np.ndarray | None:
    if pair.historical is None:
        return None
    sides = zip(index(pair), index(pair.historical), strict=True)
    return np.stack([change(after, before, pair.is_precipitation) for after, before in sides])


def score(changes: np.ndarray, area: np.ndarray, name: str) -> float:
    """Return a score of changes [2, N] of prediction and truth by its name in `scores`."""
    predicted, true = changes
    return scores(predicted, true, area)[name]


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
