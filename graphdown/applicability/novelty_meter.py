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
LEAST_HELD = 0.5  # share of the weight around one of them


class NoveltyMeter:
    """Takes the novelty of days of one source, a block at a time.

    Args:
        climate: of the training.
        grid: of the source.
        nodes: numbers of its nodes whose values are given [N].
        predictors: names of the values' variables.
    """

    def __init__(
        self,
        climate: TrainingClimate,
        grid: Grid,
        nodes: np.ndarray,
        predictors: tuple[str, ...],
    ) -> None:
        self._climate, self._places = climate, own_step(predictors)
        self._meter = None
        if covers_region(grid, climate.points):
            every = DayMeter.of(climate.points, grid, climate.predictors)
            # On another target than the training's, the network reads nodes elsewhere.
            if (every.held_at(nodes) > LEAST_HELD).mean() >= NEEDED:
                self._meter = every.of_nodes(nodes)

    def __call__(self, values: np.ndarray, time: xr.DataArray) -> np.ndarray:
        """Novelty [days] of predictors [days, N, V], NaN if they do not cover its region.

        Args:
            values: predictors, adjusted as for the network.
            time: of the days.
        """
        if self._meter is None:
            return np.full(len(values), np.nan, np.float32)
        fields = self._meter.fields(values[..., self._places])
        return self._climate.novelty_of(fields, months_of(time)).astype(np.float32)


def covers_region(grid: Grid, points: ReferencePoints) -> bool:
    """Whether a source covers the region of the training."""
    return bool(covers(grid, points.xyz).mean() >= NEEDED)
