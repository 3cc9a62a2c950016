"""Ridge regression, one for each cell, on all predictors of the whole coarse field."""

from collections.abc import Sequence
from contextlib import ExitStack
from copy import copy
from typing import Self

import numpy as np
import xarray as xr

from graphdown.baselines.base import Baseline
from graphdown.baselines.paired_times import Pair, split_last_days
from graphdown.baselines.regression import Regression
from graphdown.runtime.scratch import Scratch

PENALTIES = tuple(10.0 ** (k / 2) for k in range(-2, 13))


class Ridge(Baseline):
    """Ridge regression of every target cell on all coarse points of all coarse variables.

    Predictors are standardised; the predictands are not transformed. Chosen per variable, by the
    least mean square error on the validation pair, are whether precipitation enters the predictors
    as it is or as log(1 + pr / (1 mm day-1)), and the penalty (of the sum of squares over all
    days). Without a validation pair the last fifth of the fitted days chooses, with the final fit
    on all of them.

    Where days and predictors are more than 2048, predictors enter by their 2048 largest principal
    components; those at points farther than 1500 km from the target do not enter.

    Cells that lack some days are fitted on those that they have; cells that never have a value
    stay missing, and so do days on which a predictor is missing.

    Args:
        penalties: positive penalties to choose from.

    Attributes:
        penalty: the chosen penalty of each variable, once fitted.
        logarithm: whether precipitation enters as a logarithm, for each variable, once fitted.
    """

    name = "ridge"
    source_bound = True
    by_day = True
    part_bytes = 128 * 2**20

    def __init__(self, penalties: Sequence[float] = PENALTIES) -> None:
        super().__init__()
        if not penalties or min(penalties) <= 0:
            raise ValueError(f"The penalties must be positive, not {list(penalties)}.")
        self._penalties = tuple(penalties)
        self.penalty: dict[str, float] = {}
        self.logarithm: dict[str, bool] = {}

    def _learn(
        self, pairs: Sequence[Pair], statics: xr.Dataset | None, validation: Sequence[Pair]
    ) -> None:
        tried, judged = (
            (pairs, validation)
            if validation
            else split_last_days(pairs, "the choice of the penalty")
        )
        with ExitStack() as stack:
            temporary = None
            if self._scratch is not None:
                temporary = stack.enter_context(self._scratch.beside())
            for _, fine in judged:
                self.target.check_grid(fine)
            tried, judged, pairs = (_by_cells(part, temporary) for part in (tried, judged, pairs))
            self._fit_lines(tried[0], judged[0], None if validation else pairs[0], temporary)

    def _fit_lines(
        self, tried: Pair, judged: Pair, every: Pair | None, temporary: Scratch | None
    ) -> None:
        """Choose forms and penalties, and fit the lines.

        Args:
            tried, judged: days to fit and days to choose by.
            every: those of the final fit; None for the same.
            temporary: for tables meanwhile.
        """

        def regression(pair: Pair, log: bool) -> Regression:
            return Regression(*pair, self.target, log, self._scratch, temporary)

        trials = {True: regression(tried, True)}
        if trials[True].predictors.has_logarithm:
            trials[False] = regression(tried, False)
        found = {log: t.best_penalties(*judged, self._penalties) for log, t in trials.items()}
        self.logarithm = {
            name: all(best[0] <= found[log][name][0] for log in found)
            for name, best in found[True].items()
        }
        self.penalty = {name: found[log][name][1] for name, log in self.logarithm.items()}
        if every is not None:
            trials = {log: regression(every, log) for log in set(self.logarithm.values())}
        self._lines = {
            name: trials[log].lines(name, self.penalty[name], self._empty)
            for name, log in self.logarithm.items()
        }
        self._predictors = {log: trials[log].predictors for log in set(self.logarithm.values())}

    def _for_days_of(self, coarse: xr.Dataset) -> Self:
        other = copy(self)
        other._predictors = {log: p.for_days_of(coarse) for log, p in self._predictors.items()}
        return other

    def _downscale(self, coarse: xr.Dataset) -> dict[str, np.ndarray]:
        tables = {log: predictors.table(coarse) for log, predictors in self._predictors.items()}
        return {
            name: lines.values(tables[self.logarithm[name]]) for name, lines in self._lines.items()
        }


def _by_cells(pairs: Sequence[Pair], scratch: Scratch | None) -> list[Pair]:
    """Pairs whose fine fields can be read by cells: those of a store by days go to a file."""
    if scratch is None:
        return list(pairs)
    return [(coarse, scratch.keep_lazy(fine)) for coarse, fine in pairs]
