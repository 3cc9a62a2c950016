"""Bilinear interpolation with temperatures carried to the target's height."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import xarray as xr

from graphdown.baselines.bilinear import Bilinear
from graphdown.baselines.gridded_fields import Field, read_field
from graphdown.baselines.paired_times import Pair
from graphdown.variables.catalogue import describe
from meshes import Grid, conservative

LAPSE_RATE = 0.0065  # K m-1, the troposphere of the International Standard Atmosphere (ISO 2533)
LEAST_COVERED = 0.5


class LapseRate(Bilinear):
    """Bilinear, plus a fixed lapse rate of 6.5 K/km times the difference of height.

    Near-surface temperatures (tas, tasmax, tasmin) get
    T(target) = T(interpolated) - 6.5 K/km * (orog(target) - orog(coarse, interpolated));
    other variables are interpolated only. The coarse height is the variable "orog" of the coarse
    data. Without it, it is the target's height averaged over the coarse cells that the target
    covers by at least half. Missing heights of the target count as sea level.
    """

    name = "lapse rate"
    needs_height = True

    def _learn(
        self, pairs: Sequence[Pair], statics: xr.Dataset | None, validation: Sequence[Pair]
    ) -> None:
        if statics is None or "orog" not in statics:
            raise ValueError(
                f"The baseline {self.name!r} needs the target's height: pass statics with 'orog' "
                "in m, or leave this method out."
            )
        super()._learn(pairs, statics, validation)
        self._means: dict[bytes, np.ndarray] = {}  # of the height, by source grid
        self._height = np.nan_to_num(self.target.grid.values(statics["orog"]).astype(np.float64))

    def _downscale(self, coarse: xr.Dataset) -> dict[str, np.ndarray]:
        fields = super()._downscale(coarse)
        for name in fields:
            variable = describe(name)
            if variable.is_temperature and not variable.levels:
                above = self._height - self._interpolate(self._coarse_height(coarse, name))
                fields[name] = fields[name] - (LAPSE_RATE * above).astype(np.float32)
        return fields

    def _coarse_height(self, coarse: xr.Dataset, name: str) -> Field:
        """Return the height [N_coarse] that belongs to a coarse variable, in m."""
        if "orog" in coarse:
            return read_field(coarse, "orog")
        source = Grid.from_dataset(coarse[[name]])
        key = source.xyz.tobytes()
        if key not in self._means:
            weights = conservative(
                replace(self.target.grid, mask=np.ones(self.target.grid.size, dtype=bool)),
                source,
                min_fraction=LEAST_COVERED,
            )
            self._means[key] = weights.apply(self._height)
        return Field("orog", source, self._means[key])
