"""Numbers that describe a day and no place: the season."""

import numpy as np
import xarray as xr

FORCINGS = ("season_sin", "season_cos")
DAYS_PER_YEAR = 365.25


def forcings(time: xr.DataArray) -> np.ndarray:
    """Return sine and cosine of the season, float32 [time, 2]."""
    phase = 2 * np.pi * (time.dt.dayofyear.values - 1) / DAYS_PER_YEAR
    return np.stack([np.sin(phase), np.cos(phase)], axis=-1).astype(np.float32)
