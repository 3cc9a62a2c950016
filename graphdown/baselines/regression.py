"""Regression of the cells of a target grid, cells that lack days included."""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
import xarray as xr

from graphdown.baselines.factors import Factors
from graphdown.baselines.field_blocks import FieldBlock, blocks_of_cells
from graphdown.baselines.predictands import Predictands
from graphdown.baselines.predictors import Predictors
from graphdown.baselines.training_table import TrainingTable
from graphdown.runtime.scratch import Scratch
from graphdown.variables.constraints import within_bounds

Empty = Callable[[int, FieldBlock], Any]  # see `Baseline._empty`


class CellGroup(NamedTuple):
    """Cells of a block that have the same days: their numbers in the block, days and values."""

    key: bytes
    cells: np.ndarray
    days: np.ndarray
    values: np.ndarray


@dataclass(eq=False)
class FittedLines:
    """Fitted lines of the cells of one variable.

    Attributes:
        size: number of cells N.
        blocks: of the cells.
        factored: factors of the predictors with the coefficients in them, the constants as the
            last, as arrays [K + 1, *target dimensions]; NaN for cells with other days.
        cells, slopes, constants: of cells whose days few others have, with coefficients in all
            predictors [P, n].
    """

    size: int
    blocks: Sequence[FieldBlock]
    factored: dict[bytes, tuple[Factors, Any]] = field(default_factory=dict)
    cells: list[np.ndarray] = field(default_factory=list)
    slopes: list[np.ndarray] = field(default_factory=list)
    constants: list[np.ndarray] = field(default_factory=list)

    def values(self, table: np.ndarray) -> np.ndarray:
        """Values [T, N] for a table of predictors [T, P], NaN for cells without days."""
        made = np.full((len(table), self.size), np.nan)
        for factors, coefficients in self.factored.values():
            rotated = factors.rotate(table)
            start = 0
            for block in self.blocks:
                lines = coefficients[:, block.all_rows].reshape(coefficients.shape[0], -1)
                there = np.flatnonzero(np.isfinite(lines[-1]))
                slopes, constants = lines[:-1, there], lines[-1, there]
                made[:, start + there] = rotated.astype(lines.dtype) @ slopes + constants
                start += lines.shape[1]
        if self.cells:
            few = np.concatenate(self.cells)
            slopes, constants = (
                np.concatenate(part, axis=-1) for part in (self.slopes, self.constants)
            )
            made[:, few] = table @ slopes + constants
        return made


class Regression:
    """Every cell of every target variable on the same predictors, open to any penalty.

    Cells with the same days share one decomposition, so that there is one in all where nothing
    is missing. The target is read by blocks of cells.

    Args:
        coarse, fine: canonical datasets on the same days.
        target: the grid and the variables to predict.
        logarithm: whether precipitation and its like enter the predictors as logarithms.
        scratch: where large decompositions may lie as long as the regression is used.
        temporary: where a large table of predictors may lie meanwhile.
    """

    def __init__(
        self,
        coarse: xr.Dataset,
        fine: xr.Dataset,
        target: Predictands,
        logarithm: bool,
        scratch: Scratch | None = None,
        temporary: Scratch | None = None,
    ) -> None:
        self.predictors = Predictors(coarse, logarithm, target.grid)
        self._fine, self._target = fine, target
        self._scratch, self._temporary = scratch, temporary
        self._table = TrainingTable(self.predictors, coarse, temporary)
        self._blocks = blocks_of_cells(target.grid, coarse.sizes["time"], 2)
        self._factors: dict[bytes, Factors] = {}

    def best_penalties(
        self, coarse: xr.Dataset, fine: xr.Dataset, penalties: Sequence[float]
    ) -> dict[str, tuple[float, float]]:
        """Return, per variable, the least mean square error on other days and its penalty.

        Raises:
            ValueError: a variable has no value on those days.
        """
        judged = TrainingTable(self.predictors, coarse, self._temporary)
        best = {}
        for name in self._target.attrs:
            errors = self._squared_errors(name, judged, fine, penalties)
            if not np.isfinite(errors).all():
                raise ValueError(
                    f"No penalty can be chosen for {name!r}: on the days of validation no cell has "
                    "both predictors and a value; choose other days."
                )
            best[name] = float(errors.min()), penalties[int(np.argmin(errors))]
        return best

    def _squared_errors(
        self, name: str, judged: TrainingTable, fine: xr.Dataset, penalties: Sequence[float]
    ) -> np.ndarray:
        complete = np.flatnonzero(judged.complete)
        rotated: dict[bytes, np.ndarray] = {}
        total, count = np.zeros(len(penalties)), 0
        for block in self._blocks:
            truth = block.values(fine[name], self._target.grid)[complete]
            for group in self._groups(name, block):
                factors = self._factors_of(group)
                if group.key not in rotated:
                    parts = [factors.rotate(part) for part in judged.by_days(complete)]
                    rotated[group.key] = np.concatenate([factors.left[:0], *parts])
                mean, projection = factors.projected(group.values)
                expected = truth[:, group.cells]
                count += int(np.isfinite(expected).sum())
                table = rotated[group.key].astype(np.float32)
                for k, penalty in enumerate(penalties):
                    lines = factors.shrunk(projection, penalty).astype(np.float32)
                    error = within_bounds(name, mean + table @ lines) - expected
                    total[k] += np.nansum(np.square(error), dtype=np.float64)
        return total / count if count else np.full(len(penalties), np.nan)

    def lines(self, name: str, penalty: float, empty: Empty) -> FittedLines:
        """Return the lines of a variable.

        Args:
            name: the variable.
            penalty: of the coefficients.
            empty: makes arrays for coefficients.
        """
        lines = FittedLines(self._target.grid.size, self._blocks)
        for key, factors in self._shared(name).items():
            lines.factored[key] = factors, empty(len(factors.squares) + 1, self._blocks[0])
        start = 0
        for block in self._blocks:
            size = block.cells(self._target.grid.mask, self._target.grid).size
            shared = {
                key: np.full((coefficients.shape[0], size), np.nan)
                for key, (_, coefficients) in lines.factored.items()
            }
            for group in self._groups(name, block):
                factors = self._factors_of(group)
                mean, projection = factors.projected(group.values)
                coefficients = factors.shrunk(projection, penalty)
                if group.key in shared:
                    shared[group.key][:-1, group.cells] = coefficients
                    shared[group.key][-1, group.cells] = mean
                    continue
                slopes = factors.slopes(coefficients)
                lines.cells.append(start + group.cells)
                lines.slopes.append(slopes)
                lines.constants.append(mean - factors.mean @ slopes)
            for key, values in shared.items():
                array = lines.factored[key][1]
                array[:, block.all_rows] = values.reshape(len(values), -1, *array.shape[2:])
            start += size
        return lines

    def _shared(self, name: str) -> dict[bytes, Factors]:
        """Factors of the days that most cells have, and of others that many cells have."""
        cells: Counter[bytes] = Counter()
        factors: dict[bytes, Factors] = {}
        for block in self._blocks:
            for group in self._groups(name, block):
                cells[group.key] += len(group.cells)
                factors[group.key] = self._factors_of(group)
        most = max(cells.values(), default=0)
        many = [k for k, n in cells.items() if n == most or n >= len(factors[k].squares)]
        return {key: factors[key] for key in many}

    def _groups(self, name: str, block: FieldBlock) -> Iterator[CellGroup]:
        """Cells of a block by the days on which they and all predictors have a value."""
        values = block.values(self._fine[name], self._target.grid)
        present = np.isfinite(values) & self._table.complete[:, None]
        groups: dict[bytes, list[int]] = defaultdict(list)
        for cell, days in enumerate(np.packbits(present, axis=0).T):
            groups[days.tobytes()].append(cell)
        for key, cells in groups.items():
            days = np.flatnonzero(present[:, cells[0]])
            if days.size:
                yield CellGroup(key, np.array(cells), days, values[np.ix_(days, np.array(cells))])

    def _factors_of(self, group: CellGroup) -> Factors:
        if group.key not in self._factors:
            self._factors[group.key] = Factors.of(self._table, group.days, self._scratch)
        return self._factors[group.key]
