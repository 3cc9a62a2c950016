"""What fields a run learns from: one that goes on must see those that it began with."""

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
OWN = "these"  # the checksum of the others
Seen = dict[str, str]


def checksum_of_grid(grid: Grid, fields: Iterable[xr.DataArray]) -> str:
    """Return a checksum of a grid's points and of fields on it."""
    return array_digest([grid.lon, grid.lat, grid.mask, *(field.values for field in fields)])


def checksum_of_days(days: PairedDays) -> str:
    """Return a checksum of the days, values, grid and height of a source, and of its targets."""
    grid = days.grid
    own = [
        dates_of(days.time),
        grid.lon,
        grid.lat,
        *([] if days.orog is None else [days.orog.values]),
    ]
    return array_digest([*own, days.source, days.fine])


def dates_of(time: xr.DataArray) -> np.ndarray:
    """Return days as numbers of any calendar: 1000 times the year and the day of the year."""
    return np.asarray(time.dt.year.values * 1000 + time.dt.dayofyear.values, np.int64)


def check_seen(run: Path, seen: Mapping[str, str]) -> None:
    """Compare the checksums of fields with those of the run's beginning, or note them.

    Args:
        run: its folder.
        seen: checksums by what they are of.

    Raises:
        ExperimentError: a field is another one now, or the note is damaged.
    """
    path = run / FILE
    try:
        before = _read(path)
    except FileNotFoundError:
        if is_first():
            with explained_write_errors(path, "see that the folder can be written to"):
                write_durably(path, json.dumps({**seen, OWN: _sum(seen)}, indent=1))
        return
    except ValueError:
        raise ExperimentError(
            f"{str(path)!r}, which tells what fields the run began with, is damaged; put it back, "
            "or delete it if all files of fields are as they were."
        ) from None
    differing = [name for name, number in seen.items() if before.get(name) != number]
    if differing:
        raise ExperimentError(
            f"The values of {differing[0]} are not those that the run {str(run)!r} began with; put "
            "its files back as they were, choose another 'output' or, if they differ by rounding "
            f"on another machine, delete {str(path)!r}."
        )


def _read(path: Path) -> Seen:
    """Return the checksums in a file; a `ValueError` if it is not as it was written."""
    before = json.loads(path.read_text(encoding="utf-8"))
    if not isinstance(before, dict):
        raise ValueError("damaged")
    own = before.pop(OWN, None)
    if own is not None and own != _sum(before):  # older versions wrote none
        raise ValueError("damaged")
    return before


def _sum(seen: Mapping[str, str]) -> str:
    return f"{zlib.crc32(json.dumps(dict(seen)).encode()):08x}"
