"""transfer(): do a whole study, and write its tables and its page."""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import xarray as xr

from graphdown.bench.page import write_page
from graphdown.bench.plan import Cell, Task, cells_of, scored_on, seeds_of, with_sources
from graphdown.bench.run import Run
from graphdown.bench.spec import Study
from graphdown.bench.summary import (
    Scored,
    adaptation_table,
    gap_table,
    group_table,
    score_table,
    scores_dataset,
)
from graphdown.data.load import ExperimentData, load_data

if TYPE_CHECKING:
    import pandas as pd

# Seconds on two slow cores, for a first guess; runs that are done correct it.
GUESS_NETWORK, GUESS_STEP = 8.0, 0.045
GUESS_BASELINE = {"ridge": 25.0, "DeepESD": 60.0, "U-Net": 120.0, "error-predicting CNN": 90.0}
GUESS_OTHER, GUESS_SCORING = 3.0, 2.5
TABLES = {
    "scores": score_table,
    "gaps": gap_table,
    "adaptation": adaptation_table,
    "groups": group_table,
}


@dataclass(frozen=True, eq=False)
class Outcome:
    """What a study found.

    Attributes:
        study: what was asked.
        cells: its cells.
        results: scores by task, a dataset for each seed.
        scores, gaps, adaptation, groups: see `graphdown.bench.summary`.
        page: the report.
    """

    study: Study
    cells: list[Cell]
    results: dict[Task, list[xr.Dataset]]
    scores: "pd.DataFrame"
    gaps: "pd.DataFrame"
    adaptation: "pd.DataFrame"
    groups: "pd.DataFrame"
    page: Path


def transfer(study: Study, data: ExperimentData | None = None) -> Outcome:
    """Do what of a study is not done yet; write `scores.csv`, `scores.nc` and the page.

    Killed at any point, the same call goes on: stored scores are read, a training continues from
    its last checkpoint.

    Args:
        study: what to do.
        data: the fields of all sources, if they are loaded already.

    Raises:
        ExperimentError: the output folder holds another study.
        DataError: a field is missing or wrong.
        GraphdownError: training diverged.
    """
    cells = cells_of(study)
    tasks = scored_on(cells)
    runs = {task: [Run(study, task, seed) for seed in seeds_of(study, task)] for task in tasks}
    results = _all_scores(study, cells, tasks, runs, data)
    scored = {task: Scored.of(own) for task, own in results.items()}
    tables = {name: make(cells, scored) for name, make in TABLES.items()}
    folder = Path(study.output)
    for name, table in tables.items():
        table.to_csv(folder / f"{name}.csv", index=False, float_format="%.6g")
    scores_dataset(results).to_netcdf(folder / "scores.nc", engine="netcdf4")
    page = folder / "report" / "index.html"
    outcome = Outcome(study, cells, results, page=page, **tables)
    write_page(outcome)
    return outcome


def _all_scores(
    study: Study,
    cells: Sequence[Cell],
    tasks: dict[Task, list[str]],
    runs: dict[Task, list[Run]],
    data: ExperimentData | None,
) -> dict[Task, list[xr.Dataset]]:
    """Return the scores of every run, doing what is not done yet."""
    clock = _Clock(study)
    found: dict[tuple[Task, int], xr.Dataset] = {}
    for task, own in runs.items():
        for run in own:
            stored = run.stored(tasks[task])
            if stored is not None:
                found[task, run.seed] = stored
                clock.note(task, stored)
    left = [(t, run) for t, own in runs.items() for run in own if (t, run.seed) not in found]
    total = len(found) + len(left)
    print(
        f"{study.name}: {len(cells)} cells in {len(study.blocks)} blocks, {total} runs, "
        f"{len(found)} of them done; about {clock.words(left, tasks)} to go.",
        flush=True,
    )
    for title in study.blocks:
        of_block = [cell for cell in cells if cell.block == title]
        strategies = dict.fromkeys(cell.strategy for cell in of_block)
        print(f"  {title}: {len(of_block)} cells ({', '.join(strategies)})", flush=True)
    if left and data is None:
        data = _loaded(study, cells)
    for number, (task, run) in enumerate(left):
        assert data is not None
        started = time.monotonic()
        found[task, run.seed] = scores = run.scores(tasks[task], data)
        clock.note(task, scores)
        print(
            f"[{total - len(left) + number + 1}/{total}] {task.label}, seed {run.seed}: "
            f"{time.monotonic() - started:.0f} s; about {clock.words(left[number + 1 :], tasks)} "
            "to go.",
            flush=True,
        )
    return {task: [found[task, run.seed] for run in own] for task, own in runs.items()}


def _loaded(study: Study, cells: Sequence[Cell]) -> ExperimentData:
    """Return the fields of all sources of a study, in memory."""
    used = {n for cell in cells for n in (*cell.train, *cell.learned, *cell.apply, *cell.tune)}
    experiment = study.experiment_of(next(iter(study.strategies)))
    names = tuple(s.name for s in experiment.data.sources if s.name in used)
    print(f"Making or reading {len(names)} sources ...", flush=True)
    return load_data(with_sources(experiment, names))


class _Clock:
    """How long runs take: what those of the same strategy took, a guess where there are none."""

    def __init__(self, study: Study) -> None:
        self._study = study
        self._learning: dict[str, list[float]] = {}
        self._scoring: list[float] = []

    def note(self, task: Task, scores: xr.Dataset) -> None:
        """Take in how long a run took."""
        self._learning.setdefault(task.strategy, []).append(scores.attrs["learning_seconds"])
        self._scoring.append(scores.attrs["scoring_seconds"] / scores.sizes["source"])

    def words(self, left: Sequence[tuple[Task, Run]], tasks: dict[Task, list[str]]) -> str:
        """Return how long some runs will take, in words."""
        scoring = sum(self._scoring) / len(self._scoring) if self._scoring else GUESS_SCORING
        seconds = sum(self._seconds(task) + scoring * len(tasks[task]) for task, _ in left)
        return f"{seconds / 60:.0f} min"

    def _seconds(self, task: Task) -> float:
        known = self._learning.get(task.strategy)
        if known:
            return sum(known) / len(known)
        baseline = self._study.strategies[task.strategy].baseline
        if baseline is not None:
            return GUESS_BASELINE.get(baseline, GUESS_OTHER)
        steps = self._study.experiment_of(task.strategy).training.steps
        return GUESS_NETWORK + GUESS_STEP * steps
