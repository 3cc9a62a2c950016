"""Baseline: the common part of every reference method."""

import math
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from typing import Any, ClassVar, Self, TypeVar

import numpy as np
import xarray as xr

from graphdown.baselines.field_blocks import FieldBlock
from graphdown.baselines.paired_times import Pair, on_common_times
from graphdown.baselines.predictands import Predictands
from graphdown.runtime.registry import Registry
from graphdown.runtime.scratch import Scratch

LARGE_BYTES = 32 * 2**20


class Baseline(ABC):
    """A method that learns from pairs of coarse and fine days and downscales further ones.

    Subclasses implement `_learn` and `_downscale`; dataset handling is done here.

    Attributes:
        name: the method's name in tables and in `baselines` of an experiment.
        source_bound: whether what is learned belongs to one source, its grid or its errors, so
            that it is learned from one pair.
        needs_height: whether it needs "orog" among the target's static fields; without it the
            method is left out.
        needs_target_predictor: whether it starts from the predictor of each target's name; it is
            left out where a target is no predictor.
        by_season: whether it learns each season by itself, so that it is left out where days to
            predict lie in a season without training days.
        by_day: whether `_downscale` of a day does not depend on the days beside it, so that days
            may be downscaled a few at a time; else all of a call are, in memory.
    """

    name: ClassVar[str]
    source_bound: ClassVar[bool] = False
    needs_height: ClassVar[bool] = False
    needs_target_predictor: ClassVar[bool] = False
    by_season: ClassVar[bool] = False
    by_day: ClassVar[bool] = False
    part_bytes: ClassVar[int] = 64 * 2**20  # of float32 fields that are made at once

    def __init__(self) -> None:
        self._target: Predictands | None = None
        self._scratch: Scratch | None = None

    def __repr__(self) -> str:
        state = "unfitted" if self._target is None else f"to {self._target.grid!r}"
        return f"<Baseline {self.name!r}, {state}>"

    def fit(
        self,
        pairs: Sequence[Pair],
        statics: xr.Dataset | None = None,
        validation: Sequence[Pair] = (),
        scratch: Scratch | None = None,
    ) -> Self:
        """Learn from pairs of datasets, each from the days that both of its sides hold.

        Args:
            pairs: (coarse, fine), one for each training source. Coarse are canonical daily
                fields, (time, any horizontal dimensions), on any grid; fine are those of the
                target grid, the same for all, and its variables are the ones to predict. Cells
                without a value (NaN) are allowed.
            statics: static fields of the target grid, such as "orog" in m.
            validation: further pairs, to choose free parameters on.
            scratch: where what is learned may lie as long as the method is used, if it is much;
                by default it is kept in memory, and so are all days while it is learned.

        Raises:
            ValueError: no pair or too many, no common days, other units on both sides, several
                target grids, or the method lacks a field that it needs.
        """
        if not pairs:
            raise ValueError(
                f"The baseline {self.name!r} needs a pair (coarse, fine) to learn from."
            )
        if self.source_bound and len(pairs) > 1:
            raise ValueError(
                f"The baseline {self.name!r} is bound to one source, but {len(pairs)} pairs were "
                "given; fit one for each source."
            )
        pairs = [on_common_times(*pair) for pair in pairs]
        validation = [on_common_times(*pair) for pair in validation]
        target = Predictands.of(pairs[0][1])
        for coarse, fine in pairs:
            target.check_units(coarse)
            target.check_grid(fine)
        # Only a fit that came through replaces what was learned before.
        previous, self._target = self._target, target
        self._scratch = scratch
        try:
            self._learn(pairs, statics, validation)
        except BaseException:
            self._target = previous
            raise
        return self

    def predict(self, coarse: xr.Dataset) -> xr.Dataset:
        """Downscale every day of a dataset, whose grid may differ from the one of the fit.

        Returns:
            The target's variables (time, target dimensions) as float32, with their attributes
            and the target grid's coordinates; values are within the bounds of their
            variables.

        Raises:
            ValueError: the method is not fitted, or a variable is missing.
        """
        parts = list(self.parts(coarse))
        return parts[0] if len(parts) == 1 else xr.concat(parts, "time", data_vars="minimal")

    def parts(self, coarse: xr.Dataset) -> Iterator[xr.Dataset]:
        """Downscale as `predict` does, and yield some days at a time as they are made.

        Memory does not grow with the number of days, if the method works day by day (`by_day`)
        and the dataset is not read yet.

        Raises:
            ValueError: as for `predict`.
        """
        if "time" not in coarse.dims:
            raise ValueError("The coarse data have no time dimension; add one, even of length 1.")
        days = coarse.sizes["time"]
        size = 4 * self.target.grid.size * len(self.target.attrs)
        most = max(1, self.part_bytes // size) if self.by_day else days
        fitted = self._for_days_of(coarse)
        for start in range(0, max(days, 1), max(most, 1)):
            part = coarse.isel(time=slice(start, start + most))
            yield self.target.dataset(fitted._downscale(part), part["time"])

    def _for_days_of(self, coarse: xr.Dataset) -> Self:
        """The method with what it takes from all days to downscale together, by default nothing."""
        return self

    def _empty(self, levels: int, first: FieldBlock) -> Any:
        """New array [levels, *target dimensions] for what is learned by blocks of cells.

        A large one lies in the scratch file, if there is one, as float32.

        Args:
            levels: number of values of a cell.
            first: of the blocks that it is filled by, as in `array[:, block.all_rows]`.
        """
        shape = (levels, *self.target.grid.shape)
        if self._scratch is None or 4 * math.prod(shape) <= LARGE_BYTES:
            return np.empty(shape)
        return self._scratch.array(shape, len(range(shape[1])[first.all_rows]))

    @property
    def target(self) -> Predictands:
        """The grid and the variables that the method was fitted to."""
        if self._target is None:
            raise ValueError(f"The baseline {self.name!r} is not fitted; call fit first.")
        return self._target

    @abstractmethod
    def _learn(
        self, pairs: Sequence[Pair], statics: xr.Dataset | None, validation: Sequence[Pair]
    ) -> None:
        """Learn from pairs on common days; `self.target` is set, `validation` may be empty."""

    @abstractmethod
    def _downscale(self, coarse: xr.Dataset) -> dict[str, np.ndarray]:
        """Return the values [T, N] of every target variable."""


BASELINES: Registry[type[Baseline]] = Registry("baseline")
Method = TypeVar("Method", bound=type[Baseline])


def register_baseline(method: Method) -> Method:
    """Class decorator that registers a baseline under its `name`.

    Raises:
        GraphdownError: the name is taken.
    """
    BASELINES.add(method.name, method)
    return method
