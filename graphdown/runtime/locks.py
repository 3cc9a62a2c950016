"""One process at a time: locks that end with the process that holds them, however it ends."""

import datetime
import errno
import logging
import os
import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from filelock import lock_descriptor

from graphdown.errors import GraphdownError

logger = logging.getLogger(__name__)
PAUSE_S = 0.5  # between looks at a lock that another process holds
UNSUPPORTED = (errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP)


class InUseError(GraphdownError):
    """Another process holds a lock."""


@contextmanager
def locked(file: Path, what: str) -> Iterator[None]:
    """Hold the lock of a file, which is created if it is absent and stays.

    The system frees the lock when the process ends, so there is no stale one to clear away. The
    file names the process that holds it. On a file system without locks nothing is locked, which
    is logged.

    Args:
        file: a path in a folder that exists.
        what: the thing that the lock is for, as the subject of "... is in use".

    Raises:
        InUseError: another process holds the lock.
        OSError: the file cannot be created.
    """
    descriptor = _acquired(file, what)
    try:
        yield
    finally:
        os.close(descriptor)


@contextmanager
def locked_meanwhile(file: Path, what: str) -> Iterator[None]:
    """Hold the lock of a file as `locked` does, and remove the file in the end."""
    with locked(file, what):
        try:
            yield
        finally:
            file.unlink(missing_ok=True)


@contextmanager
def locked_in_turn(file: Path, what: str) -> Iterator[None]:
    """Hold the lock of a file as `locked_meanwhile` does, after the process that holds it now."""
    with ExitStack() as stack:
        waits = False
        while True:
            try:
                stack.enter_context(locked_meanwhile(file, what))
                break
            except InUseError as error:
                if not waits:
                    logger.info(
                        "%s", str(error).replace("wait for it or stop it", "waiting for it")
                    )
                waits = True
                time.sleep(PAUSE_S)
        yield


def _acquired(file: Path, what: str) -> int:
    """Descriptor of a file that is locked, unless the file system has no locks."""
    while True:
        descriptor = os.open(file, os.O_RDWR | os.O_CREAT, 0o666)
        try:
            free = lock_descriptor(descriptor, blocking=False)
        except OSError as error:
            if error.errno in UNSUPPORTED:
                logger.warning("%s is not locked: the file system has no locks", file)
                return descriptor
            os.close(descriptor)
            raise
        if not free:
            holder = os.read(descriptor, 200).decode("utf-8", "replace").strip()
            os.close(descriptor)
            raise InUseError(
                f"{what} is in use by {holder or 'another process'}; wait for it or stop it."
            )
        if _is_at(descriptor, file):
            os.truncate(descriptor, 0)
            os.write(descriptor, f"{_this_process()}\n".encode())
            return descriptor
        os.close(descriptor)  # its holder has removed or renamed it in the meantime


def _is_at(descriptor: int, file: Path) -> bool:
    """Whether an open file still has its name."""
    try:
        return os.path.samestat(os.fstat(descriptor), os.stat(file))
    except FileNotFoundError:
        return False


def _this_process() -> str:
    now = datetime.datetime.now().astimezone().isoformat(" ", "seconds")
    return f"process {os.getpid()} on {socket.gethostname()} since {now}"
