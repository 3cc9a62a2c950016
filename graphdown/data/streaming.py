"""The predictors of a source in passes over its days, a few of them in memory at a time."""

from collections import Counter
from collections.abc import Generator, Sequence
from contextlib import closing
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import xarray as xr

from graphdown.data.holders import read
from graphdown.data.reading.fields import field_values
from graphdown.data.reading.horizontal import ever_present, grid_where_present
from graphdown.data.reading.missing import (
    check_complete,
    nearest_used,
    note_filled,
    with_ground_filled,
)
from graphdown.data.reading.rules import Notes
from graphdown.runtime.parts import parts_of
from graphdown.runtime.prefetch import prefetched
from meshes import Grid

PART_BYTES = 4 * 2**20  # of a part, as far as the files' own chunks allow
AHEAD = 2  # parts that wait or are being read


@dataclass(frozen=True, eq=False)
class NodeValues:
    """Values of the nodes of a source that a network reads, from days of its predictors.

    Attributes:
        predictors: names of all; those that a dataset lacks are NaN.
        grid: of the source; masked nodes take the nearest used one's values.
        nodes: numbers of those that are read [n].
    """

    predictors: tuple[str, ...]
    grid: Grid
    nodes: np.ndarray

    @cached_property
    def _taken(self) -> np.ndarray:
        return self.nodes if self.grid.mask.all() else nearest_used(self.grid)[self.nodes]

    def __call__(self, values: np.ndarray, names: Sequence[str]) -> np.ndarray:
        """Values [days, n, variable] from those of all nodes [days, Ns, named variable]."""
        present = values[:, self._taken]
        if len(names) == len(self.predictors):
            return present
        every = np.full((*present.shape[:2], len(self.predictors)), np.nan, np.float32)
        every[..., [self.predictors.index(name) for name in names]] = present
        return every


class SourceDays:
    """The predictors of a source, as `graphdown.data.load.source_arrays` has them, by parts.

    A first pass, on creation, finds the points without values and those that are filled.

    Args:
        ds: the predictors [time, *horizontal], preferably not read yet.
        predictors: their names; those that the dataset lacks are NaN.
        where: for messages.
        notes: collects what was filled below ground.

    Attributes:
        grid: its grid; points at which a predictor never has a value are masked.

    Raises:
        DataError: values are missing at other points, or a file cannot be read.
    """

    def __init__(
        self, ds: xr.Dataset, predictors: tuple[str, ...], where: str, notes: Notes
    ) -> None:
        self._names = tuple(name for name in predictors if name in ds)
        self._predictors = predictors
        self._ds, self._where = ds[list(self._names)], where
        there: dict[str, xr.DataArray] = {}
        missing: dict[str, xr.DataArray] = {}
        filled: Counter[str] = Counter()
        with closing(
            prefetched(self._read, parts_of(self._ds, PART_BYTES), AHEAD, threads=1)
        ) as parts:
            for part, counts in parts:
                filled.update(counts)
                for name in self._names:
                    seen, lost = ever_present(part[name]), part[name].isnull().sum("time")
                    there[name] = there[name] | seen if name in there else seen
                    missing[name] = missing[name] + lost if name in missing else lost
        note_filled({name: filled[name] for name in self._names if name in filled}, where, notes)
        self.grid = grid_where_present(ds, there, where)
        if any((self.grid.values(lost) > 0)[self.grid.mask].any() for lost in missing.values()):
            values = (self._values(part) for part in parts_of(self._ds, PART_BYTES))
            check_complete(values, self.grid, self._names, where)

    def passed(self, nodes: np.ndarray) -> Generator[np.ndarray, None, None]:
        """Yield the values [days, n, variable] of nodes [n] while the next days are read.

        Masked nodes take the nearest used one's values.
        """
        of_nodes = NodeValues(self._predictors, self.grid, nodes)

        def values(part: xr.Dataset) -> np.ndarray:
            return of_nodes(self._values(part), self._names)

        yield from prefetched(values, parts_of(self._ds, PART_BYTES), AHEAD, threads=1)

    def _read(self, part: xr.Dataset) -> tuple[xr.Dataset, dict[str, int]]:
        return with_ground_filled(read(part, self._where), self._names, self._where)

    def _values(self, part: xr.Dataset) -> np.ndarray:
        return field_values(self._read(part)[0], self._names, self.grid)
