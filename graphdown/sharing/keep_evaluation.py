"""What evaluation finds out about an emulator, kept with it: expected errors and scores."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from graphdown.applicability.error_calibration import ErrorCalibration
from graphdown.applicability.fit_calibration import (
    SpanErrors,
    best_span,
    fit_calibration,
    joined,
    span_errors,
)
from graphdown.config.experiment import Experiment
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

Predicted = tuple[xr.DataArray, xr.Dataset, xr.Dataset]


def keep_evaluation(
    run: Path, emulator: Emulator, experiment: Experiment, scores: Any, cases: Sequence[Case]
) -> None:
    """Keep scores and expected errors with a run's emulator.

    Errors are calibrated on the validation period of all sources, none of which the scores are of.

    Args:
        run: the run's folder.
        emulator: of the run.
        experiment: that it was scored by.
        scores: the tidy table.
        cases: that were scored; their `reference` holds the validation period.
    """
    if emulator.climate is None or emulator.passport is None:
        return
    predicted: dict[str, Predicted] = {}
    for case in cases:
        if case.reference is not None:
            made, truth = case.reference
            predicted[case.name] = made[METHOD].novelty, made[METHOD], truth
    calibration = calibrated(emulator, predicted)
    folder, passport = emulator_folder(run), with_scores(emulator.passport, scores, experiment)
    if calibration is not None:
        write_further(folder, CALIBRATION, calibration)
    write_passport(folder, with_calibration(passport, calibration))


def calibrated(emulator: Emulator, predicted: Mapping[str, Predicted]) -> ErrorCalibration | None:
    """Expected errors fitted on predictions of days that the network did not learn from.

    Args:
        emulator: that made them.
        predicted: by name of the source and period, the novelty [time] of the days, the prediction
            and the truth on its grid and times.

    Returns:
        None if there are too few of them.
    """
    names = variables_of(emulator.normaliser.targets)
    span = best_span(sum(novelty.time.size for novelty, _, _ in predicted.values()))
    parts: list[SpanErrors] = []
    for group, (novelty, made, truth) in predicted.items():
        grid = emulator.domain.target
        pairs = [(grid.values(made[n]), grid.values(truth[n])) for n in names]
        errors = np.stack([a.astype(np.float32) - b for a, b in pairs], axis=-1)
        known = novelty.where(np.isfinite(novelty), drop=True)
        if known.size == novelty.size:
            parts.append(span_errors(group, novelty, errors, grid.area, span))
    return fit_calibration(joined(parts), names, span) if parts else None
