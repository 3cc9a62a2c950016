"""The climate of a source, and how the fields of one source are adjusted to that of others."""

from collections.abc import Mapping, Sequence
from copy import copy
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr

from graphdown.data.normalise import Climate, Moments, Normaliser
from graphdown.data.reading.fields import field_values
from graphdown.data.reading.horizontal import (
    ever_present,
    grid_where_present,
    shared_grid,
)
from graphdown.data.reading.late_look import late, shared, without_days
from graphdown.data.reading.missing import with_ground_filled
from graphdown.variables.catalogue import describe
from graphdown.variables.names import variable_of
from meshes import Grid, bilinear

if TYPE_CHECKING:
    import dask.array as da

PART_DAYS = 256


@dataclass(frozen=True, eq=False)
class Adjustment:
    """Adjustment of a source to the climate of others: values * factor + addend, by predictor."""

    factor: np.ndarray
    addend: np.ndarray

    def __call__(self, values: np.ndarray) -> np.ndarray:
        """Adjusted predictors [..., V], float32."""
        return values * self.factor + self.addend


@dataclass(frozen=True, eq=False)
class AdjustedDays:
    """Days of a store that are adjusted when they are read.

    Attributes:
        values: by day, see `graphdown.data.sample_store.StoredDays`.
        adjustment: of the predictors.
    """

    values: Any
    adjustment: Adjustment

    @property
    def shape(self) -> tuple[int, ...]:
        """Days, nodes and variables."""
        return tuple(self.values.shape)

    def __len__(self) -> int:
        return len(self.values)

    def __getitem__(self, days: Any) -> np.ndarray:
        return self.adjustment(self.values[days])


def climate_of(ds: xr.Dataset, names: tuple[str, ...], target: Grid, where: str) -> Climate:
    """Climate of a source's days.

    Args:
        ds: the predictors [time, *horizontal]; the climate of absent ones is NaN.
        names: of the predictors.
        target: the grid that they are to be downscaled to.
        where: for messages.

    Raises:
        DataError: the predictors are on different grids.
    """
    there = [name for name in names if name in ds]
    found = ClimateSum(there, shared_grid(ds, there, where), where)
    for start in range(0, ds.sizes["time"], PART_DAYS):
        found.add(ds.isel(time=slice(start, start + PART_DAYS)).compute())
    return found.climate(ds, names, target)


def climate_later(ds: xr.Dataset, names: tuple[str, ...], target: Grid, where: str) -> "da.Array":
    """Climate of a lazy source's days, computed when it is needed, as an array []; see above."""
    there = [name for name in names if name in ds]
    sums = shared(ClimateSum(there, shared_grid(ds, there, where), where))
    like = shared(without_days(ds[there]))
    for start in range(0, ds.sizes["time"], PART_DAYS):
        part = ds.isel(time=slice(start, start + PART_DAYS)).chunk()
        sums = late(_added, sums, like, *(part[name].data for name in there))
    return late(ClimateSum.climate, sums, like, names=names, target=target)


def _added(sums: "ClimateSum", like: xr.Dataset, *values: np.ndarray) -> "ClimateSum":
    """Sums with further days in them; those before stay as they are, for dask may reuse them."""
    part = {n: (like[n].dims, v) for n, v in zip(like.data_vars, values, strict=True)}
    coords = {n: c for n, c in like.coords.items() if "time" not in c.dims}
    more = sums.copy()
    more.add(xr.Dataset(part, coords))
    return more


class ClimateSum:
    """Sums over a source's days, added in parts, that its climate is made of.

    Args:
        names: of the predictors that the source has.
        grid: of the source.
        where: for messages.
    """

    def __init__(self, names: Sequence[str], grid: Grid, where: str) -> None:
        self._names, self._grid, self._where = tuple(names), grid, where
        self._moments = Moments()
        self._present: dict[str, xr.DataArray] = {}

    def add(self, part: xr.Dataset) -> None:
        """Add days of the predictors [time, *horizontal]."""
        for name in self._names:
            seen = ever_present(part[name])
            self._present[name] = self._present[name] | seen if name in self._present else seen
        filled, _ = with_ground_filled(part, self._names, self._where)
        self._moments.add(field_values(filled, self._names, self._grid))

    def copy(self) -> "ClimateSum":
        """Sums to which more can be added while these stay."""
        other = ClimateSum(self._names, self._grid, self._where)
        other._moments, other._present = copy(self._moments), dict(self._present)
        return other

    def climate(self, ds: xr.Dataset, names: tuple[str, ...], target: Grid) -> Climate:
        """Climate of all days.

        Args:
            ds: has the predictors' grid.
            names: of the emulator's predictors; the climate of absent ones is NaN.
            target: the grid that they are to be downscaled to.

        Raises:
            DataError: the predictors are on different grids.
        """
        grid, moments = grid_where_present(ds, self._present, self._where), self._moments
        weight = _influence(grid, target)[:, None]
        weight = weight * (moments.count > 0)
        weight = weight / np.maximum(weight.sum(axis=0), 1e-12)
        mean = (weight * moments.mean).sum(axis=0)
        variance = (weight * (moments.variance + (moments.mean - mean) ** 2)).sum(axis=0)
        pairs = zip(mean, np.sqrt(variance), strict=True)
        found = dict(zip(self._names, pairs, strict=True))
        columns = [found.get(name, (np.nan, np.nan)) for name in names]
        return Climate(tuple(float(m) for m, _ in columns), tuple(float(s) for _, s in columns))


def mean_climate(climates: list[Climate]) -> Climate:
    """Mean of several sources' climates, over those that have a variable."""
    values = np.asarray([(c.mean, c.std) for c in climates])
    there = np.isfinite(values)
    mean = np.where(there, values, 0.0).sum(axis=0) / there.sum(axis=0)
    return Climate(*(tuple(float(v) for v in part) for part in mean))


def adjustment_to(
    reference: Climate, climate: Climate, names: tuple[str, ...], shares: Mapping[str, float]
) -> Adjustment:
    """Adjustment of a source's predictors to the reference's mean and standard deviation.

    Amounts, such as precipitation, only get its mean, by a factor; a predictor that is always the
    same in one of the two only gets its mean, by an addend. The constants are those of a
    period in the past, so that later changes remain, times the factor. With a share below 1 means
    are moved by that part of the difference, and factors are raised to that power: sources'
    climates are shrunk towards each other, as estimates of one quantity are towards their mean
    (James and Stein 1961).

    Args:
        reference: climate to adjust to.
        climate: that of the source.
        names: of the predictors.
        shares: of the variables that are adjusted, 0 to 1; empty adjusts all of them fully.
    """
    factor, addend = np.ones(len(names)), np.zeros(len(names))
    for i, name in enumerate(names):
        share = shares.get(variable_of(name), 0.0) if shares else 1.0
        if np.isnan(climate.mean[i]) or not share:
            continue
        if describe(name).is_amount:
            factor[i] = (
                (reference.mean[i] / climate.mean[i]) ** share if climate.mean[i] > 0 else 1.0
            )
        else:
            steady = climate.is_flat(i) or reference.is_flat(i)
            factor[i] = 1.0 if steady else (reference.std[i] / climate.std[i]) ** share
            mean = climate.mean[i] + share * (reference.mean[i] - climate.mean[i])
            addend[i] = mean - factor[i] * climate.mean[i]
    return Adjustment(factor.astype(np.float32), addend.astype(np.float32))


def adjustment_of(climate: Climate, normaliser: Normaliser) -> Adjustment | None:
    """Adjustment of a source of a climate to that of an emulator's training, None for none."""
    reference = normaliser.reference
    if reference is None:
        return None
    return adjustment_to(reference, climate, normaliser.predictors, normaliser.standardised)


def _influence(grid: Grid, target: Grid) -> np.ndarray:
    """Share [Ns] of each source node in the area mean over the target."""
    area = target.area * target.mask
    return np.asarray(bilinear(grid, target).matrix().T @ (area / area.sum()))
