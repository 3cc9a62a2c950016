"""Predictors at each target cell: all coarse variables, interpolated."""

import numpy as np
import xarray as xr

from graphdown.baselines.gridded_fields import Field, predictor_names, read_field
from graphdown.baselines.interpolator import Interpolator
from graphdown.variables.catalogue import describe
from meshes import Grid, bilinear


class LocalPredictors:
    """Coarse variables interpolated to the target's cells; precipitation as log(1 + x).

    Args:
        coarse: canonical daily fields that have the variables.
        target: the cells.
    """

    def __init__(self, coarse: xr.Dataset, target: Grid) -> None:
        self.names = tuple(predictor_names(coarse))
        self._interpolate = Interpolator(target, bilinear)

    def __call__(self, coarse: xr.Dataset) -> np.ndarray:
        """Return the values [T, N, V], float32.

        Raises:
            ValueError: a variable is missing.
        """
        columns = []
        for name in self.names:
            field = read_field(coarse, name)
            values = np.asarray(field.values, np.float32)
            if describe(name).transform == "log1p":
                values = np.log1p(np.maximum(values, 0.0))
            columns.append(self._interpolate(Field(name, field.grid, values)))
        return np.stack(columns, axis=-1).astype(np.float32, copy=False)
