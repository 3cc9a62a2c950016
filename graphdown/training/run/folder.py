"""A run's folder: made for an experiment, or checked to hold it."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from graphdown.config.experiment import Experiment
from graphdown.config.experiment_file import (
    as_written,
    experiment_to_dict,
    load_stored_experiment,
    write_experiment,
)
from graphdown.data.sample_store import FOLDER
from graphdown.errors import ExperimentError
from graphdown.runtime.atomic import atomic_folder
from graphdown.runtime.distributed import first_before_others, is_first
from graphdown.runtime.write_errors import explained_write_errors
from graphdown.training.run.lock import LOCK

EXPERIMENT = "experiment.yaml"
BEFORE = (FOLDER, LOCK, f".{EXPERIMENT}.new")  # what a folder may hold before it is a run's
CHANGEABLE = ("backend", "devices", "most_skipped")  # settings that a resumed run may change


def open_run(experiment: Experiment) -> Path:
    """Create the run's folder, or check that it holds this experiment."""
    run = Path(experiment.output)
    with first_before_others("run"):
        check_run(experiment, run)
        run.mkdir(parents=True, exist_ok=True)
        # Also where it is there: the baselines may be others than before.
        if is_first():
            with explained_write_errors(run / EXPERIMENT, "nothing was changed"):
                write_experiment(experiment, run / EXPERIMENT)
    return run


def check_run(experiment: Experiment, run: Path) -> None:
    """Refuse a folder that holds anything but this experiment, or fields for a run to come."""
    stored = run / EXPERIMENT
    if not stored.exists():
        if run.exists() and any(path.name not in BEFORE for path in run.iterdir()):
            raise ExperimentError(
                f"'output' names {str(run)!r}, a folder that is neither empty nor a run; choose "
                "another."
            )
        return
    # Read as an experiment, so that options it was written without count as their defaults.
    begun = experiment_to_dict(load_stored_experiment(stored))
    differing = _first_difference(_trained(begun), _trained(experiment_to_dict(experiment)))
    if differing is not None and not as_written(stored):
        raise ExperimentError(
            f"{str(stored)!r} was changed since the run began, or is damaged ({differing!r} is not "
            "the experiment's); put it back as it was, or choose another 'output'."
        )
    if differing is not None:
        raise ExperimentError(
            f"'output' names {str(run)!r}, which holds a run with another {differing!r}; choose "
            "another folder or delete that one."
        )


def _trained(experiment: dict[str, Any]) -> dict[str, Any]:
    """Settings that training depends on.

    A run may be scored beside other baselines later, and be resumed on other devices.
    """
    training = {k: v for k, v in experiment["training"].items() if k not in CHANGEABLE}
    rest = {key: value for key, value in experiment.items() if key != "baselines"}
    return {**rest, "training": training}


def _first_difference(a: Any, b: Any, key: str = "") -> str | None:
    if isinstance(a, dict) and isinstance(b, dict):
        for name in sorted(set(a) | set(b)):
            inner = f"{key}.{name}" if key else str(name)
            found = _first_difference(a.get(name), b.get(name), inner)
            if found:
                return found
        return None
    return None if a == b else key


def put(folder: Path, save: Callable[[Path], None]) -> None:
    """Let `save` write a folder, replacing the one before only when complete.

    Raises:
        GraphdownError: it cannot be written; the one before is as it was.
    """
    kept = "the same command resumes from the last checkpoint"
    with explained_write_errors(folder, kept), atomic_folder(folder) as new:
        save(new)
