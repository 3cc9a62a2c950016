"""Pair: one variable of a prediction and of the truth, on the same days and cells."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np

from graphdown.evaluation.days import Days
from graphdown.evaluation.quantiles import quantiles, sorted_by_cell
from graphdown.evaluation.reduce import counts, time_mean
from graphdown.evaluation.spectrum import total_power
from graphdown.variables.catalogue import describe
from meshes.grids.grid import Grid

Sides = tuple[np.ndarray, np.ndarray]
P98 = np.array([0.98])


@dataclass(frozen=True, eq=False)
class Pair:
    """Prediction and truth of one variable; what is missing in either is missing in both.

    It holds all of the days and cells, or a block of them, see `graphdown.baselines.field_blocks`.

    Attributes:
        name: CF/CMIP name of the variable.
        prediction, truth: values [T, N].
        area: cell areas [N].
        days: the calendar of the T days.
        lacking: number of the truth's values of each cell that the prediction lacks [N].
        grid: whose used cells the N cells are; None where they are some of them.
        others: the pairs of all variables, by name.
        historical: the pair of a historical period, if there is one.
        of_truth: results that depend on the truth alone, which the pairs of several predictions
            with the same truth share.
    """

    name: str
    prediction: np.ndarray
    truth: np.ndarray
    area: np.ndarray
    days: Days
    lacking: np.ndarray
    grid: Grid | None = None
    others: Mapping[str, "Pair"] = field(default_factory=dict, repr=False)
    historical: "Pair | None" = None
    of_truth: dict[Any, Any] = field(default_factory=dict, repr=False)

    @classmethod
    def of(
        cls,
        name: str,
        prediction: np.ndarray,
        truth: np.ndarray,
        area: np.ndarray,
        days: Days,
        of_truth: dict[Any, Any] | None = None,
    ) -> "Pair":
        """Return the pair with the values left out on both sides that either side lacks.

        Args:
            name, prediction, truth, area, days: as in the class.
            of_truth: results of other pairs with this truth; used as long as the prediction has
                all of its values.
        """
        known = np.isfinite(truth)
        missing = ~(np.isfinite(prediction) & known)
        lost = missing & known
        lacking = lost.sum(axis=0)
        if missing.any():
            prediction = np.where(missing, np.nan, prediction)
            truth = np.where(missing, np.nan, truth)
        shared = {} if of_truth is None or lacking.any() else of_truth
        return cls(name, prediction, truth, area, days, lacking, of_truth=shared)

    @property
    def used(self) -> np.ndarray:
        """Number of values of each cell that both sides have [N]."""
        return counts(self.truth)

    @property
    def missing(self) -> np.ndarray:
        """Number of values of each cell that are missing in either [N]."""
        return len(self.truth) - self.used

    def both(self, statistic: Callable[[np.ndarray], Any]) -> tuple[Any, Any]:
        """Return a statistic of the values [T, N] of prediction and truth.

        Args:
            statistic: that of the truth is kept under it for other predictions, so it must be one
                that lasts, no function that is made for the call.
        """
        if statistic not in self.of_truth:
            self.of_truth[statistic] = statistic(self.truth)
        return statistic(self.prediction), self.of_truth[statistic]

    def both_by_year(self, index: Callable[[np.ndarray, Days], Any]) -> tuple[Any, Any]:
        """Return an index of the values [T, N] and their calendar, as `both` does."""
        if index not in self.of_truth:
            self.of_truth[index] = index(self.truth, self.days)
        return index(self.prediction, self.days), self.of_truth[index]

    @cached_property
    def _sorted(self) -> Sides:
        predicted, true = self.both(sorted_by_cell)
        return predicted, true

    @property
    def sorted_prediction(self) -> np.ndarray:
        """The prediction in ascending order for each cell [N, T], missing values last."""
        return self._sorted[0]

    @property
    def sorted_truth(self) -> np.ndarray:
        """The truth in ascending order for each cell [N, T], missing values last."""
        return self._sorted[1]

    @cached_property
    def time_means(self) -> Sides:
        """Means over time of prediction and truth [N]."""
        predicted, true = self.both(time_mean)
        return predicted, true

    @cached_property
    def p98(self) -> Sides:
        """98th percentiles in time of prediction and truth [N]."""
        predicted, true = (quantiles(v, P98)[0] for v in self._sorted)
        return predicted, true

    @property
    def fields(self) -> Sides | None:
        """Prediction and truth on the whole grid [T, ny, nx], None unless it has two dimensions."""
        if self.grid is None or len(self.grid.shape) != 2:
            return None
        y, x = (on_all_cells(v, self.grid) for v in (self.prediction, self.truth))
        return y.reshape(len(y), *self.grid.shape), x.reshape(len(x), *self.grid.shape)

    @property
    def total_power(self) -> np.ndarray | None:
        """Power of prediction and truth, see `spectrum.total_power` [1, 2, K + 1].

        None without `fields`.
        """
        fields = self.fields
        if fields is None:
            return None
        if total_power not in self.of_truth:
            self.of_truth[total_power] = total_power(fields[1])
        return np.stack([total_power(fields[0]), self.of_truth[total_power]])[None]

    @property
    def is_temperature(self) -> bool:
        """Whether the variable is a temperature of the air (tas, tasmax, ta850, ...)."""
        return describe(self.name).is_temperature

    @property
    def is_precipitation(self) -> bool:
        """Whether the variable is a rate of rain or snow (pr, prsn, ...)."""
        return describe(self.name).is_precipitation


def on_all_cells(values: np.ndarray, grid: Grid) -> np.ndarray:
    """Return values [..., N] of a grid's used cells on all of its cells, NaN on the others."""
    if grid.mask.all():
        return values
    filled = np.full((*values.shape[:-1], grid.size), np.nan)
    filled[..., grid.mask] = values
    return filled
