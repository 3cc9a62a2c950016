"""Interpolation: the variable itself, carried to the target grid."""

from abc import abstractmethod
from collections.abc import Sequence
from copy import copy
from typing import Self

import numpy as np
import xarray as xr

from graphdown.baselines.base import Baseline
from graphdown.baselines.gridded_fields import read_field
from graphdown.baselines.interpolator import Interpolator, present_points
from graphdown.baselines.paired_times import Pair
from graphdown.variables.winds import wind_pairs
from meshes import Grid, SparseWeights


class Interpolation(Baseline):
    """Each target variable interpolated from the coarse one of its name, winds as vectors."""

    needs_target_predictor = True
    by_day = True

    @staticmethod
    @abstractmethod
    def weights(source: Grid, target: Grid) -> SparseWeights:
        """Return the weights that carry values from one grid to another."""

    def _learn(
        self, pairs: Sequence[Pair], statics: xr.Dataset | None, validation: Sequence[Pair]
    ) -> None:
        missing = [n for n in self.target.attrs if any(n not in coarse for coarse, _ in pairs)]
        if missing:
            raise ValueError(
                f"The baseline {self.name!r} interpolates the variable itself, but the coarse data "
                f"lack {missing}; predict another variable or use a regression."
            )
        self._interpolate = Interpolator(self.target.grid, self.weights)

    def _for_days_of(self, coarse: xr.Dataset) -> Self:
        other = copy(self)
        other._interpolate = self._interpolate.where_present(
            present_points(coarse, list(self.target.attrs))
        )
        return other

    def _downscale(self, coarse: xr.Dataset) -> dict[str, np.ndarray]:
        return self.interpolated(coarse)

    def interpolated(
        self, coarse: xr.Dataset, names: Sequence[str] | None = None
    ) -> dict[str, np.ndarray]:
        """The values [T, N] of target variables, interpolated; by default of all."""
        every = list(self.target.attrs)
        asked = every if names is None else names
        pairs = [(every[u], every[v]) for u, v in wind_pairs(every)]
        needed = {*asked, *(name for pair in pairs for name in pair if {*pair} & {*asked})}
        fields = [read_field(coarse, name) for name in every if name in needed]
        made = self._interpolate.together(fields, every)
        return {name: made[name] for name in asked}
