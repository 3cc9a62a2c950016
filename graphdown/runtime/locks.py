"""One process at a time: locks that end with the process that holds them, however it ends."""

import errno
import logging
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from graphdown.errors import GraphdownError

logger = logging.getLogger(__name__)
HELD = (errno.EAGAIN, errno.EACCES)
UNSUPPORTED = (errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP)


class InUseError(GraphdownError):
    """Another process holds a lock."""


@contextmanager
def locked(file: Path, what: str) -> Iterator[None]:
    """Hold the lock of a file, which is made if it is absent and stays.

    The system frees the lock when the process ends, so there is no stale one to clear away. The
    file tells others who holds it. A file system without locks is noted, and nothing is locked.

    Args:
        file: a path in a folder that exists.
        what: is locked, in words that follow "... is in use".

    Raises:
        InUseError: another process holds it.
        OSError: the file cannot be made.
    """
    held = _acquired(file, what)
    try:
        yield
    finally:
        os.close(held)


@contextmanager
def locked_meanwhile(file: Path, what: str) -> Iterator[None]:
    """As `locked`, but the file is removed in the end."""
    with locked(file, what):
        try:
            yield
        finally:
            file.unlink(missing_ok=True)


def _acquired(file: Path, what: str) -> int:
    import fcntl

    while True:
        held = os.open(file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
        try:
            fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            holder = os.pread(held, 200, 0).decode("utf-8", "replace").strip()
            os.close(held)
            if error.errno in HELD:
                raise InUseError(
                    f"{what} is in use by {holder or 'another process'}; wait for it or stop it."
                ) from None
            if error.errno not in UNSUPPORTED:
                raise
            logger.warning("%s is not locked: the file system has no locks", file)
            return os.open(file, os.O_RDONLY | os.O_CLOEXEC)
        if _bears_its_name(held, file):
            os.truncate(held, 0)
            os.pwrite(held, f"process {os.getpid()} on {socket.gethostname()}\n".encode(), 0)
            return held
        os.close(held)  # removed by its holder in the meantime


def _bears_its_name(held: int, file: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(held), os.stat(file))
    except FileNotFoundError:
        return False
