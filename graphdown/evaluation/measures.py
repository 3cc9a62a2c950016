"""Measure: one number that scores a prediction of one variable, and the registry of them."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np

from graphdown.evaluation.paired import Pair
from graphdown.evaluation.reduce import area_mean
from graphdown.runtime.registry import Registry
from graphdown.variables.catalogue import describe

Score = np.ndarray | float | None
MeasureFunction = Callable[[Pair], Score]
Total = Callable[[np.ndarray, np.ndarray], float]

VARIABLE = "of the variable"
SIGNAL = "of the variable; % for precipitation"


@dataclass(frozen=True)
class Measure:
    """One number that scores a prediction of one variable.

    Attributes:
        name: name in datasets and tables.
        label: short heading for people.
        group: group of the protocol's table.
        units: units, or VARIABLE or SIGNAL.
        perfect: value of a perfect prediction; None for a fact that does not score.
        definition: one phrase.
        function: of a pair: a map [N] over the grid's used cells, whose area mean is the value; a
            number; or None for a variable that the measure is not for.
        absolute: whether the value is the area mean of the map without its signs.
        over: the pairs that the function takes: the "whole" one, in memory; or blocks of "cells",
            if what it returns for a cell [..., N] depends on that cell alone; or blocks of "days",
            of whose fields it returns rows [n, ...], one for each day or for all of them.
        total: the value, of what the function returned for all blocks, cells side by side and rows
            one below the other, and of the areas of the cells [N]; None for a map whose area mean
            is the value.
    """

    name: str
    label: str
    group: str
    units: str
    perfect: float | None
    definition: str
    function: MeasureFunction
    absolute: bool = False
    over: Literal["whole", "cells", "days"] = "whole"
    total: Total | None = None

    @property
    def fixed_units(self) -> str | None:
        """Units that hold for every variable, None where they follow the variable."""
        return None if self.units in (VARIABLE, SIGNAL) else self.units

    def units_for(self, variable: str, variable_units: str) -> str:
        """Return the units for a variable whose units are `variable_units`."""
        if self.units == SIGNAL:
            return "%" if describe(variable).is_precipitation else variable_units
        return variable_units if self.units == VARIABLE else self.units

    def distance(self, value: float) -> float:
        """Return the distance of a value from the perfect one; smaller is better."""
        return float("nan") if self.perfect is None else abs(value - self.perfect)

    def value(self, score: np.ndarray | float, area: np.ndarray) -> float:
        """Return the value of a score that the function returned for all days and cells.

        Args:
            score: a map [N], a number, or what `total` takes.
            area: of the cells [N].
        """
        if self.total is not None:
            return self.total(np.asarray(score), area)
        if np.ndim(score) == 0:
            return float(score)
        return float(area_mean(np.abs(score) if self.absolute else np.asarray(score), area))


MEASURES: Registry[Measure] = Registry("measure")


def register_measure(
    name: str,
    label: str,
    units: str,
    perfect: float | None,
    definition: str,
    group: str = "further measures",
    absolute: bool = False,
    by_cell: bool = False,
) -> Callable[[MeasureFunction], MeasureFunction]:
    """Decorator that registers a function of a `Pair` as a measure.

    The function returns a map [N] over the used cells, whose area mean is the value; a number; or
    None for a variable that the measure is not for.

    Args:
        name: in datasets and tables.
        label: short heading for people.
        units: units, or VARIABLE for those of the variable.
        perfect: value of a perfect prediction; None for a fact that does not score.
        definition: one phrase.
        group: heading of its table in the report.
        absolute: whether the value is the area mean of the map without its signs.
        by_cell: whether the map at a cell depends on that cell's values alone, so that the measure
            is computed for a block of cells at a time; else it needs all values in memory.

    Raises:
        GraphdownError: the name is taken.
    """
    texts = name, label, group, units, perfect, definition
    over: Literal["cells", "whole"] = "cells" if by_cell else "whole"
    return MEASURES.register(name, lambda function: Measure(*texts, function, absolute, over))
