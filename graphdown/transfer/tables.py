"""Tables of a study over its runs: scores, generalisation gaps, gains and forgetting.

Scores are compared by their distance from perfect. A gap is the score on a source that was not
learned from minus the mean of those that were.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr

from graphdown.evaluation.measures import MEASURES
from graphdown.transfer.plan import Cell, Task
from graphdown.transfer.seed_scores import Results, Values

if TYPE_CHECKING:
    import pandas as pd

NO_GAP = dict.fromkeys(("gap", "gap_spread", "gap_low", "gap_high"), np.nan)
NO_DIFFERENCE = {name.replace("gap", "difference"): np.nan for name in NO_GAP}


def _cell_columns(cell: Cell) -> dict[str, Any]:
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
                rows.append({**_cell_columns(cell), **where, **values.columns()})
    return pd.DataFrame(rows)


def gap_table(cells: Sequence[Cell], results: Results) -> "pd.DataFrame":
    """Return the generalisation gap of each cell to each source that it did not learn from.

    Columns as in `score_table`; value is the gap. Cells of blocks with `years` are in
    `adaptation_table`.
    """
    import pandas as pd

    rows = []
    for cell in (c for c in cells if c.years is None):
        runs = results[cell.task]
        seen = cell.groups["learned"]
        for source in cell.unseen if seen else ():
            for variable, measure, units in runs.measured(scoring=True):
                values = runs.values(source, variable, measure, distance=True)
                gap = values - runs.mean(seen, variable, measure)
                about = {"variable": variable, "measure": measure, "units": units}
                row = {"source": source, **about, "seeds": runs.seeds}
                rows.append({**_cell_columns(cell), **row, **gap.columns()})
    return pd.DataFrame(rows)


def adaptation_table(cells: Sequence[Cell], results: Results) -> "pd.DataFrame":
    """Return the gain of fine-tuning on its sources and the loss on those learned from before.

    Columns, beside those of `score_table` that name a row: before, after (distance from perfect on
    the sources of `tune`), gain (before minus after), gap (before minus the source task's), closed
    (share of the gap that the gain is; missing where there was none), forgetting (source task after
    minus before), forgetting_percent (of before); gain and forgetting with _spread, _low and _high.
    """
    import pandas as pd

    rows = []
    for cell in (c for c in cells if c.start is not None and c.task.tune):
        runs = results[cell.task]
        new = [name for name in cell.task.tune if name in cell.apply]
        old = [name for name in cell.train if name in cell.apply]
        for variable, measure, units in runs.measured(scoring=True) if new and old else ():
            about = {"variable": variable, "measure": measure, "units": units}
            changes = _changes(cell, new, old, results, variable, measure)
            rows.append({**_cell_columns(cell), **about, "seeds": runs.seeds, **changes})
    return pd.DataFrame(rows)


def _changes(
    cell: Cell, new: list[str], old: list[str], results: Results, variable: str, measure: str
) -> dict[str, float]:
    """Columns of `adaptation_table` for one measure of a fine-tuned cell."""
    assert cell.start is not None
    start, tuned = results[cell.start], results[cell.task]
    before, after = (runs.mean(new, variable, measure) for runs in (start, tuned))
    source, source_after = (runs.mean(old, variable, measure) for runs in (start, tuned))
    gap = before.mean - source.mean
    gain, forgetting = before - after, source_after - source
    percent = 100 * forgetting.mean / source.mean if source.mean > 0 else np.nan
    return {
        "before": before.mean,
        "after": after.mean,
        "gap": gap,
        "closed": gain.mean / gap if gap > 0 else np.nan,
        "forgetting_percent": percent,
        **gain.columns("gain"),
        **forgetting.columns("forgetting"),
    }


def group_table(cells: Sequence[Cell], results: Results) -> "pd.DataFrame":
    """Return each strategy's mean over cells and over the sources of a group.

    Where cells are shown alone (see `graphdown.transfer.plan.Cell`), the strategy's name has the
    sources that were learned from, and "unseen" are the sources that no cell of the block learned
    from.

    A row for each block, strategy, number of sources learned from, years, group (see
    `graphdown.transfer.plan.Cell`), variable and measure. Columns: value is the distance from
    perfect, gap that minus the mean of the cell's sources (of the group "unseen" only; missing
    where a cell was not applied to these), difference the value minus that of the block's first
    strategy (missing where that one has other cells), each with spread, low and high; cells is the
    number of pairs of a cell and a source that are averaged.
    """
    import pandas as pd

    rows = []
    firsts: dict[tuple[str, int, float, str], _Group] = {}
    for group in _groups(cells):
        first = firsts.setdefault(group.key, group)
        runs = results[group.pairs[0][0].task]
        about = group.columns | {"cells": len(group.pairs), "seeds": runs.seeds}
        for variable, measure, units in runs.measured(scoring=True):
            names = {"variable": variable, "measure": measure, "units": units}
            rows.append({**about, **names, **_means(group, first, results, variable, measure)})
    return pd.DataFrame(rows)


@dataclass
class _Group:
    """Pairs of a cell and an applied source that `group_table` averages."""

    block: str
    strategy: str
    size: int
    years: float
    group: str
    pairs: list[tuple[Cell, str]]

    @property
    def key(self) -> tuple[str, int, float, str]:
        """Key that groups of other strategies share if they are compared with it."""
        return self.block, self.size, self.years, self.group

    @property
    def columns(self) -> dict[str, Any]:
        years = self.years if np.isfinite(self.years) else np.nan
        about = {"block": self.block, "strategy": self.strategy, "trained_on": self.size}
        return about | {"group": self.group, "years": years}

    @property
    def places(self) -> list[tuple[tuple[str, ...], str]]:
        """The applied source of each pair, and the training set where several are averaged."""
        return [(() if cell.one_by_one else cell.train, source) for cell, source in self.pairs]

    def values(self, results: Results, variable: str, measure: str) -> list[Values]:
        """Distance from perfect of each pair."""
        return [
            results[cell.task].values(source, variable, measure, distance=True)
            for cell, source in self.pairs
        ]

    def gaps(self, results: Results, variable: str, measure: str) -> list[Values]:
        """Gap of each pair of "unseen"; nothing if a cell was not applied to its sources."""
        if self.group != "unseen":
            return []
        learned = [cell.groups["learned"] for cell, _ in self.pairs]
        if not all(learned):
            return []
        values = self.values(results, variable, measure)
        return [
            value - results[cell.task].mean(sources, variable, measure)
            for value, (cell, _), sources in zip(values, self.pairs, learned, strict=True)
        ]


def _groups(cells: Sequence[Cell]) -> list[_Group]:
    groups: dict[tuple[str, str, int, float, str], _Group] = {}
    for cell in cells:
        years = np.inf if cell.years is None else float(cell.years)  # NaN is no key
        for name, sources in cell.groups.items():
            if cell.one_by_one and name == "unseen":
                others = [c for c in cells if c.block == cell.block]
                sources = [s for s in sources if all(s in c.unseen for c in others)]
            if sources:
                key = (cell.block, cell.name, len(cell.train), years, name)
                group = groups.setdefault(key, _Group(*key, pairs=[]))
                group.pairs.extend((cell, source) for source in sources)
    return list(groups.values())


def _means(
    group: _Group, first: _Group, results: Results, variable: str, measure: str
) -> dict[str, float]:
    """Columns of `group_table` for one measure: value, gap and difference to the first group."""
    mean = Values.mean_of(group.values(results, variable, measure))
    gaps = group.gaps(results, variable, measure)
    columns = mean.columns()
    columns |= Values.mean_of(gaps).columns("gap") if gaps else NO_GAP
    if group.strategy == first.strategy or group.places != first.places:
        return columns | NO_DIFFERENCE
    difference = mean - Values.mean_of(first.values(results, variable, measure))
    return columns | difference.columns("difference")


def scores_dataset(results: Mapping[Task, Sequence[xr.Dataset]]) -> xr.Dataset:
    """Return all measures of all runs, (run, source, variable), with coordinates of each run."""
    runs, names, parts = [], [], []
    for task, datasets in results.items():
        for seed, scores in enumerate(datasets):
            runs.append((task, seed))
            names.append(f"{task.label}, seed {seed}")
            parts.append(scores[[m for m in MEASURES if m in scores]].drop_attrs(deep=False))
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
