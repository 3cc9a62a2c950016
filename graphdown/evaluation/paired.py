"""Pair: one variable of a prediction and of the truth, on the same days and cells."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from graphdown.evaluation.days import Days
from graphdown.evaluation.quantiles import sorted_by_cell
from graphdown.variables.catalogue import describe


@dataclass(frozen=True, eq=False)
class Pair:
    """Prediction and truth of one variable; what is missing in either is missing in both.

    Attributes:
        name: CF/CMIP name of the variable.
        prediction, truth: values [T, N].
        area: cell areas [N].
        days: the calendar of the T days.
        missing: number of values on used cells that are missing in either.
    """

    name: str
    prediction: np.ndarray
    truth: np.ndarray
    area: np.ndarray
    days: Days
    missing: int

    @classmethod
    def of(
        cls, name: str, prediction: np.ndarray, truth: np.ndarray, area: np.ndarray, days: Days
    ) -> "Pair":
        """Return the pair with the values left out on both sides that either side lacks."""
        missing = ~(np.isfinite(prediction) & np.isfinite(truth))
        if missing.any():
            prediction = np.where(missing, np.nan, prediction)
            truth = np.where(missing, np.nan, truth)
        return cls(name, prediction, truth, area, days, int(missing.sum()))

    @property
    def used(self) -> int:
        """Number of values that both sides have."""
        return self.truth.size - self.missing

    @cached_property
    def sorted_prediction(self) -> np.ndarray:
        """The prediction in ascending order for each cell [N, T], missing values last."""
        return sorted_by_cell(self.prediction)

    @cached_property
    def sorted_truth(self) -> np.ndarray:
        """The truth in ascending order for each cell [N, T], missing values last."""
        return sorted_by_cell(self.truth)

    @property
    def is_temperature(self) -> bool:
        """Whether the variable is a temperature of the air (tas, tasmax, ta850, ...)."""
        return describe(self.name).is_temperature

    @property
    def is_precipitation(self) -> bool:
        """Whether the variable is a rate of rain or snow (pr, prsn, ...)."""
        return describe(self.name).is_precipitation
