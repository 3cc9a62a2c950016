"""Fine-tuning that goes on seeing the sources the network learned from, lest it forget them."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from fractions import Fraction
from math import gcd

from graphdown.config.experiment import Experiment
from graphdown.errors import ExperimentError

FINEST = 20  # a share is a multiple of at least one part in so many


def with_replayed(experiment: Experiment, first: Experiment) -> tuple[Experiment, tuple[str, ...]]:
    """Return the experiment with the sources of a run's first training added, and their names.

    Sources that the experiment has itself are not added.

    Raises:
        ExperimentError: the two have different targets, or none of the sources is another one.
    """
    mine, before = experiment.data, first.data
    if (mine.target, mine.world) != (before.target, before.world):
        raise ExperimentError(
            "'finetune.replay' repeats the sources that the run learned from, whose target is "
            "another one than that of the data to fine-tune on; set it to 0, or take that target."
        )
    own = {source.name for source in mine.sources}
    added = tuple(source for source in before.sources if source.name not in own)
    if not added:
        raise ExperimentError(
            "'finetune.replay' repeats the sources that the run learned from, but they are all to "
            "be fine-tuned on; set it to 0."
        )
    data = replace(mine, sources=(*mine.sources, *added))
    return replace(experiment, data=data), tuple(source.name for source in added)


def replay_turns(
    sources: Sequence[str], replayed: Collection[str], share: float
) -> tuple[int, ...]:
    """Return the numbers of the sources whose turn it is in a round of steps.

    The share of the turns is that of all replayed sources together; within both groups all
    have equally many. Without replayed sources each has one.
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
    judged: Mapping[str, Sequence[object]], replayed: Collection[str], share: float
) -> list[float]:
    """Return the weight of each of the sources' samples in the validation error.

    Args:
        judged: samples of each source.
        replayed: names of sources that together count their share, each sample alike.
        share: see there.
    """
    old = [name in replayed for name, own in judged.items() for _ in own]
    if not any(old):
        return [1.0] * len(old)
    each = {True: share / old.count(True), False: (1.0 - share) / old.count(False)}
    return [each[is_old] for is_old in old]
