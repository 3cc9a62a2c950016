"""Empirical quantile mapping of interpolated fields, cell by cell."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import xarray as xr

from graphdown.baselines.corrected import CorrectedBilinear, TrainingFields
from graphdown.baselines.field_blocks import FieldBlock
from graphdown.baselines.paired_times import of_season, seasons
from graphdown.variables.catalogue import describe

LEVELS = 100
CELLS_AT_ONCE = 16384
DRY = 0.1  # mm day-1; less counts as dry
GOLDEN = (np.sqrt(5) - 1) / 2


class QuantileMapping(CorrectedBilinear):
    """Bilinear, then empirical quantile mapping of each cell in each season.

    A value x becomes F_fine^-1(F_coarse(x)), with the distributions of the fitted days in the
    season (DJF, MAM, JJA, SON), given by their quantiles at LEVELS equally spaced levels and linear
    between them (Panofsky and Brier 1968; Deque 2007, doi:10.1016/j.gloplacha.2006.11.030).
    Beyond the outermost quantiles their correction is kept: as a difference, for precipitation as
    a ratio at the upper end.

    Precipitation below DRY counts as dry. Where interpolation is dry less often than the truth,
    mapping alone puts that right. Where it is dry more often, a share of its dry days has to
    become wet: dry values are replaced by values spread evenly below DRY, which depend on the date
    alone, so that all cells of a day agree and the result does not depend on the days asked for.
    After the mapping, values below DRY become 0.
    """

    name = "quantile mapping"
    by_season = True

    def _learn_correction(self, fields: TrainingFields) -> None:
        self._mappings: dict[str, dict[str, Mapping]] = {}
        for name in self.target.attrs:
            of_name = self._mappings[name] = {}
            for block, values, truth in fields.by_cells(name):
                spread = without_ties(name, values, fields.time)
                for season, days in seasons(fields.time).items():
                    if season not in of_name:
                        of_name[season] = Mapping(self._empty(2 * LEVELS + 1, block))
                    of_name[season].learn(block, spread[days], truth[days])

    def _corrected(self, name: str, values: np.ndarray, time: xr.DataArray) -> np.ndarray:
        has_dry_days = describe(name).is_precipitation
        spread = without_ties(name, values, time)
        mapped = np.empty_like(spread)
        for season, days in seasons(time).items():
            mapping = of_season(self._mappings[name], season, self.name)
            mapped[days] = mapping(spread[days], ratio=has_dry_days)
        return np.where(mapped < DRY, 0.0, mapped) if has_dry_days else mapped


@dataclass(frozen=True, eq=False)
class Mapping:
    """Quantiles before and after the mapping, NaN for cells without any.

    Attributes:
        table: [2 LEVELS + 1, *target dimensions], as an array: those before, those after, both less
            the value in the last place, so that float32 holds temperatures well enough.
    """

    table: Any

    def learn(self, block: FieldBlock, before: np.ndarray, after: np.ndarray) -> None:
        """Take the quantiles of values [T, n] of a block, each cell's missing ones left out."""
        both = np.concatenate([quantiles(before), quantiles(after)])
        middle = both[LEVELS // 2].astype(np.float32)
        both = np.concatenate([both - middle, [middle]])
        self.table[:, block.all_rows] = both.reshape(len(both), -1, *self.table.shape[2:])

    def __call__(self, values: np.ndarray, ratio: bool) -> np.ndarray:
        """Return mapped values [T, N]; ratio: hold the ratio, not the difference, at the top."""
        every = self.table[:, :].reshape(2 * LEVELS + 1, -1)
        mapped = np.empty_like(values)
        for start in range(0, values.shape[1], CELLS_AT_ONCE):
            cells = slice(start, start + CELLS_AT_ONCE)
            both = every[:-1, cells] + every[-1, cells].astype(np.float64)
            mapped[:, cells] = mapped_values(values[:, cells], both[:LEVELS], both[LEVELS:], ratio)
        return mapped


def mapped_values(x: np.ndarray, before: np.ndarray, after: np.ndarray, ratio: bool) -> np.ndarray:
    """Return values [T, n] mapped by quantiles [LEVELS, n] of each cell."""
    change = after - before
    mapped = x + interpolated(x, before, change)
    if ratio:
        above = (x > before[-1]) & (before[-1] > 0)
        factor = divided(after[-1], before[-1])
        mapped = np.where(above, x * factor, mapped)
    return mapped


def interpolated(x: np.ndarray, points: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Return what `np.interp` does for each column: values at x [T, n] of points [LEVELS, n]."""
    below = np.zeros(x.shape, np.intp)  # the last point that is not above x, or the first
    step = 1 << (len(points) - 1).bit_length()
    while step := step // 2:
        further = np.minimum(below + step, len(points) - 1)
        reached = np.take_along_axis(points, further, axis=0) <= x
        below = np.where(reached & (below + step < len(points)), further, below)
    above = np.minimum(below + 1, len(points) - 1)
    x0, x1, y0, y1 = (
        np.take_along_axis(table, place, axis=0)
        for table in (points, values)
        for place in (below, above)
    )
    slope = divided(y1 - y0, x1 - x0)
    inside = (x >= x0) & (below < above)
    return np.where(np.isnan(x), np.nan, np.where(inside, slope * (x - x0) + y0, y0))


def divided(numerator: np.ndarray, denominator: np.ndarray) -> np.ndarray:
    """Return numerator / denominator, 0 where that is 0."""
    zero = np.zeros(np.broadcast_shapes(numerator.shape, denominator.shape))
    return np.divide(numerator, denominator, out=zero, where=denominator != 0)


def quantiles(values: np.ndarray) -> np.ndarray:
    """Return quantiles [LEVELS, N] of values [T, N], NaN for cells that have none."""
    levels = (np.arange(LEVELS) + 0.5) / LEVELS
    missing = np.isnan(values)
    if not missing.any():
        return np.quantile(values, levels, axis=0)
    result = np.full((LEVELS, values.shape[1]), np.nan)
    some = ~missing.all(axis=0)
    result[:, some] = np.nanquantile(values[:, some], levels, axis=0)
    return result


def without_ties(name: str, values: np.ndarray, time: xr.DataArray) -> np.ndarray:
    """Return values [T, N], precipitation below DRY replaced by one in [0, DRY) from the date."""
    values = values.astype(np.float64)
    if not describe(name).is_precipitation:
        return values
    date = time.dt.year.values * 372 + time.dt.month.values * 31 + time.dt.day.values
    # Multiples of the golden ratio are spread evenly between whole numbers (Weyl's sequence).
    return np.where(values < DRY, DRY * np.mod(date * GOLDEN, 1.0)[:, None], values)
