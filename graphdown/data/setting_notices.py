"""Notices on the settings of an experiment, known before it is trained."""

from collections.abc import Iterator, Mapping

import pandas as pd

from graphdown.baselines.methods import unusable
from graphdown.config.data import Periods
from graphdown.config.experiment import Experiment
from graphdown.data.reading.rules import Note
from graphdown.variables.catalogue import describe

SEASONS = ("DJF", "MAM", "JJA", "SON")


def setting_notices(experiment: Experiment, height: bool) -> list[Note]:
    """Notices on an experiment: what is left out, what overlaps, and what it cannot extrapolate.

    Args:
        experiment: the experiment.
        height: whether the target's height is known.
    """
    if experiment.pretrain is not None:
        return list(_overlaps(experiment.periods, ["validation"]))
    notices = []
    for reason, names in names_by_reason(unusable_baselines(experiment, height)).items():
        notices.append(_note("baselines-left-out", "baselines", f"left out: {names}; {reason}"))
    tuned = experiment.finetune is not None and experiment.finetune.validation_share
    notices += _without_warming(experiment)
    others = ["test"] if tuned else ["validation", "test"]
    return [*notices, *_overlaps(experiment.periods, others)]


def _without_warming(experiment: Experiment) -> Iterator[Note]:
    """Air temperatures that are learned from few degrees of climate alone."""
    warm = [name for name in experiment.targets if describe(name).is_temperature]
    if experiment.data.world is not None or experiment.finetune is not None:
        return
    if warm and not any(experiment.training.warming_offset):
        text = (
            f"no warming is added in training, and without it an emulator of {', '.join(warm)} may "
            "dampen that of a warmer climate; set it, as to [-2, 5], if the emulator is for one"
        )
        yield _note("no-warming", "training.warming_offset", text)


def unusable_baselines(experiment: Experiment, height: bool) -> dict[str, str]:
    """Why some of an experiment's baselines cannot be used, by their names."""
    no_predictors = [name for name in experiment.targets if name not in experiment.predictors]
    periods = experiment.periods
    scored = _seasons(periods.validation) | _seasons(periods.test)
    absent = [name for name in SEASONS if name in scored - _seasons(periods.train)]
    return unusable(experiment.baselines, height, no_predictors, absent)


def names_by_reason(reasons: Mapping[str, str]) -> dict[str, str]:
    """Names, as a list in words, by the reason that they share."""
    names: dict[str, list[str]] = {}
    for name, reason in reasons.items():
        names.setdefault(reason, []).append(name)
    return {reason: ", ".join(some) for reason, some in names.items()}


def _overlaps(periods: Periods, others: list[str]) -> Iterator[Note]:
    """Periods that share days with that of training, or with each other."""
    keys = ["train", *others]
    for number, key in enumerate(keys):
        for later in keys[number + 1 :]:
            (a, b), (c, d) = (_ends(getattr(periods, name)) for name in (key, later))
            first, last = max(a, c), min(b, d)
            if first <= last:
                text = (
                    f"shares {first:%Y-%m-%d} to {last:%Y-%m-%d} with 'periods.{key}'; scores on "
                    "days that are known from there are better than on others"
                )
                yield _note("periods-overlap", f"periods.{later}", text)


def _seasons(period: tuple[str, str]) -> set[str]:
    first, last = _ends(period)
    months = pd.period_range(first, last, freq="M").month
    return {SEASONS[month % 12 // 3] for month in months}


def _ends(period: tuple[str, str]) -> tuple[pd.Timestamp, pd.Timestamp]:
    """First and last moment of a period."""
    first, last = map(pd.Period, period)
    return first.start_time, last.end_time


def _note(rule: str, key: str, text: str) -> Note:
    return Note(rule, repr(key), "", text)
