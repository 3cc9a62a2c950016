"""transfer(): do a whole study, and write its tables and its page."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import xarray as xr

from graphdown.data.load import ExperimentData
from graphdown.errors import ExperimentError
from graphdown.runtime.atomic import atomic_file
from graphdown.transfer.plan import Cell, Task
from graphdown.transfer.pool import in_processes
from graphdown.transfer.report.page import write_page
from graphdown.transfer.scheduler import StudyScheduler
from graphdown.transfer.spec import Study
from graphdown.transfer.tables import (
    Scored,
    adaptation_table,
    gap_table,
    group_table,
    score_table,
    scores_dataset,
)

if TYPE_CHECKING:
    import pandas as pd

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
        scores, gaps, adaptation, groups: see `graphdown.transfer.tables`.
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


def transfer(study: Study, data: ExperimentData | None = None, jobs: int = 1) -> Outcome:
    """Do what of a study is not done yet; write `scores.csv`, `scores.nc` and the page.

    Killed at any point, the same call goes on: stored scores are read, a training continues from
    its last checkpoint. Called in several processes at once, on machines that see the same folder,
    they share the runs, and each writes tables and page once all runs are done.

    Args:
        study: what to do.
        data: the fields of all sources, if they are loaded already; with one job only.
        jobs: processes to do runs in, each on its share of the processor's cores. They are
            started anew, so a script that asks for more than one needs
            `if __name__ == "__main__":`.

    Raises:
        ExperimentError: the output folder holds another study, or `jobs` is wrong.
        DataError: a field is missing or wrong.
        GraphdownError: training diverged, or a process was killed.
    """
    if jobs < 1 or (jobs > 1 and data is not None):
        raise ExperimentError("'jobs' must be at least 1, and 1 where 'data' are given.")
    work = StudyScheduler(study, jobs, data)
    work.describe()
    if jobs > 1 and work.left:
        in_processes(study, min(jobs, len(work.left)))
        work.look()
    work.finish()
    results = work.results
    scored = {task: Scored.of(own) for task, own in results.items()}
    tables = {name: make(work.cells, scored) for name, make in TABLES.items()}
    folder = Path(study.output)
    for name, table in tables.items():
        with atomic_file(folder / f"{name}.csv") as new:
            table.to_csv(new, index=False, float_format="%.6g")
    with atomic_file(folder / "scores.nc") as new:
        scores_dataset(results).to_netcdf(new, engine="netcdf4")
    page = folder / "report" / "index.html"
    outcome = Outcome(study, work.cells, results, page=page, **tables)
    write_page(outcome)
    return outcome
