"""Files that are on the disk when they are said to be, whole, whatever happens to the machine."""

import os
from collections.abc import Iterable
from pathlib import Path


def write_durably(path: Path, text: str) -> None:
    """Write a small file: under its name is either what was there before or all of the text.

    Only one process may write it at a time.

    Raises:
        OSError: it cannot be written.
    """
    new = path.with_name(f".{path.name}.new")
    with open(new, "w", newline="", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    os.replace(new, path)
    sync([path.parent])


def sync(paths: Iterable[Path]) -> None:
    """Wait until files are on the disk, and folders with the names that they hold."""
    for path in paths:
        handle = os.open(path, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def sync_below(folder: Path) -> None:
    """Wait until a folder and everything in it are on the disk."""
    sync([*folder.rglob("*"), folder])


def take_place(new: Path, path: Path, aside: Path) -> None:
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
