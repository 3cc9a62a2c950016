"""Write downscaled fields as CF netCDF or zarr; an unfinished file never bears the final name."""

import datetime
import errno
import os
import shutil
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from itertools import chain
from pathlib import Path

import xarray as xr

from graphdown.cf.encoding import descriptions, is_text
from graphdown.errors import GraphdownError
from graphdown.output.chunk_buffer import Growing, outline
from graphdown.runtime.atomic import take_place
from graphdown.runtime.locks import locked
from graphdown.runtime.parts import parts_of

FORMATS = (".nc", ".zarr")
LOCK = "lock"
ZARR_MARKS = (".zgroup", "zarr.json")
FULL = (errno.ENOSPC, errno.EDQUOT)
NEARLY_FULL = 2**20  # bytes; with less than this free, HDF5's "HDF error" means a full disk


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
    whole = prepared(outline(first, time), command)
    with _workplace(path) as work:
        new = work / f"new{path.suffix}"
        with failure_told(path):
            growing = Growing(new, whole)
        try:
            for part in chain([first], rest):
                with failure_told(path):
                    growing.append(part)
            with failure_told(path):
                growing.finish()
                take_place(new, path, aside=work / "old")
        except BaseException:
            growing.abandon()
            raise


@contextmanager
def failure_told(path: Path, so: str = "") -> Iterator[None]:
    """Turn what fails when an output is written into one sentence.

    Args:
        path: the output.
        so: what is left, in words; as it is under the name if not given.
    """
    try:
        yield
    except (OSError, RuntimeError) as error:
        left = "the old one is kept" if os.path.lexists(path) else "nothing is left of it"
        why = reason(error, path.parent)
        raise GraphdownError(f"{str(path)!r} was not written: {why}; {so or left}.") from error


def prepared(ds: xr.Dataset, command: str) -> xr.Dataset:
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


def _replaceable(path: Path) -> bool:
    if path.suffix == ".nc":
        return not path.is_dir()
    return path.is_dir() and any((path / mark).exists() for mark in ZARR_MARKS)


@contextmanager
def _workplace(path: Path) -> Iterator[Path]:
    """Make a hidden folder beside a path, on the same disk, and remove it afterwards.

    One that a killed process left is used again.

    Raises:
        GraphdownError: the folder that it lies in cannot be written to, or another process writes
            the path.
    """
    work = path.with_name(f".{path.name}.new")
    with ExitStack() as held:
        try:
            work.mkdir(exist_ok=True)
            held.enter_context(locked(work / LOCK, repr(str(path))))
        except OSError as error:
            raise GraphdownError(
                f"The folder {str(path.parent)!r} cannot be written to "
                f"({reason(error, path.parent)}); choose another."
            ) from None
        try:
            _empty(work)
            yield work
        finally:
            shutil.rmtree(work, ignore_errors=True)


def _empty(work: Path) -> None:
    """Remove what a killed process left."""
    for left in work.iterdir():
        if left.is_dir():
            shutil.rmtree(left)
        elif left.name != LOCK:
            left.unlink()


def reason(error: Exception, folder: Path) -> str:
    """Return why something in a folder could not be written, in words without a full stop."""
    # Libraries put the system's words into texts of their own.
    full = any(e == getattr(error, "errno", None) or os.strerror(e) in str(error) for e in FULL)
    if full or shutil.disk_usage(folder).free < NEARLY_FULL:
        return "the disk is full"
    text = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    return " ".join(text.split()).rstrip(".")
