"""Blocks of years that are left out in turns: cross-validation where years are few."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pandas as pd
import xarray as xr

from graphdown.config.experiment import Experiment
from graphdown.errors import ExperimentError

YEAR_DAYS = 366
GAP_DAYS = 10  # a longer one lies between two seasons


def with_folds(experiment: Experiment) -> Experiment:
    """The experiment whose training and validation are both of all the years of either.

    Without `training.folds` it stays as it is.

    Raises:
        ExperimentError: the test period lies between those of training and validation.
    """
    if not experiment.training.folds:
        return experiment
    periods = experiment.periods
    both = sorted((periods.train, periods.validation), key=lambda p: pd.Period(p[0]).start_time)
    learned = both[0][0], both[1][1]
    first, last = pd.Period(learned[0]).start_time, pd.Period(learned[1]).end_time
    tested = [pd.Period(text) for text in periods.test]
    if tested[0].start_time <= last and tested[1].end_time >= first:
        raise ExperimentError(
            f"'periods.test' ({' to '.join(periods.test)}) lies within the years from training to "
            f"validation ({' to '.join(learned)}), all of which 'training.folds' learns from; move "
            "it, or drop the folds."
        )
    return replace(experiment, periods=replace(periods, train=learned, validation=learned))


def block_starts(times: Sequence[xr.DataArray], folds: int) -> np.ndarray:
    """Numbers of the days at which blocks start, but for the first one [folds - 1].

    Blocks have about as many days each. They start after a gap between seasons where there is one
    near, else at the beginning of a year.

    Args:
        times: of each source.
        folds: number of blocks.

    Raises:
        ExperimentError: there are fewer years than blocks.
    """
    days = np.unique(np.concatenate([day_numbers(time) for time in times]))
    gaps = np.flatnonzero(np.diff(days) > GAP_DAYS) + 1
    years = np.flatnonzero(days[1:] // YEAR_DAYS > days[:-1] // YEAR_DAYS) + 1
    seasonal = len(gaps) >= max(len(years) - 1, 1)
    places = gaps if seasonal else years
    ideal = np.arange(1, folds) * len(days) / folds
    if len(places) >= folds - 1:
        chosen = _nearest_in_order(places, ideal)
        return np.asarray(days[chosen])
    raise ExperimentError(
        f"'training.folds' is {folds}, but the days of training and validation are of "
        f"{len(places) + 1} years only; lower it."
    )


def _nearest_in_order(places: np.ndarray, ideal: np.ndarray) -> list[int]:
    """The place nearest to each ideal one, each taken once, in order."""
    chosen: list[int] = []
    first = 0
    for number, wanted in enumerate(ideal):
        last = len(places) - (len(ideal) - number - 1)  # the later ones need a place each
        nearest = first + int(np.abs(places[first:last] - wanted).argmin())
        chosen.append(int(places[nearest]))
        first = nearest + 1
    return chosen


def day_numbers(time: xr.DataArray) -> np.ndarray:
    """Days as numbers that grow with the date, in any calendar."""
    return np.asarray(time.dt.year.values * YEAR_DAYS + time.dt.dayofyear.values - 1, np.int64)


def blocks_of(time: xr.DataArray, starts: np.ndarray) -> np.ndarray:
    """Number of each day's block [time]."""
    return np.searchsorted(starts, day_numbers(time), side="right")


def learned_rows(block: np.ndarray | None, days: int, network: int, folds: int) -> np.ndarray:
    """Which of a source's days a network learns from, as increasing numbers."""
    if block is None or not folds:
        return np.arange(days)
    return np.flatnonzero(block != network % folds)
