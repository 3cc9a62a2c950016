"""What the runs of a study say together: scores, generalisation gaps, gains and forgetting.

Scores are compared by how far they are from perfect. A gap is the score on a source that was not
learned from minus the mean of those that were. Intervals hold what the days and the seeds leave
open: days are resampled in each run (`graphdown.evaluation.bootstrap`), and in each draw as many
seeds as there are, with replacement. Draws of one source are paired between runs, those of
different sources are independent.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr

from graphdown.evaluation.bootstrap import interval
from graphdown.evaluation.measures import MEASURES
from graphdown.runtime.random_streams import RandomStream
from graphdown.transfer.plan import Cell, Task
from graphdown.transfer.study_run import DRAWS

if TYPE_CHECKING:
    import pandas as pd

NO_GAP = dict.fromkeys(("gap", "gap_spread", "gap_low", "gap_high"), np.nan)
NO_DIFFERENCE = {name.replace("gap", "difference"): np.nan for name in NO_GAP}


@dataclass(frozen=True, eq=False)
class Values:
    """A measure by seed.

    Attributes:
        by_seed: on the days as they are [seeds].
        draws: on resampled days [seeds, draws]; None for a measure that is not resampled.
    """

    by_seed: np.ndarray
    draws: np.ndarray | None

    def __sub__(self, other: "Values") -> "Values":
        """Return the difference seed by seed, or to the only seed, and draw by draw."""
        both = self.draws is not None and other.draws is not None
        draws = self.draws - other.draws if both else None  # type: ignore[operator]
        return Values(self.by_seed - other.by_seed, draws)

    @classmethod
    def mean_of(cls, parts: Sequence["Values"]) -> "Values":
        """Return the mean of several, seed by seed and draw by draw."""
        drawn = [part.draws for part in parts if part.draws is not None]
        draws = np.mean(drawn, axis=0) if len(drawn) == len(parts) else None
        return cls(np.mean([part.by_seed for part in parts], axis=0), draws)

    @property
    def mean(self) -> float:
        """Mean over the seeds."""
        return float(self.by_seed.mean())

    def columns(self, name: str = "value") -> dict[str, float]:
        """Return mean, standard deviation over the seeds and 95 % interval as a table's columns."""
        seeds = len(self.by_seed)
        spread = float(self.by_seed.std(ddof=1)) if seeds > 1 else np.nan
        low, high = np.nan, np.nan
        if self.draws is not None:
            chosen = np.random.default_rng(RandomStream.STUDY_SEEDS).integers(
                seeds, size=(seeds, self.draws.shape[1])
            )
            drawn = np.take_along_axis(self.draws, chosen, axis=0).mean(axis=0)
            low, high = interval(self.mean, drawn)
        prefix = "" if name == "value" else f"{name}_"
        return {
            name: self.mean,
            f"{prefix}spread": spread,
            f"{prefix}low": low,
            f"{prefix}high": high,
        }


@dataclass(frozen=True, eq=False)
class Scored:
    """The scores of a task's runs.

    Attributes:
        sources: names.
        units: by variable.
        arrays: by measure [seeds, source, variable]; resampled ones, with `DRAWS` at the end of
            their names, [seeds, source, variable, draw].
    """

    sources: tuple[str, ...]
    units: dict[str, str]
    arrays: dict[str, np.ndarray]

    @classmethod
    def of(cls, runs: Sequence[xr.Dataset]) -> "Scored":
        """Return the scores of one dataset for each seed, see `graphdown.transfer.study_run`."""
        first = runs[0]
        names = [str(n) for n in first if str(n).removesuffix(DRAWS) in MEASURES]
        dims = ("source", "variable", ...)
        variables = map(str, first["variable"].values)
        return cls(
            tuple(map(str, first["source"].values)),
            dict(zip(variables, map(str, first["units"].values), strict=True)),
            {n: np.stack([run[n].transpose(*dims).values for run in runs]) for n in names},
        )

    @property
    def seeds(self) -> int:
        """Number of runs."""
        return len(next(iter(self.arrays.values())))

    def values(self, source: str, variable: str, measure: str, distance: bool = False) -> "Values":
        """Return a measure on a source, or its distance from the perfect value."""
        place = self.sources.index(source), [*self.units].index(variable)
        perfect = MEASURES[measure].perfect

        def taken(name: str) -> np.ndarray | None:
            if name not in self.arrays:
                return None
            own = self.arrays[name][:, *place]
            return np.abs(own - perfect) if distance and perfect is not None else own

        by_seed = taken(measure)
        assert by_seed is not None
        return Values(by_seed, taken(f"{measure}{DRAWS}"))

    def mean(self, sources: Sequence[str], variable: str, measure: str) -> "Values":
        """Return the mean distance from perfect over sources."""
        return Values.mean_of([self.values(s, variable, measure, distance=True) for s in sources])

    def measured(self, scoring: bool = False) -> Iterable[tuple[str, str, str]]:
        """Yield each variable and measure that it has, with its units.

        Args:
            scoring: leave out what has no perfect value.
        """
        for place, (variable, units) in enumerate(self.units.items()):
            for name, own in MEASURES.items():
                there = name in self.arrays and np.isfinite(self.arrays[name][0, :, place]).any()
                if there and not (scoring and own.perfect is None):
                    yield variable, name, own.units_for(variable, units)


Results = Mapping[Task, Scored]


def _columns(cell: Cell) -> dict[str, Any]:
    return {
        "block": cell.block,
        "strategy": cell.strategy,
        "train": " + ".join(cell.train),
        "tune": " + ".join(cell.task.tune),
        "years": np.nan if cell.years is None else float(cell.years),
    }


def score_table(cells: Sequence[Cell], results: Results) -> "pd.DataFrame":
    """Return a row for each cell, applied source, variable and measure.

    Columns: block, strategy, train, tune, years, source, seen (whether it was learned from, in
    training or fine-tuning), variable, measure, units, seeds, value (mean over the seeds), spread
    (their standard deviation), low and high (95 %).
    """
    import pandas as pd

    rows = []
    for cell in cells:
        runs = results[cell.task]
        for source in cell.apply:
            seen = source in cell.learned
            for variable, measure, units in runs.measured():
                values = runs.values(source, variable, measure)
                about = {"variable": variable, "measure": measure, "units": units}
                where = {"source": source, "seen": seen, **about, "seeds": runs.seeds}
                rows.append({**_columns(cell), **where, **values.columns()})
    return pd.DataFrame(rows)


def gap_table(cells: Sequence[Cell], results: Results) -> "pd.DataFrame":
    """Return the generalisation gap of each cell to each source that it did not learn from.

    Columns as in `score_table`; value is the gap. Cells of so many years stand in
    `adaptation_table`.
    """
    import pandas as pd

    rows = []
    for cell in (c for c in cells if c.years is None):
        runs = results[cell.task]
        seen = cell.groups["learned"]
        for source in cell.unseen if seen else ():
            for variable, measure, units in runs.measured(scoring=True):
                there = runs.values(source, variable, measure, distance=True)
                gap = there - runs.mean(seen, variable, measure)
                about = {"variable": variable, "measure": measure, "units": units}
                row = {"source": source, **about, "seeds": runs.seeds}
                rows.append({**_columns(cell), **row, **gap.columns()})
    return pd.DataFrame(rows)


def adaptation_table(cells: Sequence[Cell], results: Results) -> "pd.DataFrame":
    """Return what fine-tuning gained on its own sources and lost on those learned from before.

    Columns, beside those of `score_table` that name a row: before, after (distance from perfect on
    the sources of `tune`), gain (before minus after), gap (before minus the source task's), closed
    (share of the gap that the gain is; missing where there was none), forgetting (source task after
    minus before), forgetting_percent (of before); gain and forgetting with _spread, _low and _high.
    """
    import pandas as pd

    rows = []
    for cell in (c for c in cells if c.start is not None and c.task.tune):
        assert cell.start is not None
        runs, starts = results[cell.task], results[cell.start]
        new, old = (
            [name for name in names if name in cell.apply] for names in (cell.task.tune, cell.train)
        )
        for variable, measure, units in runs.measured(scoring=True) if new and old else ():
            before, after = (r.mean(new, variable, measure) for r in (starts, runs))
            source, kept = (r.mean(old, variable, measure) for r in (starts, runs))
            gap = before.mean - source.mean
            gain, forgetting = before - after, kept - source
            about = {"variable": variable, "measure": measure, "units": units}
            numbers = {
                "before": before.mean,
                "after": after.mean,
                "gap": gap,
                "closed": gain.mean / gap if gap > 0 else np.nan,
                "forgetting_percent": 100 * forgetting.mean / source.mean
                if source.mean > 0
                else np.nan,
            }
            columns = {**gain.columns("gain"), **forgetting.columns("forgetting")}
            rows.append({**_columns(cell), **about, "seeds": runs.seeds, **numbers, **columns})
    return pd.DataFrame(rows)


def group_table(cells: Sequence[Cell], results: Results) -> "pd.DataFrame":
    """Return each strategy's mean over cells and over the sources of a group.

    Where cells are looked at one by one (see `graphdown.transfer.plan.Cell`), the strategy's name
    says what was learned from, and "unseen" are the sources that no cell of the block learned from.

    A row for each block, strategy, number of sources learned from, years, group (see
    `graphdown.transfer.plan.Cell`), variable and measure. Columns: value is the distance from
    perfect, gap that minus the mean of the cell's own sources (of the group "unseen" only; missing
    where a cell was not applied to these), difference the value minus that of the block's first
    strategy (missing where that one has other cells), each with spread, low and high; cells is how
    many pairs of a cell and a source they are means of.
    """
    import pandas as pd

    members: dict[tuple[str, str, int, float, str], list[tuple[Cell, str]]] = {}
    for cell in cells:
        years = np.inf if cell.years is None else float(cell.years)  # NaN is no key
        for group, sources in cell.groups.items():
            if cell.one_by_one and group == "unseen":
                others = [c for c in cells if c.block == cell.block]
                sources = [s for s in sources if all(s in c.unseen for c in others)]
            if sources:
                key = (cell.block, cell.name, len(cell.train), years, group)
                members.setdefault(key, []).extend((cell, source) for source in sources)
    rows = []
    firsts: dict[tuple[str, int, float, str], tuple[str, list[tuple[Cell, str]]]] = {}
    for (block, strategy, size, years, group), pairs in members.items():
        name, first = firsts.setdefault((block, size, years, group), (strategy, pairs))
        alike = strategy != name and _places(pairs) == _places(first)
        runs = results[pairs[0][0].task]
        about = {"block": block, "strategy": strategy, "trained_on": size, "group": group}
        about |= {"years": years if np.isfinite(years) else np.nan}
        about |= {"cells": len(pairs), "seeds": runs.seeds}
        for variable, measure, units in runs.measured(scoring=True):
            own = [
                results[cell.task].values(source, variable, measure, distance=True)
                for cell, source in pairs
            ]
            gap = _gaps(pairs, own, results, variable, measure) if group == "unseen" else []
            columns = Values.mean_of(own).columns()
            columns |= Values.mean_of(gap).columns("gap") if gap else NO_GAP
            columns |= NO_DIFFERENCE
            if alike:
                theirs = [
                    results[cell.task].values(source, variable, measure, distance=True)
                    for cell, source in first
                ]
                difference = Values.mean_of(own) - Values.mean_of(theirs)
                columns |= difference.columns("difference")
            rows.append(
                {**about, "variable": variable, "measure": measure, "units": units, **columns}
            )
    return pd.DataFrame(rows)


def _places(pairs: Sequence[tuple[Cell, str]]) -> list[tuple[tuple[str, ...], str]]:
    """Return the applied source of each pair, and the train-on set where several are averaged."""
    return [(() if cell.one_by_one else cell.train, source) for cell, source in pairs]


def _gaps(
    pairs: Sequence[tuple[Cell, str]],
    own: Sequence[Values],
    results: Results,
    variable: str,
    measure: str,
) -> list[Values]:
    """Return how far each is above the mean of its cell's own sources; nothing if one has none."""
    learned = [cell.groups["learned"] for cell, _ in pairs]
    if not all(learned):
        return []
    return [
        values - results[cell.task].mean(sources, variable, measure)
        for values, (cell, _), sources in zip(own, pairs, learned, strict=True)
    ]


def scores_dataset(results: Mapping[Task, Sequence[xr.Dataset]]) -> xr.Dataset:
    """Return all measures of all runs, (run, source, variable), with what each run is."""
    runs, names, parts = [], [], []
    for task, own in results.items():
        for seed, run in enumerate(own):
            runs.append((task, seed))
            names.append(f"{task.label}, seed {seed}")
            parts.append(run[[m for m in MEASURES if m in run]].drop_attrs(deep=False))
    joined = xr.concat(parts, "run", join="outer", coords="minimal", compat="override")
    about = {
        "run": names,
        "strategy": ("run", [task.strategy for task, _ in runs]),
        "train": ("run", [" + ".join(task.train) for task, _ in runs]),
        "tune": ("run", [" + ".join(task.tune) for task, _ in runs]),
        "years": ("run", [np.nan if t.years is None else float(t.years) for t, _ in runs]),
        "seed": ("run", [seed for _, seed in runs]),
    }
    return joined.assign_coords(about)
