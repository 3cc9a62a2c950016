"""Precipitation indices of ETCCDI: wet days, their intensity, the wettest day, spells."""

from collections.abc import Callable

import numpy as np

from graphdown.evaluation.annual import mean_annual
from graphdown.evaluation.days import Days
from graphdown.evaluation.paired import Pair
from graphdown.evaluation.reduce import counts, divide, time_mean

WET_DAY_MM = 1.0
DRY_DAY_MM = 0.1


def share_of_days(condition: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Return the share of days in % per cell [N] with condition, among days [T, N] with a value."""
    return 100.0 * divide(condition.sum(axis=0), counts(values))


def wet_day_frequency(values: np.ndarray) -> np.ndarray:
    """Return R01 per cell [N]: the share in % of the days [T, N] with at least 1 mm."""
    return share_of_days(values >= WET_DAY_MM, values)


def dry_day_frequency(values: np.ndarray) -> np.ndarray:
    """Return the share in % per cell [N] of the days [T, N] with less than 0.1 mm."""
    return share_of_days(values < DRY_DAY_MM, values)


def wet_day_intensity(values: np.ndarray) -> np.ndarray:
    """Return SDII per cell [N]: the mean in mm/day of the days [T, N] with at least 1 mm."""
    return time_mean(np.where(values >= WET_DAY_MM, values, np.nan))


def wettest_day(values: np.ndarray, days: Days) -> np.ndarray:
    """Return Rx1day per cell [N]: the mean annual maximum in mm/day of days [T, N]."""
    return mean_annual(values, days, np.fmax.reduce)


def longest_spell(condition: np.ndarray, values: np.ndarray, days: Days) -> np.ndarray:
    """Return the mean over the years of the longest spell in days per cell [N].

    A spell is a run of consecutive days of one year with the condition; a missing day ends it.

    Args:
        condition: bool [T, N].
        values: what the condition was taken of [T, N]; a cell without values gives NaN.
        days: the calendar of the T days.
    """
    longest = np.zeros((days.years, condition.shape[1]))
    run = np.zeros(condition.shape[1])
    before = -1
    for t, year in enumerate(days.year):
        if not days.consecutive[t] or year != before:
            run[:] = 0
        before = year
        run += 1
        run *= condition[t]
        if year >= 0:
            np.maximum(longest[year], run, out=longest[year])
    return np.where(np.isfinite(values).any(axis=0), longest.mean(axis=0), np.nan)


def _dry_spell(values: np.ndarray, days: Days) -> np.ndarray:
    return longest_spell(values < WET_DAY_MM, values, days)


def _wet_spell(values: np.ndarray, days: Days) -> np.ndarray:
    return longest_spell(values >= WET_DAY_MM, values, days)


INDICES: dict[str, Callable[[np.ndarray, Days], np.ndarray]] = {
    "r01": lambda values, days: wet_day_frequency(values),
    "dry_days": lambda values, days: dry_day_frequency(values),
    "sdii": lambda values, days: wet_day_intensity(values),
    "rx1day": wettest_day,
    "cdd": _dry_spell,
    "cwd": _wet_spell,
}


def indices(values: np.ndarray, days: Days) -> dict[str, np.ndarray]:
    """Return every index [N] of daily precipitation [T, N] in mm/day by its lower-case name."""
    return {name: index(values, days) for name, index in INDICES.items()}


def index_bias(pair: Pair, name: str) -> np.ndarray | None:
    """Return the error of an index of `INDICES` per cell [N]; None for other variables."""
    if not pair.is_precipitation:
        return None
    predicted, true = pair.both_by_year(INDICES[name])
    return np.asarray(predicted - true)
