"""Scaled delta: mean and variability of the past corrected, the change kept."""

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
import xarray as xr

from graphdown.baselines.corrected import CorrectedBilinear
from graphdown.baselines.moments import moments
from graphdown.baselines.paired_times import of_season, seasons


class SeasonMoments(NamedTuple):
    """Mean and standard deviation [N] of the interpolated and of the fine fields."""

    mean_before: np.ndarray
    spread_before: np.ndarray
    mean_after: np.ndarray
    spread_after: np.ndarray


class ScaledDelta(CorrectedBilinear):
    """Bilinear, then scaling of each cell's mean and standard deviation, by season.

    With the change delta = mean(x) - mean(coarse) of the days asked for against the fitted days
    of the same season, x becomes (x - delta - mean(coarse)) std(fine) / std(coarse) + mean(fine)
    + delta, so that the change of the mean is the source's own (Bano-Medina et al. 2022,
    doi:10.5194/gmd-15-6747-2022, who correct predictors so, by month; here it is the interpolated
    variable, and seasons, which hold enough days where years are few). The days of one call are
    taken as one period. Precipitation is treated alike, negative values becoming 0.
    """

    name = "scaled delta"
    by_season = True

    def _learn_correction(
        self,
        interpolated: Mapping[str, np.ndarray],
        truths: Mapping[str, np.ndarray],
        time: xr.DataArray,
    ) -> None:
        parts = seasons(time)
        self._moments = {
            name: {
                season: SeasonMoments(*moments(values[days]), *moments(truths[name][days]))
                for season, days in parts.items()
            }
            for name, values in interpolated.items()
        }

    def _corrected(self, name: str, values: np.ndarray, time: xr.DataArray) -> np.ndarray:
        scaled = np.empty(values.shape)
        for season, days in seasons(time).items():
            past = of_season(self._moments[name], season, self.name)
            now = values[days].astype(np.float64)
            mean, _ = moments(now)
            steady = past.spread_before <= 1e-6 * np.abs(past.mean_before)
            before = np.where(steady, past.spread_after, past.spread_before)
            anomaly = (now - mean) * (past.spread_after / before)
            scaled[days] = anomaly + past.mean_after + mean - past.mean_before
        return scaled
