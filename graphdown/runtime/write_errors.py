"""Outputs that cannot be written: one sentence for the user."""

import errno
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from graphdown.errors import GraphdownError

FULL = (errno.ENOSPC, errno.EDQUOT)
NEARLY_FULL = 2**20  # bytes; with less than this free, HDF5's "HDF error" means a full disk


@contextmanager
def explained_write_errors(path: Path, remains: str = "") -> Iterator[None]:
    """Turn errors of the system, netCDF and zarr in a block that writes into one sentence.

    Args:
        path: the output.
        remains: a clause on what is left, instead of one on what is there under the name.

    Raises:
        GraphdownError: the block raised an OSError or RuntimeError.
    """
    try:
        yield
    except (OSError, RuntimeError) as error:
        left = "the old one is kept" if os.path.lexists(path) else "nothing is left of it"
        why = write_error_reason(error, path.parent)
        raise GraphdownError(f"{str(path)!r} was not written: {why}; {remains or left}.") from error


def write_error_reason(error: Exception, folder: Path) -> str:
    """Reason why something in a folder could not be written, in words without a full stop."""
    # Libraries put the system's words into texts of their own.
    full = any(e == getattr(error, "errno", None) or os.strerror(e) in str(error) for e in FULL)
    if full or shutil.disk_usage(folder).free < NEARLY_FULL:
        return "the disk is full"
    text = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    return " ".join(text.split()).rstrip(".")
