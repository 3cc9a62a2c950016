"""Temperature extremes: TXx, TNn and SU of the daily variable at hand."""

from collections.abc import Callable

import numpy as np

from graphdown.evaluation.annual import mean_annual
from graphdown.evaluation.days import Days
from graphdown.evaluation.paired import Pair

SUMMER_DAY_K = 298.15
Index = Callable[[np.ndarray, Days], np.ndarray]


def annual_maximum(values: np.ndarray, days: Days) -> np.ndarray:
    """Return the mean annual maximum per cell [N] of daily values [T, N] (TXx of tasmax)."""
    return mean_annual(values, days, np.fmax.reduce)


def annual_minimum(values: np.ndarray, days: Days) -> np.ndarray:
    """Return the mean annual minimum per cell [N] of daily values [T, N] (TNn of tasmin)."""
    return mean_annual(values, days, np.fmin.reduce)


def days_above(values: np.ndarray, days: Days, threshold: float = SUMMER_DAY_K) -> np.ndarray:
    """Return the mean number of days a year above the threshold (K) per cell [N] (SU)."""

    def count(year: np.ndarray) -> np.ndarray:
        return np.where(np.isfinite(year).any(axis=0), (year > threshold).sum(axis=0), np.nan)

    return mean_annual(values, days, count)


def index_bias(pair: Pair, index: Index) -> np.ndarray | None:
    """Return the error of an index per cell [N]; None for other variables."""
    if not pair.is_temperature:
        return None
    predicted, true = pair.both_by_year(index)
    return np.asarray(predicted - true)
