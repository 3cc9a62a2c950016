"""Tally: the measures of one variable, collected by blocks of cells and of days."""

from collections.abc import Collection
from typing import Any

import numpy as np

from graphdown.evaluation.distribution import QQ_LEVELS
from graphdown.evaluation.measures import MEASURES, Measure, MeasureFunction
from graphdown.evaluation.paired import Pair
from graphdown.evaluation.quantiles import quantiles
from graphdown.evaluation.reduce import AreaMean
from graphdown.evaluation.signal import CHANGES

JOINED = {"cells": -1, "days": 0}  # along which axis


class Tally:
    """The measures of one variable, collected by blocks of cells and of days.

    Args:
        kept: names of the maps to keep; None for all.
    """

    def __init__(self, kept: Collection[str] | None) -> None:
        self._kept = kept
        self._parts: dict[MeasureFunction, list[Any]] = {}
        self._means: dict[str, AreaMean] = {}
        self._quantiles = {"qq_prediction": AreaMean(), "qq_truth": AreaMean()}

    def add(self, pair: Pair, over: str) -> None:
        """Add what the measures that take such a block find in a pair.

        Args:
            pair: of the block.
            over: as in `Measure`.
        """
        if over == "cells":
            ordered = pair.sorted_prediction, pair.sorted_truth
            for mean, side in zip(self._quantiles.values(), ordered, strict=True):
                mean.add(quantiles(side, QQ_LEVELS), pair.area)
        scores: dict[MeasureFunction, Any] = {}
        joined = set()
        for name, measure in MEASURES.items():
            if measure.over != over:
                continue
            if measure.function not in scores:
                scores[measure.function] = measure.function(pair)
            score = scores[measure.function]
            if over == "cells" and score is not None and not np.ndim(score):
                raise ValueError(
                    f"The measure {name!r} is registered with by_cell but returned a number; "
                    "return a map, or register it without."
                )
            if score is not None and self._keeps(measure):
                joined.add(measure.function)
            elif score is not None:
                sizes = np.abs(score) if measure.absolute else score
                self._means.setdefault(name, AreaMean()).add(sizes, pair.area)
        for function in joined:
            self._parts.setdefault(function, []).append(scores[function])

    def _keeps(self, measure: Measure) -> bool:
        """Whether what the measure finds in each block is kept, not only its area mean."""
        every = self._kept is None or measure.name in self._kept
        return every or measure.total is not None or measure.over != "cells"

    def values(self, area: np.ndarray) -> dict[str, float]:
        """Return the value of each measure that applies, in the order of the registry.

        Args:
            area: of all cells [N].
        """
        values = {}
        for name, measure in MEASURES.items():
            if name in self._means:
                values[name] = float(self._means[name].mean)
            elif (score := self._joined(measure)) is not None:
                values[name] = measure.value(score, area)
        return values

    def maps(self) -> dict[str, np.ndarray]:
        """Return the maps [N] that are kept, by name; those of changes by index and side."""
        maps = {}
        for name, measure in MEASURES.items():
            if measure.total is None and name not in self._means:
                score = self._joined(measure)
                if score is not None and np.ndim(score):
                    maps[name] = np.asarray(score)
        for index, function in CHANGES.items():
            for place, side in enumerate(("prediction", "truth")):
                name = f"{index}_{side}"
                if function in self._parts and (self._kept is None or name in self._kept):
                    maps[name] = np.concatenate(self._parts[function], axis=-1)[place]
        return maps

    def curves(self) -> dict[str, np.ndarray]:
        """Return the area means of each cell's quantiles by side."""
        return {name: mean.mean for name, mean in self._quantiles.items()}

    def found(self, name: str) -> Any:
        """Return what the function of a measure found in all blocks; None where it is not for."""
        return self._joined(MEASURES[name])

    def _joined(self, measure: Measure) -> Any:
        parts = self._parts.get(measure.function)
        if parts is None or measure.over == "whole":
            return parts and parts[0]
        return np.concatenate(parts, axis=JOINED[measure.over])
