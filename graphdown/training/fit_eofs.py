"""Fit the EOFs of an experiment: on its training days, the noise on validation days."""

from collections.abc import Iterator

import numpy as np

from graphdown.config.experiment import Experiment
from graphdown.data.grid_bank import GridBank
from graphdown.data.load import ExperimentData, source_arrays
from graphdown.data.normalise import warming_spread
from graphdown.data.reading.fields import field_values
from graphdown.emulator.eofs import EOFs, Known, choose_noise, fit_eofs
from graphdown.errors import ExperimentError
from graphdown.training.paired_days import training_days
from meshes import Grid, bilinear

PART_DAYS = 64  # of validation, that are read at once


def fit_experiment_eofs(experiment: Experiment, data: ExperimentData, target: Grid) -> EOFs:
    """Fit the EOFs of an experiment's fields and targets.

    Args:
        experiment: its one training source has random grids.
        data: the experiment's fields.
        target: the target grid.

    Raises:
        ExperimentError: the experiment trains on several sources, or on one without grids.
    """
    name = next(iter(data.sources))
    bank = data.banks.get(name)
    if bank is None or len(data.sources) > 1:
        raise ExperimentError(
            "'model.eofs' needs exactly one training source, and this with 'grids', since the "
            "EOFs are those of its fields; give one, or set 'model.eofs: 0'."
        )
    days = training_days(data, experiment, name, target)
    offset = experiment.training.warming_offset
    places = {name: k for k, name in enumerate(experiment.predictors)}
    columns = [places.get(name, len(places)) for name in experiment.targets]
    eofs = fit_eofs(
        bank.fields,
        days.source,
        days.fine,
        experiment.model.eofs,
        np.asarray(columns),
        warming=warming_spread(experiment.predictors, offset),
        target_warming=warming_spread(experiment.targets, offset),
    )
    return choose_noise(eofs, list(_validation(experiment, data, name, bank, target)))


def _validation(
    experiment: Experiment, data: ExperimentData, name: str, bank: GridBank, target: Grid
) -> Iterator[Known]:
    """Yield the validation days on the grids that training leaves out, the finest, the coarsest."""
    order = sorted(range(len(bank.grids)), key=lambda k: float(bank.grids[k].area.mean()))
    fields, fine = data.fields(experiment, name, "validation")
    for number in sorted({*bank.evaluation_grids, order[0], order[-1]}):
        grid = bank.grids[number]
        to_target = bilinear(grid, target)
        for start in range(0, fields.sizes["time"], PART_DAYS):
            days = slice(start, start + PART_DAYS)
            coarse = bank.upscale(fields.isel(time=days), number)
            _, values = source_arrays(coarse, experiment.predictors, f"the source {name!r}")
            truth = field_values(fine.isel(time=days), experiment.targets, target)
            yield Known(grid, bank.weights[number], to_target, values, truth)
