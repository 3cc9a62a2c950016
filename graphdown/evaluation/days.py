"""Calendar of a series, as the measures need it: months, years of seasons, consecutive days."""

from dataclasses import dataclass

import numpy as np
import pandas as pd
import xarray as xr

MIN_SHARE_OF_A_YEAR = 0.5


@dataclass(frozen=True, eq=False)
class Days:
    """The days of a series.

    Attributes:
        month: calendar month 1..12, int [T].
        year: index of the year 0..Y-1, int [T]; -1 for days of a year that is cut off.
        consecutive: bool [T], True where a day follows the one before it in the series.
        time_of_day: seconds since 00 UTC, int [T]; days are all alike.
    """

    month: np.ndarray
    year: np.ndarray
    consecutive: np.ndarray
    time_of_day: np.ndarray

    @classmethod
    def from_index(cls, time: pd.Index) -> "Days":
        """Return the days of a time index (DatetimeIndex or CFTimeIndex), in ascending order."""
        times = xr.DataArray(time, dims="time")
        month = times.dt.month.values
        year = season_years(times.dt.year.values, month)
        clock = times.dt.hour.values * 3600 + times.dt.minute.values * 60 + times.dt.second.values
        return cls(month, year, _consecutive(time), clock)

    def part(self, days: slice) -> "Days":
        """Some of the days; years and the day before each are as in the whole series."""
        parts = (self.month, self.year, self.consecutive, self.time_of_day)
        return Days(*(values[days] for values in parts))

    @property
    def years(self) -> int:
        """Number of years Y that are long enough to be used."""
        return int(self.year.max()) + 1


def season_years(year: np.ndarray, month: np.ndarray) -> np.ndarray:
    """Return the index [T] of the year each day belongs to.

    A year begins after the longest run of calendar months that the series never holds: winters
    (December to February) stay whole, a series of all months is split on 1 January. A year with
    fewer than half of the days of the longest one is cut off: its days get -1.
    """
    first = _first_month(np.unique(month))
    label = year + (month >= first) if first > 1 else year
    _, index, count = np.unique(label, return_inverse=True, return_counts=True)
    whole = count >= MIN_SHARE_OF_A_YEAR * count.max()
    return np.where(whole, np.cumsum(whole) - 1, -1)[index]


def _first_month(present: np.ndarray) -> int:
    if len(present) == 12:
        return 1
    gap_before = np.diff(present, prepend=present[-1] - 12)
    return int(present[np.argmax(gap_before)])


def _consecutive(time: pd.Index) -> np.ndarray:
    consecutive = np.zeros(len(time), dtype=bool)
    if len(time) > 1:
        step = np.asarray(pd.TimedeltaIndex(time[1:] - time[:-1]))
        consecutive[1:] = step == np.min(step)
    return consecutive
