"""The folder `OUTPUT.part` beside an output, in which a zarr store is made."""

import glob
import shutil
import tempfile
from pathlib import Path

from graphdown.output.store_plan import PLAN

STORE = "new.zarr"


def part_of(path: Path) -> Path:
    """Folder in which an output is made."""
    return path.with_name(f"{path.name}.part")


def temporary_folder(path: Path) -> Path:
    """New hidden folder beside an output, which `clear_away` removes if it is left over."""
    return Path(tempfile.mkdtemp(prefix=_hidden(path), dir=path.parent))


def is_finished(path: Path) -> bool:
    """Whether the folder of an output is left over from one that has been finished."""
    return (part_of(path) / PLAN).is_file() and not (part_of(path) / STORE).exists()


def discard(path: Path) -> None:
    """Remove the folder of an output such that it is there as a whole or not at all."""
    hidden = temporary_folder(path)
    try:
        part_of(path).rename(hidden / "old")
    finally:
        shutil.rmtree(hidden, ignore_errors=True)


def clear_away(path: Path) -> None:
    """Remove everything that killed processes left beside a finished output."""
    if is_finished(path):
        discard(path)
    for left in path.parent.glob(f"{glob.escape(_hidden(path))}*"):
        shutil.rmtree(left, ignore_errors=True)


def _hidden(path: Path) -> str:
    return f".{part_of(path).name}."
