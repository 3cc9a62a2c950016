"""The settings of an experiment that training depends on: what is read, not where it lies."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from graphdown.config.experiment import Experiment
from graphdown.config.experiment_file import experiment_to_dict

NOT_LEARNED = ("name", "output", "baselines", "licence", "contact", "citation")
PATHS = ("files", "target_files", "file", "run")  # the values read are known by their checksums
MACHINE = ("backend", "devices", "target_shards", "most_skipped", "sample_storage")
# A run that is not finished goes on with other ones.
CONTINUED = ("steps", "batch_size", "learning_rate", "validate_every", "patience")


def learned_settings(experiment: Experiment) -> dict[str, Any]:
    """Settings that decide what a training learns, as nested plain values.

    Not among them are names, places of files and folders, what is only scored, the devices, and
    the settings of training with which a run may go on (`CONTINUED`).
    """
    raw = experiment_to_dict(experiment)
    kept = {key: value for key, value in raw.items() if key not in NOT_LEARNED}
    skipped = (*MACHINE, *CONTINUED)
    kept["training"] = {k: v for k, v in raw["training"].items() if k not in skipped}
    kept["data"] = {k: v for k, v in raw["data"].items() if k not in ("unseen", "store")}
    kept["periods"] = {k: v for k, v in raw["periods"].items() if k != "test"}
    kept["extensions"] = [Path(name).name for name in raw["extensions"]]
    return dict(without_paths(kept))


def continued_settings(experiment: Experiment) -> dict[str, Any]:
    """Settings of training with which a run that is not finished may go on."""
    training = experiment_to_dict(experiment)["training"]
    return {key: training[key] for key in CONTINUED}


def first_difference(a: Any, b: Any, key: str = "") -> str | None:
    """Name of the first setting that differs, as in "model.rounds"; None if none does."""
    if isinstance(a, Mapping) and isinstance(b, Mapping):
        for name in sorted(set(a) | set(b)):
            inner = f"{key}.{name}" if key else str(name)
            found = first_difference(a.get(name), b.get(name), inner)
            if found:
                return found
        return None
    return None if a == b else key


def without_paths(value: Any) -> Any:
    """Nested values without those of the keys that name files or runs."""
    if isinstance(value, Mapping):
        return {k: without_paths(v) for k, v in value.items() if k not in PATHS}
    return [without_paths(v) for v in value] if isinstance(value, list) else value
