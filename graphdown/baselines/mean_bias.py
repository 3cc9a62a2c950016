"""Bilinear interpolation with the mean error taken off."""

from collections.abc import Sequence

import numpy as np
import xarray as xr

from graphdown.baselines.bilinear import Bilinear
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
            name: _mean_over_time(self.target.values(fine, name) - values)
            for name, values in interpolated.items()
        }

    def _downscale(self, coarse: xr.Dataset) -> dict[str, np.ndarray]:
        fields = super()._downscale(coarse)
        return {name: values + self._correction[name] for name, values in fields.items()}


def _mean_over_time(values: np.ndarray) -> np.ndarray:
    """Return the mean [N] of the present values [T, N], NaN where there is none."""
    count = np.isfinite(values).sum(axis=0)
    total = np.nansum(values, axis=0, dtype=np.float64)
    mean = np.full(count.shape, np.nan)
    np.divide(total, count, out=mean, where=count > 0)
    return mean.astype(values.dtype)
