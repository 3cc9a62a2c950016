"""A run's folder: made for an experiment, or checked to hold it."""

import logging
from collections.abc import Callable
from pathlib import Path

from graphdown.config.experiment import Experiment
from graphdown.config.experiment_file import (
    as_written,
    load_stored_experiment,
    write_experiment,
)
from graphdown.config.learned_settings import (
    continued_settings,
    first_difference,
    learned_settings,
)
from graphdown.data.sample_store import FOLDER
from graphdown.errors import ExperimentError
from graphdown.runtime.atomic import atomic_folder
from graphdown.runtime.distributed import first_before_others, is_first
from graphdown.runtime.write_errors import explained_write_errors
from graphdown.training.run.lock import LOCK

EXPERIMENT = "experiment.yaml"
BEFORE = (FOLDER, LOCK, f".{EXPERIMENT}.new")  # what a folder may hold before it is a run's
CHECKPOINTS = "checkpoints"

log = logging.getLogger(__name__)


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
    """Refuse a folder that holds anything but this experiment, or fields for a run to come.

    A run may have moved, with its files or without, and go on for more steps or with other batches.
    """
    stored = run / EXPERIMENT
    if not stored.exists():
        if run.exists() and any(path.name not in BEFORE for path in run.iterdir()):
            raise ExperimentError(
                f"'output' names {str(run)!r}, a folder that is neither empty nor a run; choose "
                "another."
            )
        return
    # Read as an experiment, so that options it was written without count as their defaults.
    begun = load_stored_experiment(stored)
    differing = first_difference(learned_settings(begun), learned_settings(experiment))
    if differing is not None and not as_written(stored):
        raise ExperimentError(
            f"{str(stored)!r} was changed since the run began, or is damaged ({differing!r} is not "
            "the experiment's); put it back as it was, or choose another 'output'."
        )
    if differing is not None:
        raise ExperimentError(
            f"'output' names {str(run)!r}, which holds a run with another {differing!r}; choose "
            "another 'output'."
        )
    _check_continued(begun, experiment, run)


def _check_continued(begun: Experiment, experiment: Experiment, run: Path) -> None:
    """Report settings with which a run goes on otherwise than it began.

    Raises:
        ExperimentError: it is finished, and they would be ignored.
    """
    before, now = continued_settings(begun), continued_settings(experiment)
    changed = [f"training.{key}" for key in now if now[key] != before[key]]
    folder = run / CHECKPOINTS
    steps = [int(p.name) for p in folder.glob("*") if p.name.isdecimal()]
    if not changed or not steps:
        return
    if max(steps) >= experiment.training.steps:
        raise ExperimentError(
            f"'output' names {str(run)!r}, which holds a run that is finished after {max(steps)} "
            f"steps, so that another {changed[0]!r} changes nothing; raise 'training.steps', or "
            "choose another 'output'."
        )
    log.warning(
        "The run %r resumes at step %d with other settings than it began with: %s.",
        str(run),
        max(steps),
        ", ".join(changed),
    )


def put(folder: Path, save: Callable[[Path], None]) -> None:
    """Let `save` write a folder, replacing the one before only when complete.

    Raises:
        GraphdownError: it cannot be written; the one before is as it was.
    """
    kept = "the same command resumes from the last checkpoint"
    with explained_write_errors(folder, kept), atomic_folder(folder) as new:
        save(new)
