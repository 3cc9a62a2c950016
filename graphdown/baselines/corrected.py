"""CorrectedBilinear: the common part of methods that correct interpolation cell by cell."""

from abc import abstractmethod
from collections.abc import Mapping, Sequence

import numpy as np
import xarray as xr

from graphdown.baselines.bilinear import Bilinear
from graphdown.baselines.paired_times import Pair


class CorrectedBilinear(Bilinear):
    """Bilinear, then a correction of each cell that is learned from one source."""

    source_bound = True

    def _learn(
        self, pairs: Sequence[Pair], statics: xr.Dataset | None, validation: Sequence[Pair]
    ) -> None:
        super()._learn(pairs, statics, validation)
        ((coarse, fine),) = pairs
        interpolated = super()._downscale(coarse)
        truths = {name: self.target.values(fine, name) for name in interpolated}
        self._learn_correction(interpolated, truths, coarse["time"])

    def _downscale(self, coarse: xr.Dataset) -> dict[str, np.ndarray]:
        return {
            name: self._corrected(name, values, coarse["time"])
            for name, values in super()._downscale(coarse).items()
        }

    @abstractmethod
    def _learn_correction(
        self,
        interpolated: Mapping[str, np.ndarray],
        truths: Mapping[str, np.ndarray],
        time: xr.DataArray,
    ) -> None:
        """Learn from interpolated and true values [T, N] of each variable."""

    @abstractmethod
    def _corrected(self, name: str, values: np.ndarray, time: xr.DataArray) -> np.ndarray:
        """Return interpolated values [T, N] of a variable, corrected."""
