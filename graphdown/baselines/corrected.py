"""CorrectedBilinear: the common part of methods that correct interpolation cell by cell."""

from abc import abstractmethod
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass

import numpy as np
import xarray as xr

from graphdown.baselines.bilinear import Bilinear
from graphdown.baselines.field_blocks import FieldBlock, blocks_of_cells, blocks_of_days
from graphdown.baselines.paired_times import Pair
from graphdown.runtime.scratch import Scratch


@dataclass(frozen=True, eq=False)
class TrainingFields:
    """Interpolated and true fields of the days to learn from, read by blocks.

    Attributes:
        method: what interpolates.
        coarse, fine: datasets on the same days.
        scratch: beside which fields may lie by cells; None to hold all of them in memory for that.
    """

    method: Bilinear
    coarse: xr.Dataset
    fine: xr.Dataset
    scratch: Scratch | None

    @property
    def time(self) -> xr.DataArray:
        """Time stamps of all days."""
        return self.coarse["time"]

    def by_days(self, name: str) -> Iterator[tuple[xr.DataArray, np.ndarray, np.ndarray]]:
        """Yield time stamps, interpolated and true values [t, N] of a variable, some days each."""
        for block in self._days():
            coarse, fine = (block.of_days(ds) for ds in (self.coarse, self.fine))
            interpolated = self.method.interpolated(coarse, [name])[name]
            yield coarse["time"], interpolated, self.method.target.values(fine, name)

    def by_cells(self, name: str) -> Iterator[tuple[FieldBlock, np.ndarray, np.ndarray]]:
        """Yield interpolated and true values [T, n] of a variable, of some cells each."""
        target, days = self.method.target, self.time.size
        blocks = blocks_of_cells(target.grid, days, 2)
        if len(blocks) == 1 or self.scratch is None:
            ((_, interpolated, truth),) = _joined(self.by_days(name))
            yield FieldBlock(), interpolated, truth
            return
        with ExitStack() as stack:
            scratch = stack.enter_context(self.scratch.beside())
            kept = scratch.keep(self._fields(name), days)
            for block in blocks:
                yield (
                    block,
                    block.values(kept["interpolated"], target.grid),
                    block.values(kept["truth"], target.grid),
                )

    def _fields(self, name: str) -> Iterator[xr.Dataset]:
        """Both fields of a variable as datasets of some days each."""
        grid = self.method.target.grid
        for time, interpolated, truth in self.by_days(name):
            sides = {"interpolated": interpolated, "truth": truth}
            coords = {"time": time.variable}
            yield xr.Dataset(
                {side: grid.dataarray(v, side, ("time",), coords) for side, v in sides.items()}
            )

    def _days(self) -> list[FieldBlock]:
        return blocks_of_days(self.method.target.grid, self.time.size, 2)


def _joined(
    parts: Iterator[tuple[xr.DataArray, np.ndarray, np.ndarray]],
) -> list[tuple[xr.DataArray, np.ndarray, np.ndarray]]:
    """Parts of `by_days` as one."""
    every = list(parts)
    if len(every) == 1:
        return every
    times, *sides = zip(*every, strict=True)
    interpolated, truth = (np.concatenate(side) for side in sides)
    return [(xr.concat(list(times), "time"), interpolated, truth)]


class CorrectedBilinear(Bilinear):
    """Bilinear, then a correction of each cell that is learned from one source."""

    source_bound = True

    def _learn(
        self, pairs: Sequence[Pair], statics: xr.Dataset | None, validation: Sequence[Pair]
    ) -> None:
        super()._learn(pairs, statics, validation)
        ((coarse, fine),) = pairs
        interpolate = Bilinear._for_days_of(self, coarse)
        self._learn_correction(TrainingFields(interpolate, coarse, fine, self._scratch))

    def _downscale(self, coarse: xr.Dataset) -> dict[str, np.ndarray]:
        return {
            name: self._corrected(name, values, coarse["time"])
            for name, values in self.interpolated(coarse).items()
        }

    @abstractmethod
    def _learn_correction(self, fields: TrainingFields) -> None:
        """Learn from interpolated and true fields."""

    @abstractmethod
    def _corrected(self, name: str, values: np.ndarray, time: xr.DataArray) -> np.ndarray:
        """Return interpolated values [T, N] of a variable, corrected."""
