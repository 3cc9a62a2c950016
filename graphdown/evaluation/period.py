"""Period: predictions by several methods and the truth at the same times, in pairs by blocks."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
import xarray as xr

from graphdown.baselines.field_blocks import FieldBlock, check_field
from graphdown.evaluation.align import check_units, common_variables
from graphdown.evaluation.days import Days
from graphdown.evaluation.paired import Pair
from meshes.grids.grid import Grid


@dataclass(frozen=True, eq=False)
class Period:
    """Predictions by several methods and the truth, at the same times in ascending order.

    Attributes:
        truth: the truth.
        predictions: by method.
        grid: of all of them.
    """

    truth: xr.Dataset
    predictions: Mapping[str, xr.Dataset]
    grid: Grid

    @cached_property
    def days(self) -> Days:
        """The calendar of the times."""
        return Days.from_index(self.truth.indexes["time"])

    @property
    def length(self) -> int:
        """Number of times."""
        return self.truth.sizes["time"]

    def variables(self, method: str) -> list[str]:
        """Names of the variables that a method shares with the truth, whose fields match.

        Raises:
            ValueError: there is none, or one is on another grid or in other units.
        """
        prediction = self.predictions[method]
        names = common_variables(prediction, self.truth)
        for name in names:
            for side in (prediction, self.truth):
                check_field(side[name], self.grid)
            check_units(prediction[name], self.truth[name])
        return names

    def pairs(self, block: FieldBlock, names: Mapping[str, Sequence[str]]) -> "BlockPairs":
        """The pairs of a block, by the names of the variables of each method."""
        return BlockPairs(self, block, names)


class BlockPairs:
    """The pairs of a block of a period; the truth is read once for all methods.

    Args:
        period: whose fields these are.
        block: part of them.
        names: of the variables of each method.
    """

    def __init__(
        self, period: Period, block: FieldBlock, names: Mapping[str, Sequence[str]]
    ) -> None:
        self._period, self._block, self._names = period, block, names
        self._days = period.days if block.days is None else period.days.part(block.days)
        self._area = block.cells(period.grid.area, period.grid)
        self._area = self._area[block.cells(period.grid.mask, period.grid)]
        self._truths: dict[str, tuple[np.ndarray, dict[Any, Any]]] = {}

    def of(self, method: str) -> dict[str, Pair]:
        """The pairs of a method by variable."""
        grid, prediction = self._period.grid, self._period.predictions[method]
        whole = grid if self._block.rows is None else None
        pairs = {}
        for name in self._names[method]:
            truth, results = self._truth(name)
            values = self._block.read(prediction[name], grid)
            pair = Pair.of(name, values, truth, self._area, self._days, results)
            pairs[name] = replace(pair, grid=whole)
        return pairs

    def _truth(self, name: str) -> tuple[np.ndarray, dict[Any, Any]]:
        """Values of the truth, and where results that depend on them alone are kept."""
        if name not in self._truths:
            values = self._block.read(self._period.truth[name], self._period.grid)
            self._truths[name] = values, {}
        return self._truths[name]


def grid_of(truth: xr.Dataset) -> Grid:
    """Grid of the fields of a dataset that have times."""
    return Grid.from_dataset(truth[[n for n, v in truth.data_vars.items() if "time" in v.dims]])
