"""Empirical quantile mapping of interpolated fields, cell by cell."""

from collections import abc
from dataclasses import dataclass

import numpy as np
import xarray as xr

from graphdown.baselines.corrected import CorrectedBilinear
from graphdown.baselines.paired_times import of_season, seasons
from graphdown.variables.catalogue import describe

LEVELS = 100
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

    def _learn_correction(
        self,
        interpolated: abc.Mapping[str, np.ndarray],
        truths: abc.Mapping[str, np.ndarray],
        time: xr.DataArray,
    ) -> None:
        self._mappings = {
            name: {
                season: Mapping.between(without_ties(name, values, time)[days], truths[name][days])
                for season, days in seasons(time).items()
            }
            for name, values in interpolated.items()
        }

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
    """Quantiles [LEVELS, N] before and after the mapping, NaN for cells without any."""

    before: np.ndarray
    after: np.ndarray

    @classmethod
    def between(cls, before: np.ndarray, after: np.ndarray) -> "Mapping":
        """Take the quantiles of values [T, N], each cell's missing ones left out."""
        return cls(quantiles(before), quantiles(after))

    def __call__(self, values: np.ndarray, ratio: bool) -> np.ndarray:
        """Return mapped values [T, N]; ratio: hold the ratio, not the difference, at the top."""
        mapped = np.empty_like(values)
        for cell, (before, after) in enumerate(zip(self.before.T, self.after.T, strict=True)):
            x = values[:, cell]
            mapped[:, cell] = x + np.interp(x, before, after - before)
            if ratio and before[-1] > 0:
                above = x > before[-1]
                mapped[above, cell] = x[above] * (after[-1] / before[-1])
        return mapped


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
