"""An emulator's folder: parameters, schema and target grid, without pickle.

emulator.json    what the parameters belong to, their hash and the versions that wrote them
parameters.npz   the network's parameters, and EOFs if there are any
target.nc        target grid, mask, those of variables that have another one, and static fields
fields.nc        grid of the fields that EOFs belong to
ground.nc        height and land around a target that does not have them itself
climate.npz      the climate of the training days, and climate.json with its hash
error_calibration.npz   the errors to expect, and error_calibration.json with its hash
passport.json    see `graphdown.emulator.passport`
"""

import json
from collections.abc import Hashable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from textwrap import shorten
from typing import Any, TypeVar
from zipfile import BadZipFile

import numpy as np
import xarray as xr

from graphdown.applicability.error_calibration import ErrorCalibration
from graphdown.applicability.training_climate import TrainingClimate
from graphdown.cf.provenance import versions
from graphdown.config.parse import parse_as
from graphdown.data.normalise import Normaliser
from graphdown.data.terrain import Ground
from graphdown.emulator.dependence import Dependence
from graphdown.emulator.domain import TargetDomain
from graphdown.emulator.emulator import EOFS_PREFIX, Emulator
from graphdown.emulator.eofs import EOFs
from graphdown.emulator.needs import load_for_emulator, missing_entries, needed_extensions
from graphdown.emulator.passport import read_passport, write_passport
from graphdown.errors import DamageError, GraphdownError
from graphdown.model import ModelSpec
from graphdown.model.calibration import Calibration
from graphdown.runtime.hashing import checkpoint_sha256
from graphdown.variables.names import check_names
from graphdown.variables.time_steps import TimeSpec
from meshes import GraphSpec, Grid
from meshes.geometry.archive import read_arrays
from meshes.grids.conventions import bounds_label

FORMAT = 1
PARAMETERS, SCHEMA, TARGET = "parameters.npz", "emulator.json", "target.nc"
FIELDS, GROUND = "fields.nc", "ground.nc"
CLIMATE, ERROR_CALIBRATION = "climate", "error_calibration"  # names of .npz and .json files
FURTHER_FORMAT = 1  # of those
MASK = "target_mask"
MASK_OF = f"{MASK}_"  # and the name of a variable that has a mask of its own
NOT_HASHED = ("format", "extensions", "sha256", "versions")
Further = TypeVar("Further", TrainingClimate, ErrorCalibration)
LONGEST = 200  # characters of what a library says of a damaged file, which may quote the damage


def save(emulator: Emulator, folder: Path) -> None:
    """Write an emulator into a new or empty folder."""
    domain = emulator.domain
    folder.mkdir(parents=True, exist_ok=True)
    np.savez(folder / PARAMETERS, **emulator.arrays)  # type: ignore[arg-type]
    _write_grid(folder / TARGET, domain.target, domain.statics.assign(_masks(domain)))
    if domain.eofs is not None:
        _write_grid(folder / FIELDS, domain.eofs.grid, xr.Dataset())
    if domain.ground is not None:
        _write_grid(folder / GROUND, domain.ground.grid, domain.ground.statics)
    if emulator.climate is not None:
        write_further(folder, CLIMATE, emulator.climate)
    if emulator.error_calibration is not None:
        write_further(folder, ERROR_CALIBRATION, emulator.error_calibration)
    if emulator.passport is not None:
        write_passport(folder, emulator.passport)
    extensions = needed_extensions(emulator.schema)
    described = {**emulator.schema, "extensions": extensions} if extensions else emulator.schema
    write_schema(folder / SCHEMA, described, emulator.sha256, FORMAT)


def load(run: str | Path, extensions: Sequence[str] = ()) -> Emulator:
    """Load the emulator of a run.

    Args:
        run: the run's folder, or its `emulator` folder.
        extensions: names of modules or paths of .py files with heads, transforms, builders or
            variables of the user's own that the emulator needs, beside those that the environment
            variable GRAPHDOWN_EXTENSIONS names.

    Raises:
        ExperimentError: there is no such extension, or it fails.
        GraphdownError: the folder holds no emulator, one of a newer version, or a damaged one.
    """
    folder = Path(run) / "emulator" if (Path(run) / "emulator").is_dir() else Path(run)
    if not (folder / SCHEMA).is_file():
        raise DamageError(
            f"{str(run)!r} holds no emulator; give the folder of a finished training run."
        )
    schema = read_schema(folder / SCHEMA, FORMAT)
    load_for_emulator(extensions, folder)
    with one_sentence(folder / SCHEMA):
        missing = missing_entries(schema, str(run))
    if missing:
        raise GraphdownError(missing)
    with one_sentence(folder / SCHEMA):
        name = str(schema["name"])
        model = parse_as(ModelSpec, schema["model"], "model")
        spec = parse_as(GraphSpec, schema["graph"], "graph")
        time = TimeSpec.from_dict(schema["time"])
        networks = int(schema["networks"])
        normaliser = Normaliser.from_dict(schema["normaliser"])
        check_names((*normaliser.predictors, *normaliser.targets))
        dependence = parse_as(Dependence, schema.get("dependence", {}), "dependence")
        calibration = schema.get("calibration")
        if calibration is not None:
            calibration = parse_as(Calibration, calibration, "calibration")
    arrays = read_parameters(folder, PARAMETERS, SCHEMA, schema, "training")
    params = {k: v for k, v in arrays.items() if not k.startswith(EOFS_PREFIX)}
    domain = _domain(folder, spec, arrays, model.innovation_rounds > 0)
    emulator = Emulator(
        name,
        model,
        normaliser,
        domain,
        params,
        time,
        networks=networks,
        loader=partial(load, str(folder.resolve()), tuple(extensions)),
        dependence=dependence,
        calibration=calibration,
    )
    return _with_further(emulator, folder)


def _with_further(emulator: Emulator, folder: Path) -> Emulator:
    """The emulator with the training climate, expected errors and passport of its folder."""
    return replace(
        emulator,
        climate=_further(folder, CLIMATE, TrainingClimate),
        error_calibration=_further(folder, ERROR_CALIBRATION, ErrorCalibration),
        passport=read_passport(folder, emulator.sha256),
    )


def _domain(
    folder: Path, spec: GraphSpec, arrays: Mapping[str, np.ndarray], innovations: bool
) -> TargetDomain:
    """The target of an emulator, with its EOFs if there are any."""
    target, fields = _read_grid(folder / TARGET)
    masks = {n: f for n, f in fields.data_vars.items() if str(n).startswith(MASK_OF)}
    ground = Ground(*_read_grid(folder / GROUND)) if (folder / GROUND).is_file() else None
    return TargetDomain(
        target,
        fields.drop_vars(list(masks)),
        spec,
        _eofs(folder, arrays),
        ground,
        {str(n).removeprefix(MASK_OF): target.values(f) != 0 for n, f in masks.items()},
        innovations,
    )


def write_schema(path: Path, schema: Mapping[str, Any], sha256: str, number: int) -> None:
    """Write what parameters belong to, with their hash, the file format and the versions."""
    described = {"format": number, **schema, "sha256": sha256, "versions": versions()}
    path.write_text(json.dumps(described, indent=1), encoding="utf-8")


def read_schema(path: Path, newest: int) -> dict[str, Any]:
    """Read what parameters belong to, as `write_schema` wrote it.

    Args:
        path: the file.
        newest: the newest file format that can be read.

    Raises:
        GraphdownError: the file is of a newer format, or damaged.
    """
    with one_sentence(path):
        schema: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        newer = schema["format"] > newest
    if newer:
        raise GraphdownError(
            f"{str(path.parent)!r} was written by a newer graphdown (format {schema['format']}; "
            f"this one reads up to {newest}); update graphdown."
        )
    return schema


def read_parameters(
    folder: Path, parameters: str, schema_file: str, schema: Mapping[str, Any], work: str
) -> dict[str, np.ndarray]:
    """Read arrays and check them by the hash that they were written with.

    Args:
        folder: where they are.
        parameters, schema_file: names of the files.
        schema: as of `read_schema`.
        work: that made them, for the message.

    Raises:
        DamageError: the arrays or the schema are not as they were written.
    """
    with one_sentence(folder / parameters):
        arrays = read_arrays(folder / parameters)
    with one_sentence(folder / schema_file):
        written = schema["sha256"]
    hashed = {key: value for key, value in schema.items() if key not in NOT_HASHED}
    if checkpoint_sha256(arrays, hashed) != written:
        raise DamageError(
            f"{str(folder)!r} is damaged ({parameters} and {schema_file} do not have the hash that "
            f"they were written with); copy the folder again or repeat the {work}."
        )
    return arrays


@contextmanager
def one_sentence(path: Path) -> Iterator[None]:
    """Turn any failure to read a file of the emulator into one sentence.

    Raises:
        DamageError: the file is absent or damaged.
    """
    try:
        yield
    except (OSError, EOFError, ValueError, KeyError, TypeError, RuntimeError, BadZipFile) as error:
        reason = "the file is absent" if isinstance(error, FileNotFoundError) else str(error)
        reason = f"{reason} is absent" if isinstance(error, KeyError) else reason
        raise DamageError(
            f"{str(path)!r} is damaged ({shorten(reason, LONGEST).rstrip('.')}); copy the folder "
            "again or repeat the training."
        ) from None


def stored_coordinates(grid: Grid) -> dict[Hashable, xr.Variable]:
    """Coordinates of a grid, bounds included, from which reading makes the same grid."""
    variables = {}
    for name, variable in grid.coords.variables.items():
        label = bounds_label(variable)
        bounds = {"bounds": str(label)} if label in grid.coords.variables else {}
        attrs = {k: v for k, v in variable.attrs.items() if k != "bounds"}
        variables[name] = xr.Variable(variable.dims, variable.values, {**attrs, **bounds})
    return variables


def _eofs(folder: Path, arrays: Mapping[str, np.ndarray]) -> EOFs | None:
    stored = {
        name.removeprefix(EOFS_PREFIX): value
        for name, value in arrays.items()
        if name.startswith(EOFS_PREFIX)
    }
    return EOFs(_read_grid(folder / FIELDS)[0], **stored) if stored else None


def write_further(folder: Path, name: str, values: TrainingClimate | ErrorCalibration) -> None:
    """Write the climate or the expected errors of an emulator into its folder."""
    arrays, described = values.arrays(), values.schema
    np.savez_compressed(folder / f"{name}.npz", **arrays)  # type: ignore[arg-type]
    write_schema(
        folder / f"{name}.json", described, checkpoint_sha256(arrays, described), FURTHER_FORMAT
    )


def _further(folder: Path, name: str, kind: type[Further]) -> Further | None:
    """The climate or the expected errors of an emulator, None for one without."""
    schema_file = f"{name}.json"
    if not (folder / schema_file).is_file():
        return None
    schema = read_schema(folder / schema_file, FURTHER_FORMAT)
    arrays = read_parameters(folder, f"{name}.npz", schema_file, schema, "training")
    with one_sentence(folder / f"{name}.npz"):
        return kind.of_arrays(arrays)


def _masks(domain: TargetDomain) -> dict[str, xr.DataArray]:
    """Masks of the variables that have their own, by their names in the file."""
    return {
        MASK_OF + name: domain.target.dataarray(mask.astype(np.int8), MASK_OF + name)
        for name, mask in domain.masks.items()
    }


def _write_grid(path: Path, grid: Grid, statics: xr.Dataset) -> None:
    """Write a grid with its mask and static fields."""
    ds = xr.Dataset({MASK: grid.dataarray(grid.mask.astype(np.int8), MASK), **statics})
    ds.assign_coords(stored_coordinates(grid)).to_netcdf(path)


def _read_grid(path: Path) -> tuple[Grid, xr.Dataset]:
    """Read a grid and its static fields."""
    with one_sentence(path), xr.open_dataset(path, engine="netcdf4") as opened:
        ds = opened.load()
        statics = ds.drop_vars(MASK)
        bare = ds.drop_vars(list(statics.data_vars))
        return Grid.from_dataset(bare, mask=ds[MASK].astype(bool)), statics
