"""The climate of a source, and how the fields of one source are adjusted to that of others."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import xarray as xr

from graphdown.data.normalise import Climate, Moments
from graphdown.data.reading.fields import field_values
from graphdown.data.reading.horizontal import horizontal_grid
from graphdown.data.reading.missing import with_ground_filled
from graphdown.variables.catalogue import describe
from graphdown.variables.names import variable_of
from meshes import Grid, bilinear

PART_DAYS = 256


@dataclass(frozen=True, eq=False)
class Adjustment:
    """What gives a source the climate of others: values * factor + addend, for each predictor."""

    factor: np.ndarray
    addend: np.ndarray

    def __call__(self, values: np.ndarray) -> np.ndarray:
        """Return adjusted predictors [..., V], float32."""
        return values * self.factor + self.addend


@dataclass(frozen=True, eq=False)
class AdjustedDays:
    """Days of a store, adjusted when they are read.

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
    """Return the climate of a source's days.

    Args:
        ds: the predictors [time, *horizontal]; what it lacks has no climate (NaN).
        names: of the predictors.
        target: the grid that they are to be downscaled to.
        where: for messages.

    Raises:
        DataError: the predictors stand on different grids.
    """
    there = [name for name in names if name in ds]
    grid = horizontal_grid(ds, there, where)
    moments = Moments()
    for start in range(0, ds.sizes["time"], PART_DAYS):
        part, _ = with_ground_filled(ds.isel(time=slice(start, start + PART_DAYS)), there, where)
        moments.add(field_values(part, there, grid))
    weight = _influence(grid, target)[:, None]
    weight = weight * (moments.count > 0)
    weight = weight / np.maximum(weight.sum(axis=0), 1e-12)
    mean = (weight * moments.mean).sum(axis=0)
    variance = (weight * (moments.variance + (moments.mean - mean) ** 2)).sum(axis=0)
    found = dict(zip(there, zip(mean, np.sqrt(variance), strict=True), strict=True))
    columns = [found.get(name, (np.nan, np.nan)) for name in names]
    return Climate(
        tuple(float(m) for m, _ in columns), tuple(float(np.maximum(s, 1e-12)) for _, s in columns)
    )


def mean_climate(climates: list[Climate]) -> Climate:
    """Return the mean of several sources' climates, over those that have a variable."""
    values = np.asarray([(c.mean, c.std) for c in climates])
    there = np.isfinite(values)
    mean = np.where(there, values, 0.0).sum(axis=0) / there.sum(axis=0)
    return Climate(*(tuple(float(v) for v in part) for part in mean))


def adjustment_to(
    reference: Climate, own: Climate, names: tuple[str, ...], shares: Mapping[str, float]
) -> Adjustment:
    """Return what gives a source's predictors the reference's mean and standard deviation.

    Amounts, such as precipitation, only get its mean, by a factor. The constants are those of a
    period in the past, so that what changes from then on remains, times the factor. With a share
    below 1 a mean goes that part of the way, factors go it in their logarithms: sources' climates
    are drawn together, as estimates of one quantity are by their mean (James and Stein 1961).

    Args:
        reference, own: climates.
        names: of the predictors.
        shares: of the variables that are adjusted, 0 to 1; all are, wholly, if there are none.
    """
    factor, addend = np.ones(len(names)), np.zeros(len(names))
    for i, name in enumerate(names):
        share = shares.get(variable_of(name), 0.0) if shares else 1.0
        if np.isnan(own.mean[i]) or not share:
            continue
        if describe(name).is_amount:
            factor[i] = (reference.mean[i] / own.mean[i]) ** share if own.mean[i] > 0 else 1.0
        else:
            factor[i] = (reference.std[i] / own.std[i]) ** share
            mean = own.mean[i] + share * (reference.mean[i] - own.mean[i])
            addend[i] = mean - factor[i] * own.mean[i]
    return Adjustment(factor.astype(np.float32), addend.astype(np.float32))


def _influence(grid: Grid, target: Grid) -> np.ndarray:
    """Return the share [Ns] that each source node has in the area mean over the target."""
    area = target.area * target.mask
    return np.asarray(bilinear(grid, target).matrix().T @ (area / area.sum()))
