"""TrainingTable: the predictors of the days to learn from, in memory or in a scratch file."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import xarray as xr

from graphdown.baselines.predictors import Predictors
from graphdown.runtime.scratch import Scratch

BLOCK_BYTES = 64 * 2**20  # of the table, as float64
IN_MEMORY_BYTES = 2 * BLOCK_BYTES


class TrainingTable:
    """Standardised predictors [T, P] of the days of a dataset, read by days or by columns.

    Args:
        predictors: the columns.
        coarse: the days.
        scratch: where a large table may lie, as float32.

    Attributes:
        complete: whether no predictor of a day is missing [T].
    """

    def __init__(self, predictors: Predictors, coarse: xr.Dataset, scratch: Scratch | None) -> None:
        shape = coarse.sizes["time"], predictors.size
        row = 8 * shape[0]
        self.columns_at_once = max(1, BLOCK_BYTES // row)
        self._values: Any = np.empty(shape)
        if scratch is not None and row * shape[1] > IN_MEMORY_BYTES:
            self._values = scratch.array(shape, self.columns_at_once)
        self.complete = np.zeros(shape[0], bool)
        start = 0
        for part in predictors.parts(coarse):
            table = predictors.table(part)
            days = slice(start, start + len(table))
            self._values[days, :] = table
            self.complete[days] = np.isfinite(table).all(axis=1)
            start = days.stop

    @property
    def columns(self) -> int:
        """Number of columns P."""
        return int(self._values.shape[1])

    def by_days(self, days: np.ndarray) -> Iterator[np.ndarray]:
        """Yield the rows [t, P] of some days, by their ascending numbers."""
        at_once = max(1, BLOCK_BYTES // (8 * self.columns))
        for start in range(0, len(days), at_once):
            yield self._values[days[start : start + at_once], :].astype(np.float64, copy=False)

    def by_columns(self, days: np.ndarray) -> Iterator[tuple[slice, np.ndarray]]:
        """Yield some columns and their values [t, p] on some days."""
        for start in range(0, self.columns, self.columns_at_once):
            part = slice(start, min(start + self.columns_at_once, self.columns))
            yield part, self._values[days, part].astype(np.float64, copy=False)
