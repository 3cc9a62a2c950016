"""Intervals of amounts that only the steps between times tell."""

import numpy as np
import xarray as xr

from graphdown.data.reading.dates import DAY, second_of_day, seconds_of

FIRST = 3  # steps that show at which one times begin
REGULAR = 0.8  # share of steps that are the usual one


def seconds_before(time: xr.DataArray) -> np.ndarray:
    """Seconds since the last earlier time of sorted ones [time], not a number for the first."""
    distinct, place = np.unique(seconds_of(time), return_inverse=True)
    return np.diff(distinct, prepend=np.nan)[place]


def usual_step(time: xr.DataArray) -> float | None:
    """Step in seconds that most sorted times are apart, None if there is none."""
    steps = np.diff(np.unique(seconds_of(time)))
    if not steps.size:
        return None
    values, counts = np.unique(steps, return_counts=True)
    return float(values[counts.argmax()]) if counts.max() >= REGULAR * steps.size else None


def first_step(time: xr.DataArray) -> float | None:
    """Step in seconds at the beginning of sorted times, None if the first few differ."""
    usual, steps = usual_step(time), np.diff(np.unique(seconds_of(time)))[:FIRST]
    if usual is not None or steps.size < FIRST or np.ptp(steps) > 0:
        return usual
    return float(steps[0])


def after_gaps(time: xr.DataArray) -> np.ndarray:
    """Whether a sorted time comes after a gap in regular ones [time].

    An amount at that time may be of a usual step or of all of the gap. Several longer steps on end
    are no gaps.
    """
    usual = usual_step(time)
    if usual is None:
        return np.zeros(time.size, bool)
    distinct, place = np.unique(seconds_of(time), return_inverse=True)
    longer = np.diff(distinct, prepend=distinct[0] - usual) > 1.5 * usual
    beside = np.concatenate([longer[1:], [False]]) | np.concatenate([[False], longer[:-1]])
    return (longer & ~beside)[place]


def begins_days(time: xr.DataArray) -> bool:
    """Whether sorted times show that they are the beginnings of their intervals: 00 to 23 UTC."""
    usual, clock = usual_step(time), second_of_day(time)
    return usual is not None and clock[0] == 0 and clock[-1] == DAY - usual


def ends_days(time: xr.DataArray) -> bool:
    """Whether sorted times show that they are the ends of their intervals: 01 to 24 UTC."""
    usual, clock = usual_step(time), second_of_day(time)
    return usual is not None and clock[0] == usual and clock[-1] == 0
