"""Export of an emulator for others, with passport, example and README, and the check of it."""

import hashlib
import json
import shutil
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

import numpy as np
import xarray as xr

from graphdown.config.experiment_file import load_stored_experiment
from graphdown.data.load import load_data
from graphdown.data.reading.fields import OpenFiles
from graphdown.data.reading.file_request import Request
from graphdown.data.sample_store import store_folder
from graphdown.emulator.emulator import Emulator
from graphdown.emulator.storage import load
from graphdown.errors import DamageError, GraphdownError
from graphdown.output.writer import write
from graphdown.runtime.atomic import atomic_folder
from graphdown.sharing.describe import passport_of, passport_text
from graphdown.sharing.make_passport import emulator_folder
from graphdown.variables.names import variable_of

MANIFEST, README = "manifest.json", "README.md"
INPUT, PAST, EXPECTED = "example/input.nc", "example/historical.nc", "example/expected.nc"
EXAMPLE_DAYS, PAST_DAYS = 6, 60
ROUNDING = 1e-3  # of the typical size of a target's correction


def export(run: str | Path, folder: str | Path, example: Sequence[str] = ()) -> Path:
    """Export the emulator of a run: what one gives to a colleague.

    Args:
        run: the run's folder.
        folder: a new folder, for the emulator, its passport, an example of some days with the
            expected output, a README made from the passport, and the hashes of all files.
        example: files to take the example from; by default the first of the run's `inputs`, or its
            own data.

    Returns:
        The folder.

    Raises:
        GraphdownError: the folder exists, or the run has no emulator, passport or example.
    """
    run, folder = Path(run), Path(folder)
    if folder.exists():
        raise GraphdownError(f"{str(folder)!r} exists already; choose a new folder.")
    passport, emulator = passport_of(run), load(run)
    coarse, past = _example(run, emulator, example)
    expected = emulator.downscale(coarse, historical=past)
    folder.parent.mkdir(parents=True, exist_ok=True)
    with atomic_folder(folder) as new:
        shutil.copytree(emulator_folder(run), new / "emulator")
        (new / "example").mkdir()
        write(coarse, new / INPUT, "graphdown export: the example's input")
        if past is not None:
            write(past, new / PAST, "graphdown export: the example's historical fields")
        write(expected, new / EXPECTED, "graphdown export: the example's output")
        (new / README).write_text(f"{passport_text(passport)}\n{_usage(past)}", encoding="utf-8")
        hashes = {str(p.relative_to(new)): _sha256(p) for p in sorted(_files(new))}
        (new / MANIFEST).write_text(json.dumps(hashes, indent=1), encoding="utf-8")
    return folder


def verify(folder: str | Path) -> str:
    """Repeat the example of an exported emulator and compare; return a sentence on the outcome.

    Args:
        folder: that `export` made.

    Raises:
        DamageError: a file was changed, is absent or was added.
        GraphdownError: the folder is no export, or the example comes out otherwise here.
    """
    folder = Path(folder)
    _check_files(folder)
    emulator = load(folder)
    past = _opened(folder / PAST) if (folder / PAST).is_file() else None
    made = emulator.downscale(_opened(folder / INPUT), historical=past)
    expected = _opened(folder / EXPECTED)
    sizes = dict(zip(emulator.normaliser.targets, emulator.normaliser.scale, strict=True))
    found = []
    for name in emulator.targets:
        difference = float(np.nan_to_num(np.abs(made[name].values - expected[name].values)).max())
        units = expected[name].attrs.get("units", "")
        same = (np.isnan(made[name].values) == np.isnan(expected[name].values)).all()
        if not same or not difference <= ROUNDING * sizes[name]:
            raise GraphdownError(
                f"The example of {str(folder)!r} comes out otherwise here: {name!r} differs by up "
                f"to {difference:.3g} {units}; compare the versions "
                "of the packages with those in README.md."
            )
        found.append(f"{name} to within {difference:.2g} {units}")
    return f"All files are as they were exported, and the example is repeated: {', '.join(found)}."


def _check_files(folder: Path) -> None:
    path = folder / MANIFEST
    try:
        hashes: dict[str, str] = dict(json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):
        raise GraphdownError(
            f"{str(folder)!r} is no exported emulator: {MANIFEST} is absent or damaged; make one "
            "with graphdown export."
        ) from None
    there = {str(p.relative_to(folder)): p for p in _files(folder) if p != path}
    odd = [f"{name} is absent" for name in hashes if name not in there]
    odd += [f"{name} was added" for name in there if name not in hashes]
    odd += [
        f"{name} was changed" for name, p in there.items() if hashes.get(name, "") != _sha256(p)
    ]
    if odd:
        raise DamageError(
            f"{str(folder)!r} is not as it was exported: {odd[0]}; copy the folder again."
        )


def _files(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file()]


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _opened(path: Path) -> xr.Dataset:
    with xr.open_dataset(path, engine="netcdf4") as ds:
        return ds.load()


def _example(
    run: Path, emulator: Emulator, files: Sequence[str]
) -> tuple[xr.Dataset, xr.Dataset | None]:
    """Some days of predictors, and of historical ones where the emulator needs them."""
    given = [*files] or [str(path) for path in sorted((run / "inputs").glob("*.nc"))][:1]
    needs_past = emulator.normaliser.reference is not None
    if given and not needs_past:
        request = Request(emulator.needed, ("orog", *emulator.optional_predictors))
        with closing(OpenFiles(given, request)) as opened:
            return opened.read()[0].isel(time=slice(0, EXAMPLE_DAYS)).compute(), None
    stored = run / "experiment.yaml"
    if not stored.is_file():
        raise GraphdownError(
            f"{str(run)!r} holds no experiment.yaml to take an example from; name files with "
            "--example."
        )
    experiment = load_stored_experiment(stored)
    known = emulator.normaliser.known_units
    data = load_data(experiment, store_folder(experiment, run), known)
    name = next(iter(data.sources))
    days = _plain(data.pair(experiment, name, "test")[0]).isel(time=slice(0, EXAMPLE_DAYS))
    if not needs_past:
        return days.compute(), None
    past = _plain(data.history(experiment, name)[0]).isel(time=slice(0, PAST_DAYS))
    return days.compute(), past.compute()


def _plain(ds: xr.Dataset) -> xr.Dataset:
    """Fields of the step itself."""
    return ds[[name for name in ds.data_vars if variable_of(str(name)) == name]]


def _usage(past: xr.Dataset | None) -> str:
    historical = "" if past is None else " --historical PAST..."
    return f"""
## How to use it

Check that it works here as it did where it was made:

    graphdown verify .

Ask whether it may be used on your files, and use it:

    graphdown check --run . FILES...
    graphdown downscale . FILES... -o fine.nc{historical}
"""
