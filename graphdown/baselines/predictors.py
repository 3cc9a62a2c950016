"""Predictors of a regression: a table of standardised columns."""

import numpy as np
import xarray as xr

from graphdown.baselines.gridded_fields import Field, predictor_names, read_field
from graphdown.baselines.interpolator import Interpolator
from graphdown.variables.catalogue import describe
from meshes import bilinear


class Predictors:
    """All daily fields of the fitted coarse data, point by point, as standardised columns.

    A column is one variable at one point of the grid that the variable had at the fit; points
    that never have a value there are left out. Data on another grid are first interpolated
    bilinearly to the fitted points. Constant columns become 0.

    Args:
        coarse: canonical daily fields to take the variables, points, means and standard
            deviations from.
        logarithm: whether precipitation, and whatever else has the transform "log1p", enters as
            log(1 + x), or as it is.

    Raises:
        ValueError: no daily field, or one that is missing everywhere.
    """

    def __init__(self, coarse: xr.Dataset, logarithm: bool) -> None:
        self._logarithm = logarithm
        names = predictor_names(coarse)
        self._to_points = {name: _to_own_points(read_field(coarse, name)) for name in names}
        raw = self._columns(coarse)
        present = raw[np.isfinite(raw).all(axis=1)]
        if not len(present):
            raise ValueError(f"On no day are all of the predictors {names} present everywhere.")
        self._mean = present.mean(axis=0)
        spread = present.std(axis=0)
        constant = spread <= 1e-6 * np.abs(self._mean)
        self._scale = np.where(constant, 0.0, 1.0 / np.where(constant, 1.0, spread))

    @property
    def size(self) -> int:
        """Number of columns P."""
        return len(self._mean)

    def table(self, coarse: xr.Dataset) -> np.ndarray:
        """Return the standardised columns [T, P], NaN where missing.

        Raises:
            ValueError: a variable of the fit is missing.
        """
        return (self._columns(coarse) - self._mean) * self._scale

    def _columns(self, coarse: xr.Dataset) -> np.ndarray:
        return np.concatenate(
            [to_points(self._field(coarse, name)) for name, to_points in self._to_points.items()],
            axis=1,
        )

    def _field(self, coarse: xr.Dataset, name: str) -> Field:
        field = read_field(coarse, name)
        values = field.values.astype(np.float64)
        if self._logarithm and describe(name).transform == "log1p":
            values = np.log1p(np.maximum(values, 0))
        return Field(name, field.grid, values)


def _to_own_points(field: Field) -> Interpolator:
    used = np.isfinite(field.values).any(axis=0)
    if not used.any():
        raise ValueError(f"The predictor {field.name!r} is missing everywhere; leave it out.")
    return Interpolator(field.grid.select(used), bilinear)
