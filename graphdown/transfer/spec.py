"""A transfer study as frozen dataclasses, read from one YAML file."""

import dataclasses
import difflib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

from graphdown.config.experiment import Experiment
from graphdown.config.experiment_file import parse_experiment, with_extensions_beside
from graphdown.config.parse import parse_as
from graphdown.config.training import FinetuneOptions
from graphdown.config.yaml_files import apply_overrides, read_yaml, set_key
from graphdown.data.setting_notices import unusable_baselines
from graphdown.errors import ExperimentError

Shows = Literal["matrix", "curves", "bars"]


@dataclass(frozen=True)
class Strategy:
    """One way to get from data to a downscaling method.

    Attributes:
        set: keys and values of an experiment, over those of the study's.
        baseline: a baseline's name, instead of graphdown's network.
        steps: of a baseline that is a network, instead of its own number.
        start: the strategy whose network is fine-tuned; it learns from a block's `train`, this one
            from its `tune`.
        run: folder of a trained emulator that is fine-tuned, instead of `start`, on the cell's
            sources.
        finetune: which parameters train, and how far they may move.
        beside: sources to learn from beside one of a block's `train`, by its name; such as the
            fields of the RCM that it drives.
        text: one sentence for the page.
    """

    set: dict[str, Any] = field(default_factory=dict)
    baseline: str | None = None
    steps: int | None = None
    start: str | None = None
    run: str | None = None
    finetune: FinetuneOptions = field(default_factory=FinetuneOptions)
    beside: dict[str, tuple[str, ...]] = field(default_factory=dict)
    text: str = ""

    def learned(self, train: Sequence[str]) -> tuple[str, ...]:
        """Return the sources to learn from, those of a `train` set first."""
        more = (name for source in train for name in self.beside.get(source, ()))
        return tuple(dict.fromkeys((*train, *more)))


@dataclass(frozen=True)
class Block:
    """Cells that are shown together: strategies x training sets x sources applied to.

    Attributes:
        strategies: names.
        train: sets of sources to learn from.
        apply: sources to score on. Those of a cell's `train` are its source task.
        tune: sources that strategies with a `start` are fine-tuned on, after `train`.
        years: numbers of years of `tune` to learn from, counted from its end, a cell for each;
            strategies without a `start` then learn from these alone. At 0 a fine-tuned network is
            the one that it starts from. Empty for the whole training period.
        shows: picture on the page: a "matrix" of training sets and sources applied to, "curves"
            over the years, or "bars".
        text: the question, for the page.
    """

    strategies: tuple[str, ...]
    train: tuple[tuple[str, ...], ...]
    apply: tuple[str, ...]
    tune: tuple[str, ...] = ()
    years: tuple[int, ...] = ()
    shows: Shows = "bars"
    text: str = ""


@dataclass(frozen=True, eq=False)
class Study:
    """Definition of a transfer study.

    Attributes:
        name: title of the page.
        output: the study's folder.
        experiment: the experiment that strategies change; its `data.sources` are all the sources
            of the blocks. It needs no name and no output.
        strategies: by name.
        blocks: by title.
        seeds: runs of each cell that has random numbers.
        draws: resamples for the intervals.
        quick: "key.sub": value, over all of this, for a small version.
    """

    name: str
    output: str
    experiment: dict[str, Any]
    strategies: dict[str, Strategy]
    blocks: dict[str, Block]
    seeds: int = 3
    draws: int = 200
    quick: dict[str, Any] = field(default_factory=dict)

    def experiment_of(self, strategy: str, seed: int = 0, output: str = "") -> Experiment:
        """Return the experiment of a strategy, with all of the study's sources.

        Raises:
            ExperimentError: a key or value that the strategy or the study sets is wrong.
        """
        experiment = self._experiments.get(strategy) or self._parse(strategy)
        return dataclasses.replace(experiment, seed=seed, output=output or self.output)

    @cached_property
    def _experiments(self) -> dict[str, Experiment]:
        """Parsed experiments by strategy."""
        return {}

    def _parse(self, strategy: str) -> Experiment:
        spec = self.strategies[strategy]
        raw = _merged(self.experiment, spec.set) | {"name": strategy, "output": self.output}
        raw["baselines"] = [] if spec.baseline is None else [spec.baseline]
        where = f"the study's 'experiment' with 'strategies.{strategy}.set'"
        parsed = parse_experiment(raw, where)
        self._experiments[strategy] = parsed
        return parsed

    def is_fine_tuned(self, strategy: str) -> bool:
        """Whether a strategy fine-tunes a trained network."""
        spec = self.strategies[strategy]
        return spec.start is not None or spec.run is not None


def load_study(path: str | Path, overrides: Sequence[str] = (), quick: bool = False) -> Study:
    """Read a transfer study from a YAML file.

    Args:
        path: the file; `${NAME}` in a value of its experiment is replaced by the environment
            variable.
        overrides: "key.sub=value" strings, values in YAML, over the file.
        quick: whether to put the values of the file's `quick` over it first.

    Raises:
        ExperimentError: the file, a key or a value is wrong; the message names it.
    """
    raw = _copied(read_yaml(path))  # YAML aliases share objects, of which one place is to change
    if quick:
        small = raw.get("quick")
        if not isinstance(small, dict) or not small:
            raise ExperimentError(
                f"{path} has no 'quick', the changes of its small version; add it as "
                "'key.sub: value' lines, or leave --quick out."
            )
        for key, value in small.items():
            set_key(raw, str(key), value, f"{path}: 'quick': {key!r}")
    apply_overrides(raw, overrides)
    _find_extensions(raw, path)
    return parse_study(raw, str(path))


def _find_extensions(raw: Mapping[str, Any], path: str | Path) -> None:
    """Replace the relative paths of a study's extensions by those from the working directory."""
    strategies = raw.get("strategies")
    listed = strategies.values() if isinstance(strategies, dict) else ()
    for section, key in ((raw, "experiment"), *((strategy, "set") for strategy in listed)):
        if isinstance(section, dict) and isinstance(section.get(key), dict):
            section[key] = with_extensions_beside(section[key], path)


def parse_study(raw: Mapping[str, Any], where: str) -> Study:
    """Turn a nested mapping into a Study.

    Raises:
        ExperimentError: a key or a value is wrong; the message names it.
    """
    study = parse_as(Study, raw, where)
    if study.seeds < 1 or study.draws < 1:
        raise ExperimentError(f"{where}: 'seeds' and 'draws' must be at least 1.")
    for key in ("strategies", "blocks"):
        if not getattr(study, key):
            raise ExperimentError(f"{where}: {key!r} is empty; add at least one.")
    first = study.experiment_of(next(iter(study.strategies)))
    for name in study.strategies:
        _check_strategy(study, name, where)
        experiment = study.experiment_of(name)
        if (experiment.data, experiment.targets) != (first.data, first.targets):
            raise ExperimentError(
                f"{where}: 'strategies.{name}.set' changes 'data' or 'targets', which all "
                "strategies share; name further sources in 'experiment.data.sources' instead."
            )
    for title in study.blocks:
        _check_block(study, title, where)
    return study


def _check_strategy(study: Study, name: str, where: str) -> None:
    spec, place = study.strategies[name], f"{where}: 'strategies.{name}"
    exclusive = (spec.baseline, spec.start, spec.run)
    if sum(x is not None for x in exclusive) > 1:
        raise ExperimentError(f"{place}' may have only one of 'baseline', 'start' and 'run'.")
    if spec.start is not None:
        _check_names([spec.start], study.strategies, f"{place}.start'", "strategy")
        first = study.strategies[spec.start]
        if first.baseline is not None or first.start is not None:
            raise ExperimentError(
                f"{place}.start' names {spec.start!r}, which is a baseline or has a start itself; "
                "name one whose network learns from random weights or a 'run'."
            )
    experiment = study.experiment_of(name)
    # Whether the height is known is seen when the fields are loaded.
    for baseline, reason in unusable_baselines(experiment, height=True).items():
        raise ExperimentError(
            f"{place}.baseline' is {baseline!r}, which cannot be used here: {reason}."
        )
    sources = [source.name for source in experiment.data.sources]
    for key, names in spec.beside.items():
        _check_names((key, *names), sources, f"{place}.beside'", "source of the experiment")
    if spec.beside and any(x is not None for x in exclusive):
        raise ExperimentError(
            f"{place}.beside' is for networks that learn from random weights; drop it, or "
            "'baseline', 'start' or 'run'."
        )


def _check_block(study: Study, title: str, where: str) -> None:
    block, place = study.blocks[title], f"{where}: 'blocks.{title}"
    first = study.experiment_of(next(iter(study.strategies)))
    sources = [source.name for source in first.data.sources]
    _check_names(block.strategies, study.strategies, f"{place}.strategies'", "strategy")
    for key, names in (
        *((f"train.{n}", names) for n, names in enumerate(block.train)),
        ("apply", block.apply),
        ("tune", block.tune),
    ):
        _check_names(names, sources, f"{place}.{key}'", "source of the experiment")
        if key != "tune" and not names:
            raise ExperimentError(f"{place}.{key}' is empty; name at least one source.")
    for key in ("strategies", "train"):
        if not getattr(block, key):
            raise ExperimentError(f"{place}.{key}' is empty; add at least one.")
    if block.years and not block.tune:
        raise ExperimentError(f"{place}.years' needs 'tune', the sources whose years these are.")
    if any(number < 0 for number in block.years):
        raise ExperimentError(f"{place}.years' must not be negative.")
    for name in block.strategies:
        if study.strategies[name].start is not None and not block.tune:
            raise ExperimentError(
                f"{place}.strategies' names {name!r}, which has a 'start', but the block has no "
                "'tune', the sources to fine-tune it on; add it."
            )


def _check_names(names: Iterable[str], known: Iterable[str], place: str, kind: str) -> None:
    known = list(known)
    for name in names:
        if name not in known:
            close = difflib.get_close_matches(name, known, n=1)
            cure = f"did you mean {close[0]!r}?" if close else f"choose from {', '.join(known)}."
            raise ExperimentError(f"{place} names {name!r}, no {kind}; {cure}")


def _merged(below: Mapping[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    """Return nested mappings, the one put over the other key by key."""
    out = _copied(below)
    for key, value in above.items():
        both = isinstance(value, Mapping) and isinstance(out.get(key), Mapping)
        out[key] = _merged(out[key], value) if both else _copied(value)
    return out


def _copied(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {k: _copied(v) for k, v in value.items()}
    return [_copied(v) for v in value] if isinstance(value, list | tuple) else value
