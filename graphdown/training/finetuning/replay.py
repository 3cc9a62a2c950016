"""Replay: fine-tuning that keeps drawing from the sources of the first training.

So the network does not forget them.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from math import gcd

from graphdown.config.experiment import Experiment
from graphdown.errors import ExperimentError
from graphdown.training.periods import with_last_years

FINEST = 20  # a share is a multiple of at least one part in so many


@dataclass(frozen=True)
class Replay:
    """The sources of the first training that a fine-tuning draws from as well.

    Attributes:
        sources: their names.
        share: of the steps that draw from them.
    """

    sources: tuple[str, ...] = ()
    share: float = 0.0

    @classmethod
    def of(cls, experiment: Experiment) -> "Replay":
        """Replay of an experiment, of no sources unless it is a fine-tuning with replay."""
        spec = experiment.finetune
        return cls() if spec is None else cls(spec.replayed, spec.replay)


def experiments_by_source(experiment: Experiment, sources: Iterable[str]) -> dict[str, Experiment]:
    """The experiment as it holds for each source, by name.

    Replayed sources keep all the days of their first training; the others have the last years of a
    fine-tuning, some of them held out.

    Args:
        experiment: the experiment.
        sources: names of the sources to train on.

    Raises:
        ExperimentError: the training period is shorter than these years.
    """
    replayed, recent = Replay.of(experiment).sources, with_last_years(experiment)
    first = replace(experiment, finetune=None)
    return {name: first if name in replayed else recent for name in sources}


def with_replayed(experiment: Experiment, first: Experiment) -> tuple[Experiment, tuple[str, ...]]:
    """Add the sources of a run's first training to an experiment.

    Returns:
        The experiment, and the names of the added sources.

    Sources that the experiment has itself are not added.

    Raises:
        ExperimentError: the two have different targets, or none of the sources is another one.
    """
    data, before = experiment.data, first.data
    if (data.target, data.world) != (before.target, before.world):
        raise ExperimentError(
            "'finetune.replay' repeats the sources that the run learned from, whose target is "
            "another one than that of the data to fine-tune on; set it to 0, or take that target."
        )
    names = {source.name for source in data.sources}
    added = tuple(source for source in before.sources if source.name not in names)
    if not added:
        raise ExperimentError(
            "'finetune.replay' repeats the sources that the run learned from, but they are all to "
            "be fine-tuned on; set it to 0."
        )
    both = replace(data, sources=(*data.sources, *added))
    return replace(experiment, data=both), tuple(source.name for source in added)


def replay_turns(
    sources: Sequence[str], replayed: Collection[str], share: float
) -> tuple[int, ...]:
    """Numbers of the sources in a round of steps, each once for every turn that it has.

    Args:
        sources: names.
        replayed: those of them that are replayed; without any each source has one turn.
        share: of the turns that all replayed sources have together; within both groups all have
            equally many.
    """
    old = [source in replayed for source in sources]
    if not any(old):
        return tuple(range(len(sources)))
    part = Fraction(share).limit_denominator(FINEST)
    counts = {
        True: part.numerator * old.count(False),
        False: (part.denominator - part.numerator) * old.count(True),
    }
    common = gcd(*counts.values())
    return tuple(n for n, is_old in enumerate(old) for _ in range(counts[is_old] // common))


def validation_weights(
    samples: Mapping[str, Sequence[object]], replayed: Collection[str], share: float
) -> list[float]:
    """Weight of each of the sources' samples in the validation error.

    Args:
        samples: of each source.
        replayed: names of the sources that are replayed.
        share: that these have together, each of their samples alike.
    """
    old = [name in replayed for name, each in samples.items() for _ in each]
    if not any(old):
        return [1.0] * len(old)
    each = {True: share / old.count(True), False: (1.0 - share) / old.count(False)}
    return [each[is_old] for is_old in old]
