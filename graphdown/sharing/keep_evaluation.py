"""What evaluation finds out about an emulator, kept with it: expected errors and scores."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import xarray as xr

from graphdown.applicability.assessment import Assessment
from graphdown.applicability.error_calibration import ErrorCalibration, amounts_of
from graphdown.applicability.fit_calibration import (
    SpanErrors,
    best_span,
    fit_calibration,
    joined,
    span_errors,
)
from graphdown.config.experiment import Experiment
from graphdown.data.load import ExperimentData
from graphdown.emulator.emulator import Emulator
from graphdown.emulator.passport import write_passport
from graphdown.emulator.storage import CALIBRATION, write_further
from graphdown.evaluation import Case
from graphdown.sharing.make_passport import (
    METHOD,
    emulator_folder,
    with_calibration,
    with_scores,
)
from graphdown.variables.names import variables_of


class Predicted(NamedTuple):
    """Predictions of days that a network did not learn from.

    Attributes:
        found: the assessment of the predictors.
        made: the prediction [time, ...].
        truth: on the prediction's grid and times.
    """

    found: Assessment
    made: xr.Dataset
    truth: xr.Dataset


def keep_evaluation(
    run: Path,
    emulator: Emulator,
    experiment: Experiment,
    data: ExperimentData,
    scores: Any,
    cases: Sequence[Case],
) -> None:
    """Keep scores and expected errors with a run's emulator.

    Errors are calibrated on the validation period of all sources, none of which the scores are of.

    Args:
        run: the run's folder.
        emulator: of the run.
        experiment: that it was scored by.
        data: its fields.
        scores: the tidy table.
        cases: that were scored; their `reference` holds the validation period.
    """
    if emulator.climate is None or emulator.passport is None:
        return
    predicted: dict[str, Predicted] = {}
    for case in cases:
        if case.reference is not None:
            made, truth = case.reference
            coarse, _ = data.pair(experiment, case.name, "validation")
            past = None
            if emulator.normaliser.reference is not None:
                past = data.history(experiment, case.name)[0]
            found = emulator.applicability(coarse, historical=past)
            predicted[case.name] = Predicted(found, made[METHOD], truth)
    calibration = calibrated(emulator, predicted)
    folder, passport = emulator_folder(run), with_scores(emulator.passport, scores, experiment)
    if calibration is not None:
        write_further(folder, CALIBRATION, calibration)
    write_passport(folder, with_calibration(passport, calibration))


def calibrated(emulator: Emulator, predicted: Mapping[str, Predicted]) -> ErrorCalibration | None:
    """Expected errors fitted on predictions of days that the network did not learn from.

    Args:
        emulator: that made them.
        predicted: by name, which is the source's up to a "+".

    Returns:
        None if there are too few of them.
    """
    names = variables_of(emulator.normaliser.targets)
    span = best_span(sum(one.found.novelty.size for one in predicted.values()))
    parts: list[SpanErrors] = []
    grid = emulator.domain.target
    for name, (found, made, truth) in predicted.items():
        if np.isfinite(found.novelty).all():
            pairs = [(grid.values(made[n]), grid.values(truth[n])) for n in names]
            errors = np.stack([a.astype(np.float32) - b for a, b in pairs], axis=-1)
            by_step = errors.reshape(found.novelty.size, -1, *errors.shape[1:])
            errors = by_step.reshape(len(by_step), -1, errors.shape[-1])
            area = np.tile(grid.area, by_step.shape[1])
            amount = amounts_of(found.means, names)
            group = name.partition("+")[0]
            parts.append(span_errors(group, found.novelty, amount, errors, area, span))
    return fit_calibration(joined(parts), names, span) if parts else None
