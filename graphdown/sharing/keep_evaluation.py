"""What evaluation finds out about an emulator, kept with it: expected errors and scores."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import xarray as xr

from graphdown.applicability.assessment import Assessment
from graphdown.applicability.day_errors import DayErrors, joined_days
from graphdown.applicability.error_calibration import ErrorCalibration, amounts_of
from graphdown.applicability.fit_error_calibration import (
    SpanErrors,
    best_span,
    fit_error_calibration,
    joined,
    span_errors,
)
from graphdown.baselines.field_blocks import blocks_of_days
from graphdown.config.experiment import Experiment
from graphdown.data.load import ExperimentData
from graphdown.emulator.emulator import Emulator
from graphdown.emulator.passport import write_passport
from graphdown.emulator.storage import ERROR_CALIBRATION, write_further
from graphdown.evaluation import Case
from graphdown.sharing.make_passport import (
    METHOD,
    emulator_folder,
    with_error_calibration,
    with_scores,
)


class HeldOutErrors(NamedTuple):
    """Errors on days that a network did not learn from.

    Attributes:
        found: the assessment of the predictors.
        errors: of their days.
    """

    found: Assessment
    errors: DayErrors


def held_out_errors(
    emulator: Emulator, experiment: Experiment, data: ExperimentData, case: Case
) -> HeldOutErrors | None:
    """Errors in the validation period of a case, from which expected errors are calibrated.

    Args:
        emulator: that made the predictions.
        experiment: that it is scored by.
        data: its fields.
        case: its `reference` holds the validation period.

    Returns:
        None for an emulator without climate and passport, which keeps nothing.
    """
    if emulator.climate is None or emulator.passport is None or case.reference is None:
        return None
    made, truth = case.reference
    coarse, _ = data.pair(experiment, case.name, "validation")
    past = None
    if emulator.normaliser.reference is not None:
        past = data.history(experiment, case.name)[0]
    found = emulator.applicability(coarse, historical=past)
    return errors_of(emulator, found, made[METHOD], truth)


def errors_of(
    emulator: Emulator, found: Assessment, made: xr.Dataset, truth: xr.Dataset
) -> HeldOutErrors:
    """Errors of predictions, which are read some days at a time.

    Args:
        emulator: that made them.
        found: the assessment of the predictors.
        made: the prediction [time, ...].
        truth: on the prediction's grid and times.
    """
    grid, names = emulator.domain.target, emulator.targets
    area = grid.area[grid.mask]
    parts = []
    for block in blocks_of_days(grid, made.sizes["time"], 2 * len(names)):
        pairs = [(block.read(made[name], grid), block.read(truth[name], grid)) for name in names]
        parts.append(DayErrors.of(np.stack([a - b for a, b in pairs], axis=-1), area))
    return HeldOutErrors(found, joined_days(parts).by_step(found.novelty.size))


def keep_evaluation(
    run: Path,
    emulator: Emulator,
    experiment: Experiment,
    scores: Any,
    held_out: Mapping[str, HeldOutErrors],
) -> None:
    """Keep scores and expected errors with a run's emulator.

    Errors are calibrated on the validation period of all sources, none of which the scores are of.

    Args:
        run: the run's folder.
        emulator: of the run; one without climate and passport stays as it is.
        experiment: that it was scored by.
        scores: the tidy table.
        held_out: errors in the validation period by source.
    """
    if emulator.climate is None or emulator.passport is None:
        return
    calibration = calibrated(emulator, held_out)
    folder, passport = emulator_folder(run), with_scores(emulator.passport, scores, experiment)
    if calibration is not None:
        write_further(folder, ERROR_CALIBRATION, calibration)
    write_passport(folder, with_error_calibration(passport, calibration))


def calibrated(
    emulator: Emulator, held_out: Mapping[str, HeldOutErrors]
) -> ErrorCalibration | None:
    """Expected errors fitted on predictions of days that the network did not learn from.

    Args:
        emulator: that made them.
        held_out: by name, which is the source's up to a "+".

    Returns:
        None if there are too few of them.
    """
    span = best_span(sum(one.found.novelty.size for one in held_out.values()))
    parts: list[SpanErrors] = []
    for name, (found, errors) in held_out.items():
        if np.isfinite(found.novelty).all():
            amount = amounts_of(found.means, emulator.targets)
            parts.append(span_errors(name.partition("+")[0], found.novelty, amount, errors, span))
    return fit_error_calibration(joined(parts), emulator.targets, span) if parts else None
