"""Maps: the predictors of any source as maps on one lattice."""

from collections.abc import Sequence
from copy import copy
from dataclasses import dataclass

import numpy as np
import xarray as xr

from graphdown.baselines.gridded_fields import predictor_names, read_field
from graphdown.baselines.interpolator import Interpolator, present_points
from graphdown.variables.catalogue import describe
from graphdown.variables.forcings import forcings
from meshes import Grid, bilinear


@dataclass(frozen=True, eq=False)
class Maps:
    """The days of one source.

    Attributes:
        fields: predictors [T, H, W, V] in their own units, NaN where missing.
        forcings: numbers of a day without a place: sine and cosine of the season, then the
            predictors that have no horizontal dimension [T, F].
    """

    fields: np.ndarray
    forcings: np.ndarray

    @property
    def complete(self) -> np.ndarray:
        """Whether nothing is missing on a day [T]."""
        whole = np.isfinite(self.fields).all(axis=(1, 2, 3))
        return whole & np.isfinite(self.forcings).all(axis=1)


class MapReader:
    """Regrids the predictors of any source to one lattice, by bilinear interpolation.

    Bilinear, since that is how sources are brought to such networks in practice, and since it
    has a value where a source ends within the lattice: that of the nearest point of its rim.

    Args:
        coarse: a dataset whose daily fields, and series without a place, are the predictors.
        grid: the lattice, H W points.
        shape: H and W.
        logarithm: whether precipitation, and whatever else has the transform "log1p", enters as
            log(1 + x), or as it is.
        vectors: names of those whose winds are regridded as vectors.
    """

    def __init__(
        self,
        coarse: xr.Dataset,
        grid: Grid,
        shape: Sequence[int],
        logarithm: bool,
        vectors: Sequence[str] = (),
    ) -> None:
        self._logarithm = logarithm
        self.names = predictor_names(coarse)
        self._series = [
            str(name)
            for name, da in coarse.data_vars.items()
            if da.dims == ("time",) and np.issubdtype(da.dtype, np.number)
        ]
        self._shape = tuple(shape)
        self._interpolate, self._vectors = Interpolator(grid, bilinear), tuple(vectors)

    def for_days_of(self, coarse: xr.Dataset) -> "MapReader":
        """The reader for some of the days of a dataset, see `Interpolator.where_present`."""
        other = copy(self)
        other._interpolate = self._interpolate.where_present(present_points(coarse, self.names))
        return other

    def __call__(self, coarse: xr.Dataset) -> Maps:
        """Return the predictors of a dataset as maps.

        Raises:
            ValueError: one is missing.
        """
        read = [read_field(coarse, name) for name in self.names]
        regridded = self._interpolate.together(read, self._vectors)
        fields = np.stack([self._entering(n, regridded[n]) for n in self.names], axis=-1)
        absent = [name for name in self._series if name not in coarse]
        if absent:
            raise ValueError(f"{absent[0]!r} was a predictor at the fit; add it to the dataset.")
        series = [coarse[name].values.astype(np.float32) for name in self._series]
        days = np.column_stack([forcings(coarse["time"]), *series])
        return Maps(fields.reshape(len(fields), *self._shape, len(self.names)), days)

    def _entering(self, name: str, values: np.ndarray) -> np.ndarray:
        values = values.astype(np.float32)
        if self._logarithm and describe(name).transform == "log1p":
            return np.log1p(np.maximum(values, 0))
        return values
