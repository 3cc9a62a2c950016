"""Make the passport of an emulator from its experiment, its data and its scores."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from graphdown.applicability.day_measures import MEAN, SEASONS
from graphdown.applicability.error_calibration import ErrorCalibration
from graphdown.applicability.training_climate import TrainingClimate
from graphdown.cf.provenance import driving_attrs, versions
from graphdown.config.experiment import Experiment
from graphdown.data.load import ExperimentData
from graphdown.data.reading.horizontal import horizontal_grid
from graphdown.emulator.emulator import Emulator
from graphdown.emulator.passport import sealed
from graphdown.variables.catalogue import describe
from meshes import Grid
from meshes.graphs.coverage import describe_extent

SCORES = ("rmse", "bias", "p98_bias", "wasserstein1", "signal_rmse")
METHOD = "graphdown"


def passport_of_training(
    emulator: Emulator, experiment: Experiment, data: ExperimentData
) -> dict[str, Any]:
    """Passport of an emulator that was trained, not scored yet.

    Args:
        emulator: with its training climate.
        experiment: that it was trained in.
        data: its fields.
    """
    names = experiment.predictors
    sources = {name: _source(ds, names, name) for name, ds in data.sources.items()}
    periods = experiment.periods
    return sealed(
        {
            "name": experiment.name,
            "emulator": {"sha256": emulator.sha256},
            "versions": versions(),
            "training": {
                "sources": sources,
                "random_grids": sorted(data.banks),
                "periods": {"train": list(periods.train), "validation": list(periods.validation)},
                "finetuned": experiment.finetune is not None,
                "warming_offset": list(experiment.training.warming_offset),
                "seed": experiment.seed,
            },
            "target": _grid(emulator.domain.target),
            "predictors": _variables(emulator.predictors),
            "targets": _variables(emulator.targets),
            "climate": None if emulator.climate is None else _climate(emulator.climate),
            "scores": [],
            "error_calibration": _described(emulator.error_calibration),
            "owner": {
                "licence": experiment.licence,
                "contact": experiment.contact,
                "citation": experiment.citation,
            },
        }
    )


def with_scores(passport: Mapping[str, Any], scores: Any, experiment: Experiment) -> dict[str, Any]:
    """Passport with the scores of a run.

    Args:
        passport: of the emulator.
        scores: the tidy table of `graphdown.comparison.evaluate_run`.
        experiment: that it was scored by.
    """
    ours = scores[(scores.method == METHOD) & scores.measure.isin(SCORES)]
    rows = [
        {
            "source": str(row.case),
            "block": "seen source, later period" if row.seen else "unseen source, later period",
            "variable": str(row.variable),
            "measure": str(row.measure),
            "value": float(f"{row.value:.4g}"),
            "units": str(row.units),
        }
        for row in ours.itertuples()
        if np.isfinite(row.value)
    ]
    scored = {"test_period": list(experiment.periods.test), "scores": rows}
    return sealed({**passport, **scored})


def with_error_calibration(
    passport: Mapping[str, Any], calibration: ErrorCalibration | None
) -> dict[str, Any]:
    """Passport with what the expected errors were calibrated on."""
    return sealed({**passport, "error_calibration": _described(calibration)})


def _described(calibration: ErrorCalibration | None) -> dict[str, Any] | None:
    return None if calibration is None else calibration.schema


def emulator_folder(run: str | Path) -> Path:
    """Folder of the emulator in a run's folder, or the folder itself."""
    inner = Path(run) / "emulator"
    return inner if inner.is_dir() else Path(run)


def _source(ds: xr.Dataset, names: tuple[str, ...], name: str) -> dict[str, Any]:
    there = [variable for variable in names if variable in ds]
    return {
        **driving_attrs(ds.attrs),
        "grid": _grid(horizontal_grid(ds.isel(time=slice(0, 1)), there, f"the source {name!r}")),
        "predictors": there,
    }


def _grid(grid: Grid) -> dict[str, Any]:
    return {
        "kind": grid.kind,
        "points": int(grid.mask.sum()),
        "spacing_km": round(float(grid.spacing_km), 1),
        "extent": describe_extent(grid),
    }


def _variables(names: tuple[str, ...]) -> dict[str, dict[str, str]]:
    found = {name: describe(name) for name in names}
    return {name: {"long_name": v.long_name, "units": v.units} for name, v in found.items()}


def _climate(climate: TrainingClimate) -> dict[str, Any]:
    """Range of the regional mean of each predictor over seasons and years."""
    low, high = (climate.centre + sign * climate.half_width for sign in (-1.0, 1.0))
    return {
        name: {
            season: [float(f"{low[s, v, MEAN]:.5g}"), float(f"{high[s, v, MEAN]:.5g}")]
            for s, season in enumerate(SEASONS)
            if climate.season_days[s] and np.isfinite(low[s, v, MEAN])
        }
        for v, name in enumerate(climate.predictors)
    }
