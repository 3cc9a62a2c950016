"""Baseline: what every reference method has in common."""

from abc import ABC, abstractmethod
from typing import ClassVar, Self

import numpy as np
import xarray as xr

from graphdown.baselines.target import Target
from graphdown.baselines.times import on_common_times


class Baseline(ABC):
    """A method that learns from pairs of coarse and fine days and downscales further ones.

    Subclasses implement `_learn` and `_downscale`; dataset handling is done here.

    Attributes:
        name: the method's name in tables.
    """

    name: ClassVar[str]

    def __init__(self) -> None:
        self._target: Target | None = None

    def __repr__(self) -> str:
        state = "unfitted" if self._target is None else f"to {self._target.grid!r}"
        return f"<Baseline {self.name!r}, {state}>"

    def fit(
        self,
        coarse: xr.Dataset,
        fine: xr.Dataset,
        statics: xr.Dataset | None = None,
        validation: tuple[xr.Dataset, xr.Dataset] | None = None,
    ) -> Self:
        """Learn from the days that both datasets hold.

        Args:
            coarse: canonical daily fields, (time, any horizontal dimensions), on any grid.
            fine: canonical daily fields of the target grid; its variables are the ones to
                predict. Cells without a value (NaN) are allowed.
            statics: static fields of the target grid, such as "orog" in m.
            validation: a further (coarse, fine) pair, to choose free parameters on.

        Raises:
            ValueError: no common days, other units on both sides, or the method lacks a field
                that it needs.
        """
        coarse, fine = on_common_times(coarse, fine)
        if validation is not None:
            validation = on_common_times(*validation)
        target = Target.of(fine)
        target.check_units(coarse)
        # Only a fit that came through replaces what was learned before.
        previous, self._target = self._target, target
        try:
            self._learn(coarse, fine, statics, validation)
        except BaseException:
            self._target = previous
            raise
        return self

    def predict(self, coarse: xr.Dataset) -> xr.Dataset:
        """Downscale every day of a dataset, whose grid may differ from the one of the fit.

        Returns:
            The target's variables (time, target dimensions) as float32, with their attributes
            and the target grid's coordinates; precipitation is not below 0.

        Raises:
            ValueError: the method is not fitted, or a variable is missing.
        """
        if "time" not in coarse.dims:
            raise ValueError("The coarse data have no time dimension; add one, even of length 1.")
        target = self.target
        return target.dataset(self._downscale(coarse), coarse["time"])

    @property
    def target(self) -> Target:
        """The grid and the variables that the method was fitted to."""
        if self._target is None:
            raise ValueError(f"The baseline {self.name!r} is not fitted; call fit first.")
        return self._target

    @abstractmethod
    def _learn(
        self,
        coarse: xr.Dataset,
        fine: xr.Dataset,
        statics: xr.Dataset | None,
        validation: tuple[xr.Dataset, xr.Dataset] | None,
    ) -> None:
        """Learn from pairs on common days; `self.target` is set."""

    @abstractmethod
    def _downscale(self, coarse: xr.Dataset) -> dict[str, np.ndarray]:
        """Return the values [T, N] of every target variable."""
