"""Checksums of a run's input: a resumed run must learn from the fields that it began with."""

import json
import zlib
from collections.abc import Iterable, Mapping
from pathlib import Path

import numpy as np
import xarray as xr

from graphdown.errors import ExperimentError
from graphdown.runtime.atomic import write_durably
from graphdown.runtime.distributed import is_first
from graphdown.runtime.hashing import array_digest
from graphdown.runtime.write_errors import explained_write_errors
from graphdown.training.paired_days import PairedDays
from meshes import Grid

FILE = "fields.json"
CHECKSUM_OF_ALL = "these"
Checksums = dict[str, str]


def checksum_of_grid(grid: Grid, fields: Iterable[xr.DataArray]) -> str:
    """Checksum of a grid's points and of fields on it."""
    return array_digest([grid.lon, grid.lat, grid.mask, *(field.values for field in fields)])


def checksum_of_source(name: str) -> str:
    """What the checksum of a source is called."""
    return f"the source {name!r}"


def checksum_of_days(days: PairedDays) -> str:
    """Checksum of the days, values, grid and height of a source, and of its targets."""
    grid = days.grid
    height = [] if days.orog is None else [days.orog.values]
    times = dates_of(days.time)
    return array_digest([times, grid.lon, grid.lat, *height, days.source, days.fine])


def dates_of(time: xr.DataArray) -> np.ndarray:
    """Days as numbers in any calendar: 1000 times the year plus the day of the year."""
    return np.asarray(time.dt.year.values * 1000 + time.dt.dayofyear.values, np.int64)


def check_inputs(run: Path, checksums: Mapping[str, str]) -> None:
    """Compare the checksums of fields with those of the run's beginning, or write them down.

    Args:
        run: its folder.
        checksums: by what they are of.

    Raises:
        ExperimentError: a field is another one now, or the note is damaged.
    """
    path = run / FILE
    if path.exists():
        compare_inputs(run, checksums)
    elif is_first():
        with explained_write_errors(path, "see that the folder can be written to"):
            write_durably(
                path, json.dumps({**checksums, CHECKSUM_OF_ALL: _sum(checksums)}, indent=1)
            )


def compare_inputs(run: Path, checksums: Mapping[str, str]) -> None:
    """Compare checksums of some of the fields with those of the run's beginning, if it has a note.

    Raises:
        ExperimentError: a field is another one now, or the note is damaged.
    """
    path = run / FILE
    if not path.exists():
        return
    try:
        before = _read(path)
    except ValueError:
        raise ExperimentError(
            f"{str(path)!r}, which lists the fields that the run began with, is damaged; put it "
            "back, or delete it if all files of fields are as they were."
        ) from None
    differing = [name for name, number in checksums.items() if before.get(name) != number]
    if differing:
        raise ExperimentError(
            f"The values of {differing[0]} are not those that the run {str(run)!r} began with; put "
            "its files back as they were, choose another 'output' or, if they differ by rounding "
            f"on another machine, delete {str(path)!r}."
        )


def _read(path: Path) -> Checksums:
    """Checksums in a file; a `ValueError` if it is not as it was written."""
    before = json.loads(path.read_text(encoding="utf-8"))
    if not isinstance(before, dict):
        raise ValueError("damaged")
    if before.pop(CHECKSUM_OF_ALL, None) != _sum(before):
        raise ValueError("damaged")
    return before


def _sum(checksums: Mapping[str, str]) -> str:
    return f"{zlib.crc32(json.dumps(dict(checksums)).encode()):08x}"
