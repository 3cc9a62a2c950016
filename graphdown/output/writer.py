"""Write downscaled fields as CF netCDF or zarr; an unfinished file never has the final name."""

import datetime
import os
import shutil
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from itertools import chain
from pathlib import Path

import xarray as xr

from graphdown.cf.encoding import descriptions, is_text
from graphdown.errors import GraphdownError
from graphdown.output.chunk_buffer import Growing, outline
from graphdown.runtime.atomic import beside, move_into_place, sync, sync_below
from graphdown.runtime.locks import locked
from graphdown.runtime.parts import parts_of
from graphdown.runtime.write_errors import explained_write_errors, write_error_reason

FORMATS = (".nc", ".zarr")
LOCK = "lock"
ZARR_MARKS = (".zgroup", "zarr.json")


def check_output(path: Path, overwrite: bool) -> None:
    """Refuse an output that cannot be written, before any work is done.

    Raises:
        GraphdownError: unknown ending, no such folder, one that cannot be written to, the output
            exists, or it exists and is no file or store of that kind.
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
    with _explained_refusal(path):
        beside(path, "new").mkdir(exist_ok=True)
    with suppress(OSError):  # another process may be at work in it
        beside(path, "new").rmdir()


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

    The output from before stays until the new one is complete. That grows in a hidden folder beside
    its place, which is removed in any case. In memory is one part and, of each field, a row of its
    chunks.

    Args:
        parts: some times each of the fields [time, ...].
        time: the coordinate `time` of all of them and its bounds, if any.
        path: a name in .nc or .zarr.
        command: the command line that makes it, for the history attribute.

    Raises:
        GraphdownError: writing failed, as on a full disk, or another process writes the path;
            nothing changed under the name.
    """
    with workplace(path) as place:
        write_parts_in(place, parts, time, path, command)


def write_parts_in(
    place: Path, parts: Iterable[xr.Dataset], time: xr.Dataset, path: Path, command: str
) -> None:
    """Write datasets as `write_parts` does, in the workplace of the output."""
    rest = iter(parts)
    first = next(rest)
    whole = prepared(outline(first, time), command)
    new = place / f"new{path.suffix}"
    with explained_write_errors(path):
        growing = Growing(new, whole)
    try:
        for part in chain([first], rest):
            with explained_write_errors(path):
                growing.append(part)
        with explained_write_errors(path):
            growing.finish()
            sync_below(new) if new.is_dir() else sync([new])
            move_into_place(new, path, place / "old")
    except BaseException:
        growing.abandon()
        raise


@contextmanager
def workplace(path: Path) -> Iterator[Path]:
    """Hidden folder beside an output, on the same disk, for one process at a time.

    One that a killed process left is used again. In the end the folder is removed.

    Raises:
        GraphdownError: the folder that it lies in cannot be written to, or another process writes
            the output.
    """
    place = beside(path, "new")
    with ExitStack() as lock:
        with _explained_refusal(path):
            place.mkdir(exist_ok=True)
            lock.enter_context(locked(place / LOCK, repr(str(path))))
        try:
            _empty(place)
            yield place
        finally:
            shutil.rmtree(place, ignore_errors=True)


def prepared(ds: xr.Dataset, command: str) -> xr.Dataset:
    """Dataset with its history, and with its coordinates arranged as in CF.

    Bounds and grid mapping become plain variables: as coordinates, xarray would list them among
    the auxiliary ones. The names of stations become an auxiliary coordinate: CF wants numbers in a
    variable that has the name of its dimension.
    """
    now = datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    before = [str(ds.attrs["history"])] if ds.attrs.get("history") else []
    plain = ds.reset_coords(sorted(descriptions(ds) & set(ds.coords), key=str))
    for dim in [d for d in plain.dims if d in plain.coords and is_text(plain[d].variable)]:
        plain = plain.assign_coords({f"{dim}_name": plain[dim].variable}).drop_vars([dim])
    return plain.assign_attrs(history="\n".join([f"{now} {command}", *before]))


def _replaceable(path: Path) -> bool:
    if path.suffix == ".nc":
        return not path.is_dir()
    return path.is_dir() and any((path / mark).exists() for mark in ZARR_MARKS)


@contextmanager
def _explained_refusal(path: Path) -> Iterator[None]:
    """Turn the system's refusal to write into the folder of an output into one sentence."""
    try:
        yield
    except OSError as error:
        raise GraphdownError(
            f"The folder {str(path.parent)!r} cannot be written to "
            f"({write_error_reason(error, path.parent)}); choose another."
        ) from None


def _empty(place: Path) -> None:
    """Remove everything that a killed process left."""
    for left in place.iterdir():
        if left.is_dir():
            shutil.rmtree(left)
        elif left.name != LOCK:
            left.unlink()
