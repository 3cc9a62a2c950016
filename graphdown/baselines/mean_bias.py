"""Bilinear interpolation with the mean error taken off."""

from collections.abc import Sequence

import numpy as np
import xarray as xr

from graphdown.baselines.bilinear import Bilinear
from graphdown.baselines.moments import moments
from graphdown.baselines.times import Pair


class MeanBias(Bilinear):
    """Bilinear, plus a map of the mean difference between truth and interpolation.

    The difference is added for every variable, precipitation included. Cells that never have a
    value in the fit stay missing.
    """

    name = "mean bias"
    source_bound = True

    def _learn(
        self, pairs: Sequence[Pair], statics: xr.Dataset | None, validation: Sequence[Pair]
    ) -> None:
        super()._learn(pairs, statics, validation)
        ((coarse, fine),) = pairs
        interpolated = super()._downscale(coarse)
        self._correction = {
            name: moments(self.target.values(fine, name) - values)[0].astype(values.dtype)
            for name, values in interpolated.items()
        }

    def _downscale(self, coarse: xr.Dataset) -> dict[str, np.ndarray]:
        fields = super()._downscale(coarse)
        return {name: values + self._correction[name] for name, values in fields.items()}
