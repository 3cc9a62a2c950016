"""Ridge regression, one for each cell, on all predictors of the whole coarse field."""

from collections.abc import Sequence

import numpy as np
import xarray as xr

from graphdown.baselines.base import Baseline
from graphdown.baselines.regression import Regression

PENALTIES = tuple(10.0 ** (k / 2) for k in range(-2, 13))
HELD_BACK = 5  # without a validation pair, the last 1/5 of the days chooses the penalty


class Ridge(Baseline):
    """Ridge regression of every target cell on all coarse points of all coarse variables.

    Predictors are standardised, precipitation among them as log(1 + pr / (1 mm day-1)); the
    predictands are not transformed. The penalty (of the sum of squares over all days) is chosen
    per variable, as the one with the least mean square error on the validation pair, or, without
    one, on the last fifth of the fitted days, with the final fit on all of them.

    Cells that lack some days are fitted on those that they have; cells that never have a value
    stay missing, and so do days on which a predictor is missing.

    Args:
        penalties: positive penalties to choose from.

    Attributes:
        penalty: the chosen penalty of each variable, once fitted.
    """

    name = "ridge"

    def __init__(self, penalties: Sequence[float] = PENALTIES) -> None:
        super().__init__()
        if not penalties or min(penalties) <= 0:
            raise ValueError(f"The penalties must be positive, not {list(penalties)}.")
        self._penalties = tuple(penalties)
        self.penalty: dict[str, float] = {}

    def _learn(
        self,
        coarse: xr.Dataset,
        fine: xr.Dataset,
        statics: xr.Dataset | None,
        validation: tuple[xr.Dataset, xr.Dataset] | None,
    ) -> None:
        if validation is None:
            first, last = _split(coarse, fine)
            trial = Regression(*first, self.target)
            penalty = trial.best_penalties(*last, self._penalties)
            regression = Regression(coarse, fine, self.target)
        else:
            regression = Regression(coarse, fine, self.target)
            penalty = regression.best_penalties(*validation, self._penalties)
        self.penalty = penalty
        self._predictors = regression.predictors
        self._lines = {name: regression.coefficients(name, k) for name, k in penalty.items()}

    def _downscale(self, coarse: xr.Dataset) -> dict[str, np.ndarray]:
        table, lines = self._predictors.table(coarse), self._lines.items()
        return {name: table @ slopes + constants for name, (slopes, constants) in lines}


_Pair = tuple[xr.Dataset, xr.Dataset]


def _split(coarse: xr.Dataset, fine: xr.Dataset) -> tuple[_Pair, _Pair]:
    """Return the first days and the last ones that are held back, each coarse and fine."""
    days = fine.sizes["time"]
    if days < HELD_BACK:
        raise ValueError(
            f"{days} common days are too few to hold back the last 1/{HELD_BACK} for the choice of "
            "the penalty; give more days or a validation pair."
        )
    begin = days - days // HELD_BACK
    first, last = slice(None, begin), slice(begin, None)
    return (
        (coarse.isel(time=first), fine.isel(time=first)),
        (coarse.isel(time=last), fine.isel(time=last)),
    )
