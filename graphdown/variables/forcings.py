"""Forcings: numbers of a time, not of a place, for season and, in steps below a day, hour."""

import numpy as np
import xarray as xr

from graphdown.variables.time_steps import DAY_HOURS

FORCINGS = ("season_sin", "season_cos")
HOURS = ("hour_sin", "hour_cos")
DAYS_PER_YEAR = {"360_day": 360.0, "noleap": 365.0, "365_day": 365.0, "all_leap": 366.0}
DAYS_PER_YEAR |= {"366_day": 366.0}
MEAN_DAYS_PER_YEAR = 365.25  # of calendars with leap days


def forcing_names(step_hours: int = DAY_HOURS) -> tuple[str, ...]:
    """Names of the `forcings` of steps of so many hours."""
    return FORCINGS if step_hours == DAY_HOURS else FORCINGS + HOURS


def forcings(time: xr.DataArray, step_hours: int = DAY_HOURS) -> np.ndarray:
    """Return sine and cosine of the season and of the hour (UTC), float32 [time, 2 or 4].

    A day has no hour; that of a shorter step is when it begins. The season is the share of the
    calendar's own year that has passed.
    """
    year = DAYS_PER_YEAR.get(str(time.dt.calendar), MEAN_DAYS_PER_YEAR)
    phases = [(time.dt.dayofyear.values - 1) / year]
    if step_hours != DAY_HOURS:
        phases.append(time.dt.hour.values // step_hours * step_hours / DAY_HOURS)
    turns = [turn(2 * np.pi * phase) for phase in phases for turn in (np.sin, np.cos)]
    return np.stack(turns, axis=-1).astype(np.float32)
