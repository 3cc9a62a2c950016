"""Persistence: dependence from day to day, from year to year, and spells within seasons."""

from dataclasses import replace

import numpy as np

from graphdown.evaluation.days import MIN_SHARE_OF_A_YEAR, Days
from graphdown.evaluation.error import correlation_map, without_monthly_mean
from graphdown.evaluation.paired import Pair
from graphdown.evaluation.precipitation import WET_DAY_MM, longest_spell
from graphdown.evaluation.reduce import time_mean, time_variance

LEAST_YEARS = 3


def lag1_autocorrelation(values: np.ndarray, days: Days) -> np.ndarray:
    """Return the correlation in time per cell [N] of days [T, N] with the day before each.

    Of departures from each calendar month's mean, over days that follow each other.
    """
    anomaly = without_monthly_mean(values, days.month)
    after, before = anomaly[1:][days.consecutive[1:]], anomaly[:-1][days.consecutive[1:]]
    missing = np.isnan(after + before)
    return correlation_map(*(np.where(missing, np.nan, side) for side in (after, before)))


def interannual_std(values: np.ndarray, days: Days) -> np.ndarray:
    """Return the standard deviation per cell [N] of the means of years, of 3 years or more."""
    if days.years < LEAST_YEARS:
        return np.full(values.shape[1], np.nan)
    means = np.stack([time_mean(values[days.year == year]) for year in range(days.years)])
    return np.sqrt(time_variance(means))


def by_season(days: Days) -> Days:
    """Return days whose years are their seasons: DJF, MAM, JJA, SON of each year.

    A season with fewer than half of the days of the longest one is cut off.
    """
    quarter, place = days.month % 12 // 3, days.month % 3
    back = np.diff(place) < 0
    apart = ~days.consecutive[1:] & (np.diff(days.year) != 0)
    begins = np.concatenate([[True], (np.diff(quarter) != 0) | back | apart])
    number = np.cumsum(begins) - 1
    count = np.bincount(number)
    whole = count >= MIN_SHARE_OF_A_YEAR * count.max()
    return replace(days, year=np.where(whole, np.cumsum(whole) - 1, -1)[number])


def lag1_autocorrelation_bias(pair: Pair) -> np.ndarray:
    """Return the error of the autocorrelation from day to day per cell [N]."""
    y, x = (lag1_autocorrelation(v, pair.days) for v in (pair.prediction, pair.truth))
    return y - x


def interannual_std_bias(pair: Pair) -> np.ndarray:
    """Return the error of the standard deviation of yearly means per cell [N]."""
    y, x = (interannual_std(v, pair.days) for v in (pair.prediction, pair.truth))
    return y - x


def season_spell_bias(pair: Pair, wet: bool) -> np.ndarray | None:
    """Return the error per cell [N] of the mean over seasons of the longest spell in days.

    None but for precipitation.
    """
    if not pair.is_precipitation:
        return None
    days = by_season(pair.days)
    sides = (pair.prediction, pair.truth)
    y, x = (longest_spell(v >= WET_DAY_MM if wet else v < WET_DAY_MM, v, days) for v in sides)
    return y - x
