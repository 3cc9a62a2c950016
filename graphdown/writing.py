"""Write downscaled fields as CF netCDF or zarr; an unfinished file never bears the final name."""

import datetime
import os
import shutil
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from itertools import chain
from pathlib import Path

import xarray as xr

from graphdown.data.store import parts_of
from graphdown.disk import reason
from graphdown.encoding import descriptions, is_text
from graphdown.errors import GraphdownError
from graphdown.growing import Growing, outline

FORMATS = (".nc", ".zarr")
ZARR_MARKS = (".zgroup", "zarr.json")


def check_output(path: Path, overwrite: bool) -> None:
    """Refuse an output that cannot be written, before any work is done.

    Raises:
        GraphdownError: unknown ending, no such folder, one that cannot be written to, the output
            exists, or what exists is no file or store of that kind.
    """
    if path.suffix not in FORMATS:
        raise GraphdownError(f"The output {str(path)!r} must end in .nc or .zarr.")
    if not path.parent.is_dir():
        wrong = "does not exist; make it first."
        if path.parent.exists():
            wrong = "is a file, not a folder; choose another."
        raise GraphdownError(f"The folder {str(path.parent)!r} {wrong}")
    if os.path.lexists(path):
        if not overwrite:
            raise GraphdownError(f"{str(path)!r} exists; choose another name or give --overwrite.")
        if not _replaceable(path):
            raise GraphdownError(
                f"{str(path)!r} exists and is no {path.suffix} output, so it is not replaced; "
                "choose another name."
            )
    with _workplace(path):
        pass


def write(ds: xr.Dataset, path: Path, command: str) -> None:
    """Write a dataset; see `write_parts`.

    Args:
        ds: the fields [time, ...], in memory or not.
        path, command: as for `write_parts`.
    """
    days = ds.transpose("time", ...)
    time = xr.Dataset(coords={n: v for n, v in days.coords.items() if "time" in v.dims})
    write_parts(parts_of(days), time, path, command)


def write_parts(parts: Iterable[xr.Dataset], time: xr.Dataset, path: Path, command: str) -> None:
    """Write datasets that follow each other in time, each as it comes.

    What bears the name stays until the new file is complete. That grows in a hidden folder beside
    its place, which is removed whatever happens. In memory is one part and, of each field, a row
    of its chunks.

    Args:
        parts: some times each of the fields [time, ...].
        time: the coordinate `time` of all of them and its bounds, if any.
        path: a name in .nc or .zarr.
        command: what made it, for the history attribute.

    Raises:
        GraphdownError: writing failed, as on a full disk; nothing changed under the name.
    """
    rest = iter(parts)
    first = next(rest)
    whole = _prepared(outline(first, time), command)
    with _workplace(path) as work:
        new = work / f"new{path.suffix}"
        with _failure_told(path):
            growing = Growing(new, whole)
        try:
            for part in chain([first], rest):
                with _failure_told(path):
                    growing.append(part)
            with _failure_told(path):
                growing.finish()
                _move(new, path, aside=work / "old")
        except BaseException:
            growing.abandon()
            raise


@contextmanager
def _failure_told(path: Path) -> Iterator[None]:
    """Turn what fails when an output is written into one sentence."""
    try:
        yield
    except (OSError, RuntimeError) as error:
        left = "the old one is kept" if os.path.lexists(path) else "nothing is left of it"
        why = reason(error, path.parent)
        raise GraphdownError(f"{str(path)!r} was not written: {why}; {left}.") from error


def _prepared(ds: xr.Dataset, command: str) -> xr.Dataset:
    """Return the dataset with its history, its coordinates arranged as CF has them.

    Bounds and grid mapping become plain variables: as coordinates, xarray would list them among
    the auxiliary ones. The names of stations become an auxiliary coordinate: CF wants numbers in a
    variable that bears the name of its dimension.
    """
    now = datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    before = [str(ds.attrs["history"])] if ds.attrs.get("history") else []
    plain = ds.reset_coords(sorted(descriptions(ds) & set(ds.coords), key=str))
    for dim in [d for d in plain.dims if d in plain.coords and is_text(plain[d].variable)]:
        plain = plain.assign_coords({f"{dim}_name": plain[dim].variable}).drop_vars([dim])
    return plain.assign_attrs(history="\n".join([f"{now} {command}", *before]))


def _move(new: Path, path: Path, aside: Path) -> None:
    """Give a complete output its name; a folder cannot be replaced in one step as a file can."""
    if not path.is_dir():
        new.replace(path)
        return
    path.rename(aside)
    try:
        new.rename(path)
    except BaseException:
        aside.rename(path)
        raise


def _replaceable(path: Path) -> bool:
    if path.suffix == ".nc":
        return not path.is_dir()
    return path.is_dir() and any((path / mark).exists() for mark in ZARR_MARKS)


@contextmanager
def _workplace(path: Path) -> Iterator[Path]:
    """Make a hidden folder beside a path, on the same disk, and remove it afterwards.

    Raises:
        GraphdownError: the folder that it lies in cannot be written to.
    """
    try:
        work = Path(tempfile.mkdtemp(prefix=f".{path.name}.", dir=path.parent))
    except OSError as error:
        raise GraphdownError(
            f"The folder {str(path.parent)!r} cannot be written to "
            f"({reason(error, path.parent)}); choose another."
        ) from None
    try:
        yield work
    finally:
        shutil.rmtree(work, ignore_errors=True)
