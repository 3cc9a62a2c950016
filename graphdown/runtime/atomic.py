"""Files and folders that appear whole: written beside their place, synced, then renamed."""

import os
import shutil
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def atomic_file(path: Path) -> Iterator[Path]:
    """Name for a new file, which replaces `path` when the block ends without an exception.

    Under `path` is either the file from before or all of the new one, whenever the process or the
    machine stops. If the block raises, the new file is removed. Only one process at a time may
    write a path.

    Raises:
        OSError: the file cannot be written.
    """
    new = beside(path, "new")
    try:
        yield new
        sync([new])
        new.replace(path)
    except BaseException:
        new.unlink(missing_ok=True)
        raise
    sync([path.parent])


def write_durably(path: Path, text: str) -> None:
    """Write a text file in UTF-8, see `atomic_file`.

    Raises:
        OSError: the file cannot be written.
    """
    with atomic_file(path) as new:
        new.write_text(text, encoding="utf-8", newline="")


@contextmanager
def atomic_folder(path: Path) -> Iterator[Path]:
    """Name for a new folder, which replaces `path` when the block ends without an exception.

    The block creates the folder. Everything else is as for `atomic_file`, except that a process
    that is killed between two renames leaves the folder from before under another name, from which
    the next call restores it.

    Raises:
        OSError: the folder cannot be written.
    """
    new, old = beside(path, "new"), beside(path, "old")
    shutil.rmtree(new, ignore_errors=True)
    if old.exists() and not path.exists():
        old.rename(path)
    shutil.rmtree(old, ignore_errors=True)
    try:
        yield new
        sync_below(new)
        move_into_place(new, path, old)
    finally:
        shutil.rmtree(new, ignore_errors=True)
        shutil.rmtree(old, ignore_errors=True)


def beside(path: Path, ending: str) -> Path:
    """Hidden name in the folder of a path."""
    return path.with_name(f".{path.name}.{ending}")


def move_into_place(new: Path, path: Path, old: Path) -> None:
    """Rename a complete and synced file or folder to its final name.

    A folder cannot be replaced in one step as a file can: what bears the name is renamed first, and
    gets its name back if the second step fails.

    Args:
        new: what to rename.
        path: the final name.
        old: name for the folder that has the final name before; it stays there.

    Raises:
        OSError: the system refuses.
    """
    if path.is_dir():
        path.rename(old)
        try:
            new.rename(path)
        except BaseException:
            old.rename(path)
            raise
    else:
        new.replace(path)
    sync([path.parent])


def sync(paths: Iterable[Path]) -> None:
    """Wait until files are on the disk, and folders with the names in them."""
    for path in paths:
        handle = os.open(path, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def sync_below(folder: Path) -> None:
    """Wait until a folder and everything in it are on the disk."""
    sync([*folder.rglob("*"), folder])
