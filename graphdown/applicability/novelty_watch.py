"""Distance of days from the training climate, taken while they are downscaled."""

import numpy as np
import xarray as xr

from graphdown.applicability.day_measures import DayMeter, months_of, own_step
from graphdown.applicability.reference_points import ReferencePoints
from graphdown.applicability.training_climate import TrainingClimate
from meshes import Grid
from meshes.graphs.coverage import covers

NOVELTY = "novelty"  # name of the variable
NOVELTY_ATTRS = {
    "long_name": "Distance of the predictors from the training climate",
    "units": "1",
    "comment": "99 % of the days held out of the training are nearer than 1",
}
NEEDED = 0.99  # share of the reference points


class NoveltyWatch:
    """Novelty of the days of an input, filled in as their predictors stream by.

    Args:
        climate: of the training.
        grid: of the source.
        nodes: numbers of its nodes whose values stream by [N].
        time: of all days.
        predictors: names of the values' variables.

    Attributes:
        novelty: of all days [time]; NaN for those that were not seen, and for all if the source
            does not cover the region of the training.
    """

    def __init__(
        self,
        climate: TrainingClimate,
        grid: Grid,
        nodes: np.ndarray,
        time: xr.DataArray,
        predictors: tuple[str, ...],
    ) -> None:
        self.novelty = np.full(time.size, np.nan, np.float32)
        self._climate, self._months = climate, months_of(time)
        self._places = own_step(predictors)
        self._meter = None
        if covers_region(grid, climate.points):
            self._meter = DayMeter.of(climate.points, grid, climate.predictors).of_nodes(nodes)

    def watch(self, values: np.ndarray, days: np.ndarray) -> None:
        """Take the novelty of predictors [days, N, V] of the days with these numbers."""
        if self._meter is not None:
            fields = self._meter.fields(values[..., self._places])
            self.novelty[days] = self._climate.novelty_of(fields, self._months[days])


def covers_region(grid: Grid, points: ReferencePoints) -> bool:
    """Whether a source covers the region of the training."""
    return bool(covers(grid, points.xyz).mean() >= NEEDED)
