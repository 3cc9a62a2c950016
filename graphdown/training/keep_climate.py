"""Climate of the training days and passport, kept with an emulator at the end of its run."""

from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import xarray as xr

from graphdown.applicability.fit_climate import SourceRecord, fit_climate
from graphdown.applicability.training_climate import TrainingClimate
from graphdown.config.experiment import Experiment
from graphdown.data.load import ExperimentData
from graphdown.data.reading.rules import Notes
from graphdown.data.streaming import SourceDays
from graphdown.emulator.emulator import Emulator
from graphdown.emulator.storage import load, save
from graphdown.runtime.distributed import first_before_others
from graphdown.sharing.make_passport import passport_of_training
from graphdown.training.paired_days import validation_grids, validation_pair
from graphdown.training.periods import learned_from, with_last_years
from graphdown.training.run.folder import put


def keep_climate(experiment: Experiment, data: ExperimentData, folder: Path) -> Emulator:
    """A run's emulator with the climate of its training days and a passport, kept in its folder.

    Args:
        experiment: of the run, by steps.
        data: its fields.
        folder: of the run, with the emulator that training left; one that has both stays as it is.
    """
    with first_before_others("climate"):
        emulator = load(folder)
        if emulator.climate is not None and emulator.passport is not None:
            return emulator
        climate = emulator.climate or climate_of_training(emulator, experiment, data)
        emulator = replace(emulator, climate=climate)
        emulator = replace(emulator, passport=passport_of_training(emulator, experiment, data))
        put(folder / "emulator", partial(save, emulator))
    return emulator


def climate_of_training(
    emulator: Emulator, experiment: Experiment, data: ExperimentData
) -> TrainingClimate:
    """Climate of the days that an emulator learned from, with limits by those held out."""
    recent = with_last_years(experiment)
    records = [
        _record(emulator, experiment, data, name, pair[0], held_out)
        for name in data.sources
        for grid in validation_grids(data.banks.get(name))
        for pair, held_out in (
            (_learned(recent, data, name, grid), False),
            (validation_pair(data, recent, name, grid), True),
        )
    ]
    normaliser, domain = emulator.normaliser, emulator.domain
    return fit_climate(
        records,
        normaliser.predictors,
        normaliser.predictor_transforms,
        domain.target,
        domain.spec.encode_radius_km,
    )


def _learned(
    experiment: Experiment, data: ExperimentData, source: str, grid: int | None
) -> tuple[xr.Dataset, xr.Dataset]:
    """Days of a source that the network learned from, on a grid as for `ExperimentData.pair`."""
    pair, tuned = data.pair(experiment, source, "train", grid), experiment.finetune
    share = 0.0 if tuned is None else tuned.validation_share
    return learned_from(pair, share) if share else pair


def _record(
    emulator: Emulator,
    experiment: Experiment,
    data: ExperimentData,
    source: str,
    coarse: xr.Dataset,
    held_out: bool,
) -> SourceRecord:
    historical = None
    if emulator.normaliser.reference is not None:
        historical = data.history(experiment, source)[0]
    adjustment = emulator.adjustment(historical, None)
    names = emulator.normaliser.predictors
    days = SourceDays(coarse, names, f"the source {source!r}", Notes())

    def values() -> Iterator[np.ndarray]:
        for part in days.passed(np.arange(days.grid.size)):
            yield part if adjustment is None else adjustment(part)

    return SourceRecord(source, days.grid, values, coarse["time"], held_out)
