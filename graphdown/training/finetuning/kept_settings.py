"""Settings that a fine-tuning keeps from the run that it starts from."""

import dataclasses
from collections.abc import Iterator, Mapping
from typing import Any

from graphdown.config.experiment import Experiment
from graphdown.config.experiment_file import experiment_to_dict
from graphdown.emulator.emulator import Emulator
from graphdown.errors import ExperimentError

STARTS = ("finetune", "pretrained", "pretrain")


def settings_of(emulator: Emulator) -> dict[str, Any]:
    """Keys of an experiment that belong to a trained network, with their values."""
    normaliser = emulator.normaliser
    return {
        "predictors": list(emulator.predictors),
        "targets": list(emulator.targets),
        "model": dataclasses.asdict(emulator.model),
        "graph": dataclasses.asdict(emulator.domain.spec),
        "optional_predictors": list(emulator.optional_predictors),
        "predictor_transforms": dict(normaliser.predictor_transforms),
        "time": dataclasses.asdict(emulator.time),
        "standardise": normaliser.standardise,
        "standardised_variables": dict(normaliser.standardised),
    }


def check_settings(
    experiment: Experiment, kept: Mapping[str, Any], run: str, stated: Mapping[str, Any] | None
) -> None:
    """Refuse settings of the data to fine-tune on that would be ignored.

    Args:
        experiment: names the data.
        kept: of `settings_of` the run.
        run: its folder, for the message.
        stated: the keys of the experiment's file; None counts those that are not at their defaults.

    Raises:
        ExperimentError: a setting is stated and not the run's.
    """
    every = experiment_to_dict(experiment)
    default: Mapping[str, Any] = {}
    if stated is None:
        bare = Experiment("", "", (), (), experiment.data, experiment.periods)
        stated, default = every, experiment_to_dict(bare)
    for key in STARTS:
        if every[key] is not None:
            raise ExperimentError(
                f"The experiment {experiment.name!r} has the section {key!r}, which a fine-tuning "
                f"of {run!r} does not use; leave it out."
            )
    for key in (key for key in kept if key in stated):
        ignored = next(_differing(stated[key], kept[key], default.get(key), key), None)
        if ignored is not None:
            advice = "make it the same" if key in ("predictors", "targets") else "leave it out"
            raise ExperimentError(
                f"The experiment {experiment.name!r} has another {ignored!r} than the run {run!r}, "
                f"whose own a fine-tuning keeps; {advice}."
            )


def _differing(stated: Any, kept: Any, default: Any, key: str) -> Iterator[str]:
    """Yield the keys whose values are neither those that are kept nor the defaults."""
    if isinstance(stated, Mapping):
        inner = default if isinstance(default, Mapping) else {}
        for name, value in stated.items():
            there = kept.get(name) if isinstance(kept, Mapping) else None
            yield from _differing(value, there, inner.get(name), f"{key}.{name}")
    elif stated != default and _comparable(stated) != _comparable(kept):
        yield key


def _comparable(value: Any) -> Any:
    """Value without the order of names in a list."""
    return sorted(value, key=str) if isinstance(value, list | tuple) else value
