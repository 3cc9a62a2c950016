"""Ridge regression, one for each cell, on all predictors of the whole coarse field."""

from collections.abc import Sequence

import numpy as np
import xarray as xr

from graphdown.baselines.base import Baseline
from graphdown.baselines.paired_times import Pair, split_last_days
from graphdown.baselines.regression import Regression

PENALTIES = tuple(10.0 ** (k / 2) for k in range(-2, 13))


class Ridge(Baseline):
    """Ridge regression of every target cell on all coarse points of all coarse variables.

    Predictors are standardised; the predictands are not transformed. Chosen per variable, by the
    least mean square error on the validation pair, are whether precipitation enters the predictors
    as it is or as log(1 + pr / (1 mm day-1)), and the penalty (of the sum of squares over all
    days). Without a validation pair the last fifth of the fitted days chooses, with the final fit
    on all of them.

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
        trials = {log: Regression(*tried[0], self.target, log) for log in (True, False)}
        found = {log: t.best_penalties(*judged[0], self._penalties) for log, t in trials.items()}
        self.logarithm = {name: found[True][name] <= found[False][name] for name in found[True]}
        self.penalty = {name: found[log][name][1] for name, log in self.logarithm.items()}
        if not validation:
            trials = {
                log: Regression(*pairs[0], self.target, log) for log in set(self.logarithm.values())
            }
        self._predictors = {log: trial.predictors for log, trial in trials.items()}
        self._lines = {
            name: trials[log].coefficients(name, self.penalty[name])
            for name, log in self.logarithm.items()
        }

    def _downscale(self, coarse: xr.Dataset) -> dict[str, np.ndarray]:
        forms = set(self.logarithm.values())
        tables = {log: self._predictors[log].table(coarse) for log in forms}
        return {
            name: tables[self.logarithm[name]] @ slopes + constants
            for name, (slopes, constants) in self._lines.items()
        }
