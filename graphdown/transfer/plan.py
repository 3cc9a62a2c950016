"""What a study consists of: the cells of its tables, and the runs that they are scored from."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from graphdown.config.experiment import Experiment
from graphdown.transfer.spec import Block, Study


@dataclass(frozen=True)
class Task:
    """One thing to learn, whichever seed: a strategy on its data. It is done once per seed.

    Attributes:
        strategy: its name.
        train: sources that are learned from; those of the start, if it is fine-tuned.
        tune: sources of the fine-tuning, empty for none.
        years: of the sources learned from last; None for the whole training period.
    """

    strategy: str
    train: tuple[str, ...]
    tune: tuple[str, ...] = ()
    years: int | None = None

    @property
    def folder(self) -> Path:
        """The folder of its runs, below the study's."""
        parts = ["+".join(self.train)] if self.train else []
        parts += [f"then-{'+'.join(self.tune)}"] if self.tune else []
        parts += [] if self.years is None else [f"{self.years}-years"]
        return Path(_plain(self.strategy)) / _plain("-".join(parts))

    @property
    def label(self) -> str:
        """What it is, in words."""
        learned = " + ".join(self.train)
        tuned = f", then {' + '.join(self.tune)}" if self.tune else ""
        years = "" if self.years is None else f" ({years_text(self.years)})"
        return f"{self.strategy} on {learned}{tuned}{years}"


@dataclass(frozen=True)
class Cell:
    """One cell of a block; it may be the same task as a cell of another block.

    Attributes:
        block: title.
        strategy: its name.
        train: the sources of the block's train-on set.
        years: as the block counts them; None if it does not.
        task: what is scored.
        apply, tune: as the block says.
        start: the task that it starts from, None for none.
        beside: what it learned from beside `train`, see `graphdown.transfer.spec.Strategy`.
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
        """The sources that it learned from, in training or fine-tuning."""
        return (*self.task.train, *self.task.tune, *self.beside)

    @property
    def groups(self) -> dict[str, list[str]]:
        """The applied sources that are looked at together.

        Those of "unseen" and "learned", or, where years of new sources are counted, of "new" and
        "first".
        """
        if self.years is None:
            learned = [source for source in self.apply if source in self.learned]
            return {"unseen": self.unseen, "learned": learned}
        new, first = ([s for s in self.apply if s in names] for names in (self.tune, self.train))
        return {"new": new, "first": first}

    @property
    def one_by_one(self) -> bool:
        """Whether it is looked at for itself, not as one of several train-on sets of one size.

        That holds where some are fine-tuned on all of other sources: what is asked there is which
        sets to learn from, and in which order.
        """
        return bool(self.tune) and self.years is None

    @property
    def name(self) -> str:
        """The strategy, with what was learned from where the cell is looked at for itself."""
        if not self.one_by_one:
            return self.strategy
        tuned = f" → {' + '.join(self.task.tune)}" if self.task.tune else ""
        return f"{self.strategy}: {' + '.join(self.train)}{tuned}"

    @property
    def unseen(self) -> list[str]:
        """The applied sources that it did not learn from."""
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
                    given = title, strategy, train, years, task, block.apply, block.tune, start
                    yield Cell(*given, beside=_beside(study, task))


def _tasks(
    study: Study, strategy: str, block: Block, train: tuple[str, ...], years: int | None
) -> tuple[Task | None, Task | None]:
    """Return the task that a cell starts from and the one that it scores, None for none."""
    own = study.strategies[strategy]
    if own.start is not None:
        start = Task(own.start, train)
        return start, start if years == 0 else Task(strategy, train, block.tune, years)
    if years is None:
        return None, Task(strategy, train)
    nothing = not years and own.run is None
    return None, None if nothing else Task(strategy, block.tune, (), years)


def _beside(study: Study, task: Task) -> tuple[str, ...]:
    """Return what a task, or the one that it starts from, learned from beside its `train`."""
    first = study.strategies[task.strategy].start or task.strategy
    return study.strategies[first].learned(task.train)[len(task.train) :]


def scored_on(cells: list[Cell]) -> dict[Task, list[str]]:
    """Return the tasks in the order in which they are to be done, and what each is scored on.

    A start comes before what goes on from it, and is scored on the same sources.
    """
    found: dict[Task, dict[str, None]] = {}
    for cell in cells:
        for task in (cell.start, cell.task):
            if task is not None:
                found.setdefault(task, {}).update(dict.fromkeys(cell.apply))
    return {task: list(sources) for task, sources in found.items()}


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
