"""Fields of a run that is evaluated from another place: the values that it learned from."""

from pathlib import Path

from graphdown.config.experiment import Experiment
from graphdown.data.load import ExperimentData
from graphdown.data.reading.horizontal import grid_with_masks
from graphdown.training.finetuning.replay import experiments_by_source
from graphdown.training.paired_days import training_days
from graphdown.training.run.input_checksums import (
    checksum_of_days,
    checksum_of_source,
    compare_inputs,
)


def check_learned_from(run: Path, experiment: Experiment, data: ExperimentData) -> None:
    """Refuse fields whose training days are not those that a run learned from.

    Args:
        run: its folder.
        experiment: of the run, with the places of its files as they are now.
        data: its fields.

    Raises:
        ExperimentError: a source is another one.
    """
    by_steps = experiment.by_steps
    grid, _ = grid_with_masks(data.fine, by_steps.targets, "the target")
    views = experiments_by_source(by_steps, data.sources)
    days = [training_days(data, views[name], name, grid) for name in data.sources]
    compare_inputs(run, {checksum_of_source(d.name): checksum_of_days(d) for d in days})
