"""The days of fine-tuning: the last years of training, some of them held out for validation."""

from dataclasses import replace

import numpy as np
import pandas as pd
import xarray as xr

from graphdown.config.data import Periods
from graphdown.config.experiment import Experiment
from graphdown.errors import ExperimentError

Pair = tuple[xr.Dataset, xr.Dataset]


def with_last_years(experiment: Experiment) -> Experiment:
    """The experiment with the training period cut to the years of its fine-tuning.

    Raises:
        ExperimentError: the period is shorter.
    """
    spec = experiment.finetune
    if spec is None or not spec.years:
        return experiment
    return replace(experiment, periods=last_years(experiment.periods, spec.years))


def last_years(periods: Periods, years: int) -> Periods:
    """The periods with that of training cut to its last years.

    Raises:
        ExperimentError: it is shorter.
    """
    first, last = (pd.Period(text) for text in periods.train)
    if last.freqstr.startswith("Y"):
        start = last - (years - 1)
    elif last.freqstr.startswith("M"):
        start = last - (12 * years - 1)
    else:
        day = last.start_time - pd.DateOffset(years=years) + pd.Timedelta(days=1)
        start = pd.Period(day, "D")
    if start.start_time < first.start_time:
        raise ExperimentError(
            f"'years' asks for the last {years} years of 'periods.train', which has only "
            f"{' to '.join(periods.train)}; lower it or make the period longer."
        )
    return replace(periods, train=(str(start), periods.train[1]))


def learned_from(pair: Pair, share: float) -> Pair:
    """Days (coarse, fine) that are learned from.

    Raises:
        ExperimentError: none is left.
    """
    return _taken(pair, ~_held_out(pair[0]["time"], share), share)


def held_out_of(pair: Pair, share: float) -> Pair:
    """Days (coarse, fine) that are held out of each month, at its end.

    Raises:
        ExperimentError: there are none.
    """
    return _taken(pair, _held_out(pair[0]["time"], share), share)


def _taken(pair: Pair, days: np.ndarray, share: float) -> Pair:
    if not days.any():
        raise ExperimentError(
            f"'finetune.validation_share' is {share:g}, which divides the {len(days)} days of "
            "fine-tuning into nothing and the rest; choose another share, or more days."
        )
    where = np.flatnonzero(days)
    return pair[0].isel(time=where), pair[1].isel(time=where)


def _held_out(time: xr.DataArray, share: float) -> np.ndarray:
    """Whether a day [time] is among the last ones of its month, a share of those that exist."""
    month = 12 * time.dt.year.values + time.dt.month.values
    _, of_month, days = np.unique(month, return_inverse=True, return_counts=True)
    place = np.arange(len(month)) - np.searchsorted(of_month, of_month)
    return np.asarray(place >= days[of_month] - np.round(share * days[of_month]))
