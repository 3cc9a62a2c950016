"""Case: predictions by several methods for one source and period; scores of many cases."""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
import xarray as xr

from graphdown.baselines.field_blocks import blocks_of_days
from graphdown.evaluation.compared import Compared
from graphdown.evaluation.days_shown import ShownDay, days_to_show
from graphdown.evaluation.evaluate import evaluate_methods
from graphdown.evaluation.measures import MEASURES
from graphdown.evaluation.period import Period, grid_of
from graphdown.evaluation.reduce import area_mean
from meshes.grids.grid import Grid

if TYPE_CHECKING:
    import pandas as pd

COLUMNS = ["case", "seen", "method", "variable", "measure", "value", "units"]


@dataclass(frozen=True, eq=False)
class Case:
    """Predictions by several methods from one coarse input.

    Attributes:
        name: name of the source grid or period, as tables show it.
        seen: whether the methods were trained on this source grid.
        coarse: the input on its own grid.
        truth: the target of the same days.
        predictions: dataset on the truth's grid by method.
        reference: (predictions by method, truth) of a historical period for the signal measures.
        maps: names of the maps that evaluations keep, without "_map"; None for all.

    Raises:
        ValueError: no prediction, or a method without its historical prediction.
    """

    name: str
    seen: bool
    coarse: xr.Dataset
    truth: xr.Dataset
    predictions: dict[str, xr.Dataset]
    reference: tuple[dict[str, xr.Dataset], xr.Dataset] | None = None
    maps: tuple[str, ...] | None = None

    def __post_init__(self) -> None:
        if not self.predictions:
            raise ValueError(f"The case {self.name!r} holds no prediction; give at least one.")
        if self.reference is not None:
            absent = [m for m in self.predictions if m not in self.reference[0]]
            if absent:
                raise ValueError(
                    f"The case {self.name!r} lacks the historical prediction of {absent}; add it "
                    "to the reference or leave the reference out."
                )

    @cached_property
    def compared(self) -> Compared:
        """Predictions and truth at the values that all of them have."""
        return Compared.of(self.predictions, self.truth)

    @cached_property
    def evaluations(self) -> dict[str, xr.Dataset]:
        """The result of `evaluate` by method on the values that all have, computed once."""
        compared, before = self.compared, self._before()
        grid = grid_of(self.truth)
        now = Period(compared.truth, compared.predictions, grid)
        past = None if before is None else Period(before.truth, before.predictions, grid)
        results = {}
        for method, scores in evaluate_methods(now, past, self.maps).items():
            lacking = [compared.lacking[method][v] for v in scores["variable"].values]
            results[method] = scores.assign(lacking=scores["lacking"].copy(data=lacking))
        return results

    @cached_property
    def variables(self) -> list[str]:
        """The variables that were scored for every method."""
        scored = [set(map(str, result["variable"].values)) for result in self.evaluations.values()]
        return [str(v) for v in self.truth.data_vars if all(v in names for names in scored)]

    @cached_property
    def grid(self) -> Grid:
        """The target grid."""
        return Grid.from_dataset(self.truth[self.variables])

    @cached_property
    def shown(self) -> list[ShownDay]:
        """The days that a report shows, with their fields."""
        truth = self.compared.truth
        days = days_to_show({v: self._daily_means(truth[v]) for v in self.variables})
        return [self._shown(name, index, variables) for name, index, variables in days]

    def settle(self) -> None:
        """Compute all that scores and a report need, so that predictions may be deleted."""
        _ = self.evaluations, self.shown

    def _daily_means(self, field: xr.DataArray) -> np.ndarray:
        """Area mean of each day [T]."""
        area = self.grid.area[self.grid.mask]
        blocks = blocks_of_days(self.grid, field.sizes["time"], 1)
        return np.concatenate([area_mean(block.read(field, self.grid), area) for block in blocks])

    def _shown(self, name: str, index: int, variables: list[str]) -> ShownDay:
        compared = self.compared
        truth, *predictions = (
            {v: self.grid.values(ds[v].isel(time=index)) for v in variables}
            for ds in (compared.truth, *compared.predictions.values())
        )
        time = compared.truth["time"].values[index]
        methods = dict(zip(compared.predictions, predictions, strict=True))
        return ShownDay(name, time, variables, truth, methods)

    def _before(self) -> Compared | None:
        """The same of the historical period, None without one."""
        if self.reference is None:
            return None
        predictions, truth = self.reference
        return Compared.of({m: predictions[m] for m in self.predictions}, truth)


def score_cases(cases: Iterable[Case]) -> "pd.DataFrame":
    """Return all scores as a tidy table.

    Returns:
        One row per case, method, variable and measure, in that order, with the columns case,
        seen, method, variable, measure, value, units; measures that do not apply are left out.

    Raises:
        ValueError: two cases of one name, or datasets that `evaluate` refuses.
    """
    import pandas as pd

    cases = list(cases)
    names = [case.name for case in cases]
    twice = {name for name in names if names.count(name) > 1}
    if twice:
        raise ValueError(f"Several cases are named {sorted(twice)[0]!r}; give each its own name.")
    return pd.DataFrame([row for case in cases for row in _rows(case)], columns=COLUMNS)


def _rows(case: Case) -> list[tuple[object, ...]]:
    return [
        (case.name, case.seen, method, variable, name, value, measure.units_for(variable, units))
        for method, scores in case.evaluations.items()
        for variable, units in zip(scores["variable"].values, scores["units"].values, strict=True)
        for name, measure in MEASURES.items()
        if name in scores and np.isfinite(value := float(scores[name].sel(variable=variable)))
    ]


def best_methods(values: "pd.Series[float]", measure_name: str) -> list[str]:
    """Return the methods whose value is closest to a perfect one; several where they are equal.

    Args:
        values: value by method.
        measure_name: one of `graphdown.evaluation.MEASURES`.
    """
    distance = values.map(MEASURES[measure_name].distance).dropna()
    return [str(m) for m in distance.index[distance == distance.min()]]


def mean_rank(scores: "pd.DataFrame", methods: list[str], measure_name: str) -> "pd.Series":
    """Return each method's mean rank in a measure over all cases and variables, best first."""
    rows = scores[(scores["measure"] == measure_name) & scores["method"].isin(methods)]
    distance = rows["value"].map(MEASURES[measure_name].distance)
    rank = distance.groupby([rows["case"], rows["variable"]]).rank()
    return rank.groupby(rows["method"]).mean().reindex(methods).sort_values(kind="stable")
