"""What goes wrong when files are written, in words."""

import errno
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from graphdown.errors import GraphdownError

NEARLY_FULL = 2**20  # bytes; with less than this free, HDF5's "HDF error" means a full disk
FULL = (errno.ENOSPC, errno.EDQUOT)


def reason(error: Exception, folder: Path) -> str:
    """Return why something below a folder could not be written."""
    # tensorstore puts the system's words into a text of its own.
    full = getattr(error, "errno", None) in FULL or any(os.strerror(n) in str(error) for n in FULL)
    if full or shutil.disk_usage(folder).free < NEARLY_FULL:
        return "the disk is full"
    text = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    return " ".join(text.split()).rstrip(".")


@contextmanager
def failure_told(path: Path, so: str) -> Iterator[None]:
    """Turn what fails when something is written into one sentence.

    Args:
        path: what is written.
        so: what that means for the user, the sentence's end.

    Raises:
        GraphdownError: writing failed.
    """
    try:
        yield
    except GraphdownError:
        raise
    except (OSError, RuntimeError, ValueError) as error:
        there = next(folder for folder in path.absolute().parents if folder.is_dir())
        raise GraphdownError(
            f"{str(path)!r} was not written: {reason(error, there)}; {so}."
        ) from error


def write_whole(path: Path, text: str) -> None:
    """Write a text file that is there as a whole or as it was before, whatever happens."""
    new = path.with_name(f"{path.name}.new")
    with open(new, "w", newline="", encoding="utf-8") as file:
        file.write(text)
    new.replace(path)
