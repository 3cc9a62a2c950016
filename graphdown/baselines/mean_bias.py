"""Bilinear interpolation with the mean error taken off."""

from collections.abc import Mapping

import numpy as np
import xarray as xr

from graphdown.baselines.corrected import CorrectedBilinear
from graphdown.baselines.moments import moments


class MeanBias(CorrectedBilinear):
    """Bilinear, plus a map of the mean difference between truth and interpolation.

    The difference is added for every variable, precipitation included. Cells that never have a
    value in the fit stay missing.
    """

    name = "mean bias"

    def _learn_correction(
        self,
        interpolated: Mapping[str, np.ndarray],
        truths: Mapping[str, np.ndarray],
        time: xr.DataArray,
    ) -> None:
        self._correction = {
            name: moments(truths[name] - values)[0].astype(values.dtype)
            for name, values in interpolated.items()
        }

    def _corrected(self, name: str, values: np.ndarray, time: xr.DataArray) -> np.ndarray:
        return values + self._correction[name]
