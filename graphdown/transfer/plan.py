"""Plan of a study: the cells of its tables, and the tasks that they are scored from."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from graphdown.config.experiment import Experiment
from graphdown.transfer.spec import Block, Study


@dataclass(frozen=True)
class Task:
    """A strategy on its training data, to be run once per seed.

    Attributes:
        strategy: its name.
        train: sources to learn from; those of the start, if it is fine-tuned.
        tune: sources of the fine-tuning, empty for none.
        years: of the sources that it learns from last; None for the whole training period.
    """

    strategy: str
    train: tuple[str, ...]
    tune: tuple[str, ...] = ()
    years: int | None = None

    @property
    def folder(self) -> Path:
        """Folder of its runs, relative to the study's."""
        parts = ["+".join(self.train)] if self.train else []
        parts += [f"then-{'+'.join(self.tune)}"] if self.tune else []
        parts += [] if self.years is None else [f"{self.years}-years"]
        return Path(_plain(self.strategy)) / _plain("-".join(parts))

    @property
    def label(self) -> str:
        """Description for tables and messages."""
        learned = " + ".join(self.train)
        tuned = f", then {' + '.join(self.tune)}" if self.tune else ""
        years = "" if self.years is None else f" ({years_text(self.years)})"
        return f"{self.strategy} on {learned}{tuned}{years}"


@dataclass(frozen=True)
class Cell:
    """One cell of a block; cells of several blocks may share a task.

    Attributes:
        block: title.
        strategy: its name.
        train: the sources of the block's train-on set.
        years: number of years of the block; None if it has no `years`.
        task: the task that is scored.
        apply, tune: those of the block.
        start: the task that it starts from, None for none.
        beside: sources beside `train`, see `graphdown.transfer.spec.Strategy`.
    """

    block: str
    strategy: str
    train: tuple[str, ...]
    years: int | None
    task: Task
    apply: tuple[str, ...]
    tune: tuple[str, ...] = ()
    start: Task | None = None
    beside: tuple[str, ...] = ()

    @property
    def learned(self) -> tuple[str, ...]:
        """Sources that it learned from, in training or fine-tuning."""
        return (*self.task.train, *self.task.tune, *self.beside)

    @property
    def groups(self) -> dict[str, list[str]]:
        """Applied sources that are averaged: "unseen" and "learned".

        In blocks with `years`: "new" and "first".
        """
        if self.years is None:
            learned = [source for source in self.apply if source in self.learned]
            return {"unseen": self.unseen, "learned": learned}
        new, first = ([s for s in self.apply if s in names] for names in (self.tune, self.train))
        return {"new": new, "first": first}

    @property
    def one_by_one(self) -> bool:
        """Whether tables show the cell alone, not averaged over training sets of equal size.

        True where strategies are fine-tuned on whole other sources: such a block compares which
        sets to learn from, and in which order.
        """
        return bool(self.tune) and self.years is None

    @property
    def name(self) -> str:
        """Strategy in tables; with its sources where the cell is shown alone."""
        if not self.one_by_one:
            return self.strategy
        tuned = f" → {' + '.join(self.task.tune)}" if self.task.tune else ""
        return f"{self.strategy}: {' + '.join(self.train)}{tuned}"

    @property
    def unseen(self) -> list[str]:
        """Applied sources that it did not learn from."""
        return [source for source in self.apply if source not in self.learned]


def cells_of(study: Study) -> list[Cell]:
    """Return every cell of a study, block by block."""
    return [
        cell for title, block in study.blocks.items() for cell in _of_block(study, title, block)
    ]


def _of_block(study: Study, title: str, block: Block) -> Iterator[Cell]:
    for strategy in block.strategies:
        for train in block.train:
            for years in block.years or (None,):
                start, task = _tasks(study, strategy, block, train, years)
                if task is not None:
                    yield Cell(
                        title,
                        strategy,
                        train,
                        years,
                        task,
                        block.apply,
                        tune=block.tune,
                        start=start,
                        beside=_beside(study, task),
                    )


def _tasks(
    study: Study, strategy: str, block: Block, train: tuple[str, ...], years: int | None
) -> tuple[Task | None, Task | None]:
    """Return the task that a cell starts from and the one that it scores, None for none."""
    spec = study.strategies[strategy]
    if spec.start is not None:
        start = Task(spec.start, train)
        return start, start if years == 0 else Task(strategy, train, block.tune, years)
    if years is None:
        return None, Task(strategy, train)
    untrained = not years and spec.run is None
    return None, None if untrained else Task(strategy, block.tune, (), years)


def _beside(study: Study, task: Task) -> tuple[str, ...]:
    """Sources beside `train` that a task, or the one that it starts from, learned from."""
    first = study.strategies[task.strategy].start or task.strategy
    return study.strategies[first].learned(task.train)[len(task.train) :]


def scored_on(cells: list[Cell]) -> dict[Task, list[str]]:
    """Return the tasks in order of execution, and the sources that each is scored on.

    A start comes before the tasks that fine-tune it, and is scored on the same sources.
    """
    sources: dict[Task, dict[str, None]] = {}
    for cell in cells:
        for task in (cell.start, cell.task):
            if task is not None:
                sources.setdefault(task, {}).update(dict.fromkeys(cell.apply))
    return {task: list(names) for task, names in sources.items()}


def seeds_of(study: Study, task: Task) -> range:
    """Return the seeds of a task: one for a baseline without random numbers."""
    from graphdown.baselines import BASELINES, NetworkBaseline

    baseline = study.strategies[task.strategy].baseline
    random = baseline is None or issubclass(BASELINES[baseline], NetworkBaseline)
    return range(study.seeds if random else 1)


def with_sources(experiment: Experiment, names: tuple[str, ...]) -> Experiment:
    """Return the experiment with some of its sources to learn from, and no unseen ones."""
    known = {source.name: source for source in experiment.data.sources}
    sources = tuple(known[name] for name in names)
    return replace(experiment, data=replace(experiment.data, sources=sources, unseen=()))


def years_text(number: float) -> str:
    """Return a number of years in words."""
    return f"{number:g} year" if number == 1 else f"{number:g} years"


def _plain(text: str) -> str:
    """Return a name for a folder."""
    return "".join(c if c.isalnum() or c in "+-_." else "-" for c in text)
