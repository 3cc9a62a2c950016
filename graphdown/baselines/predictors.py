"""Predictors of a regression: a table of standardised columns."""

from collections.abc import Iterator
from copy import copy

import numpy as np
import xarray as xr
from scipy.spatial import cKDTree

from graphdown.baselines.gridded_fields import Field, predictor_names, read_field
from graphdown.baselines.interpolator import Interpolator, present_points
from graphdown.runtime.parts import parts_of
from graphdown.variables.catalogue import describe
from meshes import EARTH_RADIUS_KM, Grid, bilinear

MARGIN_KM = 1500.0
PART_BYTES = 16 * 2**20  # of the predictors of some days, as float32


class Predictors:
    """All daily fields of the fitted coarse data, point by point, as standardised columns.

    A column is one variable at one point of the grid that the variable had at the fit; points
    that never have a value there are left out, and those farther than MARGIN_KM from the target.
    Data on another grid are first interpolated bilinearly to the fitted points. Constant columns
    become 0.

    Args:
        coarse: canonical daily fields to take the variables, points, means and standard
            deviations from.
        logarithm: whether precipitation, and whatever else has the transform "log1p", enters as
            log(1 + x), or as it is.
        target: the grid to predict.

    Raises:
        ValueError: no daily field, or one that is missing everywhere.
    """

    def __init__(self, coarse: xr.Dataset, logarithm: bool, target: Grid) -> None:
        self._logarithm = logarithm
        self.names = predictor_names(coarse)
        present = present_points(coarse, self.names)
        self._to_points = {
            name: _to_used_points(coarse, name, present[name,], target) for name in self.names
        }
        self._standardise(coarse)

    def _standardise(self, coarse: xr.Dataset) -> None:
        """Take means and standard deviations from the days on which nothing is missing."""
        days, total = 0, np.zeros(0)
        for part in self._complete(coarse):
            days, total = days + len(part), (total if days else 0.0) + part.sum(axis=0)
        if not days:
            raise ValueError(
                f"On no day are all of the predictors {self.names} present everywhere."
            )
        self._mean = total / days
        square = sum(np.square(part - self._mean).sum(axis=0) for part in self._complete(coarse))
        spread = np.sqrt(square / days)
        constant = spread <= 1e-6 * np.abs(self._mean)
        self._scale = np.where(constant, 0.0, 1.0 / np.where(constant, 1.0, spread))

    def _complete(self, coarse: xr.Dataset) -> Iterator[np.ndarray]:
        for part in self.parts(coarse):
            columns = self._columns(part)
            yield columns[np.isfinite(columns).all(axis=1)]

    def parts(self, coarse: xr.Dataset) -> Iterator[xr.Dataset]:
        """Yield the fields of a dataset, some days at a time."""
        there = [name for name in self.names if name in coarse]
        yield from parts_of(coarse[there], PART_BYTES)

    def for_days_of(self, coarse: xr.Dataset) -> "Predictors":
        """The predictors for some of the days of a dataset, see `Interpolator.where_present`."""
        present, other = present_points(coarse, self.names), copy(self)
        other._to_points = {n: to.where_present(present) for n, to in self._to_points.items()}
        return other

    @property
    def has_logarithm(self) -> bool:
        """Whether any of them can enter as a logarithm."""
        return any(describe(name).transform == "log1p" for name in self.names)

    @property
    def size(self) -> int:
        """Number of columns P."""
        return len(self._mean)

    def table(self, coarse: xr.Dataset) -> np.ndarray:
        """Return the standardised columns [T, P], NaN where missing.

        Raises:
            ValueError: a variable of the fit is missing.
        """
        columns = self._columns(coarse)
        columns -= self._mean
        columns *= self._scale
        return columns

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


def _to_used_points(
    coarse: xr.Dataset, name: str, present: np.ndarray, target: Grid
) -> Interpolator:
    if not present.any():
        raise ValueError(f"The predictor {name!r} is missing everywhere; leave it out.")
    grid = Grid.from_dataset(coarse[[name]])
    far = 2 * np.sin(min(MARGIN_KM / EARTH_RADIUS_KM, np.pi) / 2)  # as a chord
    distance, _ = cKDTree(target.xyz).query(grid.xyz, distance_upper_bound=far)
    near = np.isfinite(distance)
    used = present & near if (present & near).any() else present
    return Interpolator(grid.select(used), bilinear)
