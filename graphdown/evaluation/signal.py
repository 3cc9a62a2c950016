"""The climate-change signal: an index's change from a historical to a future period."""

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


def changes(pair: Pair) -> dict[str, Sides]:
    """Return prediction's and truth's change [N] of the mean and of P98, by the measures' prefix.

    In % for precipitation; none without a historical period.
    """
    before = pair.historical
    if before is None:
        return {}
    indices = {
        "signal": (pair.time_means, before.time_means),
        "signal_p98": (pair.p98, before.p98),
    }
    return {
        name: (
            change(future[0], historical[0], pair.is_precipitation),
            change(future[1], historical[1], pair.is_precipitation),
        )
        for name, (future, historical) in indices.items()
    }


def score(pair: Pair, index: str, name: str) -> float | None:
    """Return a score of the change of an index; None without a historical period.

    Args:
        pair: of the variable.
        index: key of `changes`.
        name: key of `scores`.
    """
    found = changes(pair)
    return scores(*found[index], pair.area)[name] if found else None


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
