"""Do the runs of a study that are not done yet, beside other processes that do the same."""

import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager

import jax
import xarray as xr

from graphdown.data.load import ExperimentData, load_data
from graphdown.runtime.locks import InUseError, locked_meanwhile
from graphdown.transfer.eta import Clock
from graphdown.transfer.plan import Cell, Task, cells_of, scored_on, seeds_of, with_sources
from graphdown.transfer.spec import Study
from graphdown.transfer.study_run import StudyRun

LOOK_AGAIN_S = 1.0  # while other processes are at the runs that are left


class StudyScheduler:
    """The runs of a study: those that are done, and those that are left.

    Processes that see the same folder share the runs: each takes the first one that no other
    process holds and whose start is done. What a process was at when it ended is free again.

    Attributes:
        cells: the study's cells.
        tasks: what is to be learned, and the sources that each is scored on.
    """

    def __init__(self, study: Study, jobs: int = 1, data: ExperimentData | None = None) -> None:
        """See what is done.

        Args:
            study: what to do.
            jobs: processes at work, for the guess of the time.
            data: the fields of all sources, if they are loaded already.

        Raises:
            ExperimentError: the output folder holds another study.
        """
        self.cells = cells_of(study)
        self.tasks = scored_on(self.cells)
        self._study, self._data = study, data
        self._clock = Clock(study, jobs)
        self._found: dict[tuple[Task, int], xr.Dataset] = {}
        # Seed by seed: neighbours are unlike then, so processes do not compile the same at once.
        every = (
            StudyRun(study, task, seed) for task in self.tasks for seed in seeds_of(study, task)
        )
        self._runs = sorted(every, key=lambda run: run.seed)
        self.look()

    @property
    def results(self) -> dict[Task, list[xr.Dataset]]:
        """Scores by task, a dataset for each seed, of what is done."""
        found: dict[Task, list[xr.Dataset]] = {}
        for run in self._runs:
            if run.key in self._found:
                found.setdefault(run.task, []).append(self._found[run.key])
        return found

    @property
    def left(self) -> list[StudyRun]:
        """The runs that are not done, as far as this process knows."""
        return [run for run in self._runs if run.key not in self._found]

    def describe(self) -> None:
        """Print what there is to do."""
        study, cells = self._study, self.cells
        print(
            f"{study.name}: {len(cells)} cells in {len(study.blocks)} blocks, "
            f"{len(self._runs)} runs, {len(self._found)} of them done; {self._to_go}",
            flush=True,
        )
        for title in study.blocks:
            of_block = [cell for cell in cells if cell.block == title]
            strategies = dict.fromkeys(cell.strategy for cell in of_block)
            print(f"  {title}: {len(of_block)} cells ({', '.join(strategies)})", flush=True)

    def finish(self) -> None:
        """Do what is left, one run after the other, until none is left."""
        waiting = False
        while self.left:
            if self.do_next():
                waiting = False
                continue
            if not waiting:
                print(
                    "Waiting for what other processes are at "
                    f"({len(self.left)} of {len(self._runs)} runs left) ...",
                    flush=True,
                )
            waiting = True
            time.sleep(LOOK_AGAIN_S)
            self.look()

    def do_next(self) -> bool:
        """Do the first run that can be done now; tell whether there was one."""
        for run in self.left:
            if run.start is not None and run.start.key not in self._found:
                continue
            with _claimed(run) as mine:
                if not mine:
                    continue
                scores = run.stored(self.tasks[run.task])  # another process was faster
                if scores is None:
                    self._do(run)
                else:
                    self._take(run, scores)
            return True
        return False

    def _do(self, run: StudyRun) -> None:
        if self._data is None:
            self._data = _loaded(self._study, self.cells)
        started = time.monotonic()
        self._take(run, run.scores(self.tasks[run.task], self._data))
        seconds = time.monotonic() - started
        # JAX keeps all it compiled mapped, and after some 90 networks a process may map no more.
        jax.clear_caches()
        self.look()
        print(
            f"[{len(self._found)}/{len(self._runs)}] {run.task.label}, seed {run.seed}: "
            f"{seconds:.0f} s; {self._to_go}",
            flush=True,
        )

    def look(self) -> None:
        """Read what has been stored meanwhile."""
        for run in self.left:
            scores = run.stored(self.tasks[run.task])
            if scores is not None:
                self._take(run, scores)

    def _take(self, run: StudyRun, scores: xr.Dataset) -> None:
        self._found[run.key] = scores
        self._clock.note(run.task, scores)

    @property
    def _to_go(self) -> str:
        return f"about {self._clock.words(self.left, self.tasks)} to go."


@contextmanager
def _claimed(run: StudyRun) -> Iterator[bool]:
    """Hold a run meanwhile; tell whether no other process holds it."""
    claim = run.folder.with_suffix(".lock")  # beside it: training wants an empty folder or a run
    claim.parent.mkdir(parents=True, exist_ok=True)
    with ExitStack() as holding:
        try:
            holding.enter_context(locked_meanwhile(claim, f"The run {str(run.folder)!r}"))
        except InUseError:
            yield False
            return
        yield True


def _loaded(study: Study, cells: Sequence[Cell]) -> ExperimentData:
    """Return the fields of all sources of a study, in memory."""
    used = {n for cell in cells for n in (*cell.train, *cell.learned, *cell.apply, *cell.tune)}
    experiment = study.experiment_of(next(iter(study.strategies)))
    names = tuple(s.name for s in experiment.data.sources if s.name in used)
    print(f"Making or reading {len(names)} sources ...", flush=True)
    return load_data(with_sources(experiment, names))
