"""Pair: one variable of a prediction and of the truth, on the same days and cells."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

from graphdown.evaluation.days import Days
from graphdown.evaluation.quantiles import quantiles, sorted_by_cell
from graphdown.evaluation.reduce import time_mean
from graphdown.evaluation.spectrum import power_spectrum
from graphdown.variables.catalogue import describe
from meshes.grids.grid import Grid

Sides = tuple[np.ndarray, np.ndarray]


@dataclass(frozen=True, eq=False)
class Pair:
    """Prediction and truth of one variable; what is missing in either is missing in both.

    Attributes:
        name: CF/CMIP name of the variable.
        prediction, truth: values [T, N].
        area: cell areas [N].
        days: the calendar of the T days.
        missing: number of values on used cells that are missing in either.
        lacking: number of the truth's values among them, which the prediction lacks.
        grid: whose used cells the N cells are; None where it does not matter.
        others: the pairs of all variables, by name.
        historical: the pair of a historical period, if there is one.
    """

    name: str
    prediction: np.ndarray
    truth: np.ndarray
    area: np.ndarray
    days: Days
    missing: int
    lacking: int = 0
    grid: Grid | None = None
    others: Mapping[str, "Pair"] = field(default_factory=dict, repr=False)
    historical: "Pair | None" = None

    @classmethod
    def of(
        cls, name: str, prediction: np.ndarray, truth: np.ndarray, area: np.ndarray, days: Days
    ) -> "Pair":
        """Return the pair with the values left out on both sides that either side lacks."""
        known = np.isfinite(truth)
        missing = ~(np.isfinite(prediction) & known)
        lacking = int((missing & known).sum())
        if missing.any():
            prediction = np.where(missing, np.nan, prediction)
            truth = np.where(missing, np.nan, truth)
        return cls(name, prediction, truth, area, days, int(missing.sum()), lacking)

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

    @cached_property
    def time_means(self) -> Sides:
        """Means over time of prediction and truth [N]."""
        return time_mean(self.prediction), time_mean(self.truth)

    @cached_property
    def p98(self) -> Sides:
        """98th percentiles in time of prediction and truth [N]."""
        level = np.array([0.98])
        predicted, true = (quantiles(v, level)[0] for v in self._sorted)
        return predicted, true

    @property
    def _sorted(self) -> Sides:
        return self.sorted_prediction, self.sorted_truth

    @property
    def fields(self) -> Sides | None:
        """Prediction and truth on the whole grid [T, ny, nx], None unless it has two dimensions."""
        if self.grid is None or len(self.grid.shape) != 2:
            return None
        y, x = (on_all_cells(v, self.grid) for v in (self.prediction, self.truth))
        return y.reshape(len(y), *self.grid.shape), x.reshape(len(x), *self.grid.shape)

    @cached_property
    def spectra(self) -> tuple[np.ndarray, np.ndarray, np.ndarray] | None:
        """Wavelengths in km and power of prediction and truth [K], None without `fields`."""
        fields = self.fields
        if fields is None or self.grid is None:
            return None
        spacing = self.grid.spacing_km
        (wavelength, predicted), (_, true) = (power_spectrum(side, spacing) for side in fields)
        return wavelength, predicted, true

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
