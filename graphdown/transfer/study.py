"""Run a whole study, and write its tables and its page."""

from pathlib import Path
from typing import TYPE_CHECKING

from graphdown.data.load import ExperimentData
from graphdown.errors import ExperimentError
from graphdown.runtime.atomic import atomic_file
from graphdown.transfer.outcome import Outcome
from graphdown.transfer.pool import run_in_processes
from graphdown.transfer.report.page import write_page
from graphdown.transfer.scheduler import StudyScheduler
from graphdown.transfer.seed_scores import Scored
from graphdown.transfer.spec import Study
from graphdown.transfer.tables import (
    adaptation_table,
    gap_table,
    group_table,
    score_table,
    scores_dataset,
)

if TYPE_CHECKING:
    import pandas as pd


def transfer(study: Study, data: ExperimentData | None = None, jobs: int = 1) -> Outcome:
    """Run what is left of a study; write `scores.csv`, `scores.nc` and the page.

    Killed at any point, the same call resumes: stored scores are read, a training continues from
    its last checkpoint. Called in several processes at once, on machines that see the same folder,
    they share the runs, and each writes tables and page once all runs are done.

    Args:
        study: the study.
        data: the fields of all sources, if they are loaded already; with one job only.
        jobs: number of processes, each on its share of the processor's cores. They are started
            anew, so a script that asks for more than one needs `if __name__ == "__main__":`.

    Raises:
        ExperimentError: the output folder holds another study, or `jobs` is wrong.
        DataError: a field is missing or wrong.
        GraphdownError: training diverged, or a process was killed.
    """
    if jobs < 1 or (jobs > 1 and data is not None):
        raise ExperimentError("'jobs' must be at least 1, and 1 where 'data' are passed.")
    scheduler = StudyScheduler(study, jobs, data)
    scheduler.refresh()
    scheduler.describe()
    if jobs > 1 and scheduler.left:
        run_in_processes(study, min(jobs, len(scheduler.left)))
        scheduler.refresh()
    scheduler.finish()
    outcome = _outcome(study, scheduler)
    _write_tables(outcome)
    write_page(outcome)
    return outcome


def _outcome(study: Study, scheduler: StudyScheduler) -> Outcome:
    cells, results = scheduler.cells, scheduler.results
    scored = {task: Scored.of(runs) for task, runs in results.items()}
    return Outcome(
        study,
        cells,
        results,
        scores=score_table(cells, scored),
        gaps=gap_table(cells, scored),
        adaptation=adaptation_table(cells, scored),
        groups=group_table(cells, scored),
        page=Path(study.output) / "report" / "index.html",
    )


def _write_tables(outcome: Outcome) -> None:
    folder = Path(outcome.study.output)
    tables: dict[str, pd.DataFrame] = {
        "scores": outcome.scores,
        "gaps": outcome.gaps,
        "adaptation": outcome.adaptation,
        "groups": outcome.groups,
    }
    for name, table in tables.items():
        with atomic_file(folder / f"{name}.csv") as new:
            table.to_csv(new, index=False, float_format="%.6g")
    with atomic_file(folder / "scores.nc") as new:
        scores_dataset(outcome.results).to_netcdf(new, engine="netcdf4")
