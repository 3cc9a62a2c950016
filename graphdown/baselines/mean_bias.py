"""Bilinear interpolation with the mean error taken off."""

import numpy as np
import xarray as xr

from graphdown.baselines.corrected import CorrectedBilinear, TrainingFields
from graphdown.baselines.moments import mean_of_parts


class MeanBias(CorrectedBilinear):
    """Bilinear, plus a map of the mean difference between truth and interpolation.

    The difference is added for every variable, precipitation included. Cells that never have a
    value in the fit stay missing.
    """

    name = "mean bias"

    def _learn_correction(self, fields: TrainingFields) -> None:
        self._correction = {
            name: mean_of_parts(truth - values for _, values, truth in fields.by_days(name))
            for name in self.target.attrs
        }

    def _corrected(self, name: str, values: np.ndarray, time: xr.DataArray) -> np.ndarray:
        return values + self._correction[name].astype(values.dtype)
