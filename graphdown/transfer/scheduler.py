"""Scheduler of a study's runs, which several processes may share."""

import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager

import jax
import xarray as xr

from graphdown.data.load import ExperimentData, load_data
from graphdown.runtime.locks import InUseError, locked_meanwhile
from graphdown.training.run.input_checksums import Checksums
from graphdown.transfer.eta import RunTimes
from graphdown.transfer.field_checksums import check_fields, field_checksums
from graphdown.transfer.plan import Cell, Task, cells_of, scored_on, seeds_of, with_sources
from graphdown.transfer.spec import Study
from graphdown.transfer.study_run import StudyRun

POLL_S = 1.0  # while other processes work on the runs that are left


class StudyScheduler:
    """The runs of a study, those that are done and those that are left.

    Processes that see the same folder share the runs: each takes the first one that no other
    process has locked and whose start is done. A run whose process ended is free again.

    Attributes:
        cells: the study's cells.
        tasks: the sources that each task is scored on, in order of execution.
    """

    def __init__(self, study: Study, jobs: int = 1, data: ExperimentData | None = None) -> None:
        """Plan the runs; `refresh` finds those that are done.

        Args:
            study: the study.
            jobs: number of processes, for the estimate of the time.
            data: the fields of all sources, if they are loaded already.
        """
        self.cells = cells_of(study)
        self.tasks = scored_on(self.cells)
        self._study, self._data = study, data
        self._checksums: Checksums = {}
        self._times = RunTimes(study, jobs)
        self._done: dict[tuple[Task, int], xr.Dataset] = {}
        # Seed by seed: neighbours differ then, so processes do not compile the same at once.
        runs = (
            StudyRun(study, task, seed) for task in self.tasks for seed in seeds_of(study, task)
        )
        self._runs = sorted(runs, key=lambda run: run.seed)

    @property
    def results(self) -> dict[Task, list[xr.Dataset]]:
        """Scores of finished runs by task, a dataset for each seed."""
        results: dict[Task, list[xr.Dataset]] = {}
        for run in self._runs:
            if run.key in self._done:
                results.setdefault(run.task, []).append(self._done[run.key])
        return results

    @property
    def left(self) -> list[StudyRun]:
        """The runs that are not done, as far as this process knows."""
        return [run for run in self._runs if run.key not in self._done]

    def refresh(self) -> None:
        """Read the scores that were stored since the last call.

        Raises:
            ExperimentError: the output folder holds another study.
        """
        for run in self.left:
            scores = run.stored(self.tasks[run.task])
            if scores is not None:
                self._add(run, scores)

    def describe(self) -> None:
        """Print the blocks, the number of runs and the estimated time."""
        study, cells = self._study, self.cells
        print(
            f"{study.name}: {len(cells)} cells in {len(study.blocks)} blocks, "
            f"{len(self._runs)} runs, {len(self._done)} of them done; {self._remaining}",
            flush=True,
        )
        for title in study.blocks:
            block = [cell for cell in cells if cell.block == title]
            strategies = dict.fromkeys(cell.strategy for cell in block)
            print(f"  {title}: {len(block)} cells ({', '.join(strategies)})", flush=True)

    def finish(self) -> None:
        """Do one run after the other until none is left, in this process or in another one."""
        waiting = False
        while self.left:
            if self.do_next():
                waiting = False
                continue
            if not waiting:
                print(
                    "Waiting for the runs of other processes "
                    f"({len(self.left)} of {len(self._runs)} runs left) ...",
                    flush=True,
                )
            waiting = True
            time.sleep(POLL_S)
            self.refresh()

    def do_next(self) -> bool:
        """Do the first run that is free and whose start is done; return whether there was one."""
        for run in self.left:
            if run.start is not None and run.start.key not in self._done:
                continue
            with _claim(run) as claimed:
                if not claimed:
                    continue
                scores = run.stored(self.tasks[run.task])  # another process was faster
                if scores is None:
                    self._do(run)
                else:
                    self._add(run, scores)
            return True
        return False

    def _do(self, run: StudyRun) -> None:
        data, checksums = self._fields()
        started = time.monotonic()
        self._add(run, run.scores(self.tasks[run.task], data, checksums))
        seconds = time.monotonic() - started
        # JAX keeps all it compiled mapped, and after some 90 networks a process may map no more.
        jax.clear_caches()
        self.refresh()
        print(
            f"[{len(self._done)}/{len(self._runs)}] {run.task.label}, seed {run.seed}: "
            f"{seconds:.0f} s; {self._remaining}",
            flush=True,
        )

    def _fields(self) -> tuple[ExperimentData, Checksums]:
        """The fields and their checksums, which those of the finished runs must equal."""
        if self._data is None:
            self._data = _load(self._study, self.cells)
        if not self._checksums:
            self._checksums = field_checksums(self._data)
            for scores in self._done.values():
                check_fields(scores, self._checksums, self._study.output)
        return self._data, self._checksums

    def _add(self, run: StudyRun, scores: xr.Dataset) -> None:
        self._done[run.key] = scores
        self._times.add(run.task, scores)

    @property
    def _remaining(self) -> str:
        return f"about {self._times.estimate(self.left, self.tasks)} to go."


@contextmanager
def _claim(run: StudyRun) -> Iterator[bool]:
    """Lock a run meanwhile; yield whether no other process has locked it."""
    file = run.folder.with_suffix(".lock")  # beside it: training needs an empty folder or a run
    file.parent.mkdir(parents=True, exist_ok=True)
    with ExitStack() as stack:
        try:
            stack.enter_context(locked_meanwhile(file, f"The run {str(run.folder)!r}"))
        except InUseError:
            yield False
            return
        yield True


def _load(study: Study, cells: Sequence[Cell]) -> ExperimentData:
    """Load the fields of all sources of a study."""
    used = {n for cell in cells for n in (*cell.train, *cell.learned, *cell.apply, *cell.tune)}
    experiment = study.experiment_of(next(iter(study.strategies)))
    names = tuple(s.name for s in experiment.data.sources if s.name in used)
    print(f"Making or reading {len(names)} sources ...", flush=True)
    return load_data(with_sources(experiment, names))
