"""Regression of the cells of a target grid, cells that lack days included."""

from collections import defaultdict
from collections.abc import Iterator, Sequence

import numpy as np
import xarray as xr

from graphdown.baselines.predictands import Predictands
from graphdown.baselines.predictors import Predictors
from graphdown.statistics.least_squares import Design, Fit
from graphdown.variables.constraints import within_bounds


class Regression:
    """Every cell of every target variable on the same predictors, open to any penalty.

    Cells with the same days share one decomposition, so that there is one in all where nothing
    is missing.

    Args:
        coarse, fine: canonical datasets on the same days.
        target: the grid and the variables to predict.
        logarithm: whether precipitation and its like enter the predictors as logarithms.
    """

    def __init__(
        self, coarse: xr.Dataset, fine: xr.Dataset, target: Predictands, logarithm: bool
    ) -> None:
        self.predictors = Predictors(coarse, logarithm)
        self._target = target
        table = self.predictors.table(coarse)
        complete = np.isfinite(table).all(axis=1)
        designs: dict[bytes, Design] = {}
        self._fits: dict[str, list[tuple[np.ndarray, Fit]]] = {}
        for name in target.attrs:
            values = target.values(fine, name)
            self._fits[name] = []
            for days, cells in _cells_by_days(np.isfinite(values) & complete[:, None]):
                key = days.tobytes()
                if key not in designs:
                    designs[key] = Design.of(table[days])
                fit = designs[key].fit(values[np.ix_(days, cells)])
                self._fits[name].append((cells, fit))

    def best_penalties(
        self, coarse: xr.Dataset, fine: xr.Dataset, penalties: Sequence[float]
    ) -> dict[str, tuple[float, float]]:
        """Return, per variable, the least mean square error on other days and its penalty.

        Raises:
            ValueError: a variable has no value on those days.
        """
        table = self.predictors.table(coarse)
        best = {}
        for name in self._target.attrs:
            truth = self._target.values(fine, name)
            errors = self._squared_errors(name, table, truth, penalties)
            if not np.isfinite(errors).all():
                raise ValueError(
                    f"No penalty can be chosen for {name!r}: on the days of validation no cell has "
                    "both predictors and a value; choose other days."
                )
            best[name] = float(errors.min()), penalties[int(np.argmin(errors))]
        return best

    def _squared_errors(
        self, name: str, table: np.ndarray, truth: np.ndarray, penalties: Sequence[float]
    ) -> np.ndarray:
        complete = np.isfinite(table).all(axis=1)
        total, count = np.zeros(len(penalties)), 0
        for cells, fit in self._fits[name]:
            rotated = fit.design.rotate(table[complete])
            expected = truth[np.ix_(complete, cells)]
            count += int(np.isfinite(expected).sum())
            for k, penalty in enumerate(penalties):
                predicted = within_bounds(name, fit.predict(rotated, penalty))
                total[k] += np.nansum(np.square(predicted - expected))
        return total / count if count else np.full(len(penalties), np.nan)

    def coefficients(self, name: str, penalty: float) -> tuple[np.ndarray, np.ndarray]:
        """Return a variable's coefficients [P, N] and constants [N]; NaN for cells without days."""
        shape = (self.predictors.size, self._target.grid.size)
        slopes, constants = np.full(shape, np.nan), np.full(shape[1], np.nan)
        for cells, fit in self._fits[name]:
            slopes[:, cells], constants[cells] = fit.coefficients(penalty)
        return slopes, constants


def _cells_by_days(present: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yield (days, cells) as indices: cells of present [T, N] that are there on the same days."""
    groups: dict[bytes, list[int]] = defaultdict(list)
    for cell, days in enumerate(np.packbits(present, axis=0).T):
        groups[days.tobytes()].append(cell)
    for cells in groups.values():
        days = np.flatnonzero(present[:, cells[0]])
        if days.size:
            yield days, np.array(cells)
