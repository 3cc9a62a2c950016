"""Scaled delta: mean and variability of the past corrected, the change kept."""

from collections.abc import Iterator
from functools import partial
from typing import NamedTuple, Self

import numpy as np
import xarray as xr

from graphdown.baselines.corrected import CorrectedBilinear, TrainingFields
from graphdown.baselines.field_blocks import blocks_of_days
from graphdown.baselines.moments import mean_of_parts, moments
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

    def __init__(self) -> None:
        super().__init__()
        self._means: dict[str, dict[str, np.ndarray]] = {}

    def _learn_correction(self, fields: TrainingFields) -> None:
        self._moments = {name: _season_moments(fields, name) for name in self.target.attrs}

    def _for_days_of(self, coarse: xr.Dataset) -> Self:
        other = super()._for_days_of(coarse)
        other._means = {
            season: other._season_means(coarse.isel(time=days))
            for season, days in seasons(coarse["time"]).items()
        }
        return other

    def _season_means(self, coarse: xr.Dataset) -> dict[str, np.ndarray]:
        """Means over days [N] of the interpolated fields, in float64."""
        blocks = blocks_of_days(self.target.grid, coarse.sizes["time"], len(self.target.attrs))
        return {
            name: mean_of_parts(
                self.interpolated(block.of_days(coarse), [name])[name] for block in blocks
            )
            for name in self.target.attrs
        }

    def _corrected(self, name: str, values: np.ndarray, time: xr.DataArray) -> np.ndarray:
        scaled = np.empty(values.shape)
        for season, days in seasons(time).items():
            past = of_season(self._moments[name], season, self.name)
            now, mean = values[days].astype(np.float64), self._means[season][name]
            steady = past.spread_before <= 1e-6 * np.abs(past.mean_before)
            before = np.where(steady, past.spread_after, past.spread_before)
            anomaly = (now - mean) * (past.spread_after / before)
            scaled[days] = anomaly + past.mean_after + mean - past.mean_before
        return scaled


def _season_moments(fields: TrainingFields, name: str) -> dict[str, SeasonMoments]:
    """Moments of a variable by season."""

    def parts(side: int) -> Iterator[tuple[str, np.ndarray]]:
        for time, *sides in fields.by_days(name):
            for season, days in seasons(time).items():
                yield season, sides[side][days]

    before, after = (moments(partial(parts, side)) for side in (0, 1))
    return {season: SeasonMoments(*before[season], *after[season]) for season in before}
