"""A run's folder is one process's alone while it trains."""

import fcntl
import json
import os
import platform
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from graphdown.disk import reason
from graphdown.errors import ExperimentError
from graphdown.training.processes import is_first

LOCK = "in_use.lock"


@contextmanager
def locked(run: Path) -> Iterator[None]:
    """Hold a run's folder meanwhile, creating it; of several processes the first one does.

    The system frees a lock when its process dies, so on the same host none outlives its holder.
    Where a network file system does not tell hosts of each other's locks, the host that stands in
    the file counts.

    Raises:
        ExperimentError: another process holds it, or the folder cannot be written to.
    """
    if not is_first():
        yield
        return
    path = run / LOCK
    try:
        run.mkdir(parents=True, exist_ok=True)
        file = _taken(path)
    except OSError as error:
        there = next(f for f in path.absolute().parents if f.is_dir())
        raise ExperimentError(
            f"'output' names {str(run)!r}, which cannot be written to ({reason(error, there)}); "
            "choose another."
        ) from None
    try:
        yield
    finally:
        path.unlink(missing_ok=True)
        os.close(file)


def _taken(path: Path) -> int:
    """Return the open file of a lock that was free, with this process in it."""
    while True:
        file = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
        try:
            _take(path, file)
        except BaseException:
            os.close(file)
            raise
        if path.exists() and os.path.samestat(os.fstat(file), path.stat()):
            break
        os.close(file)  # who held it has removed it meanwhile
    own = {"host": platform.node(), "process": os.getpid(), "since": time.strftime("%F %T")}
    os.ftruncate(file, 0)
    os.pwrite(file, json.dumps(own).encode(), 0)
    return file


def _take(path: Path, file: int) -> None:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        held = False
    except BlockingIOError:
        held = True
    except OSError:  # a file system that knows no locks: what stands in the file decides
        held = _alive(_holder(file))
    holder = _holder(file)
    elsewhere = holder.get("host", platform.node()) != platform.node()
    if held or elsewhere:
        who = f"process {holder.get('process')} on {holder.get('host')}" if holder else "another"
        since = f" since {holder['since']}" if "since" in holder else ""
        gone = f"; if that is gone, delete {str(path)!r}" if elsewhere else ""
        raise ExperimentError(
            f"'output' names {str(path.parent)!r}, which is in use by {who}{since}; wait for it or "
            f"choose another folder{gone}."
        )


def _holder(file: int) -> dict[str, Any]:
    """Return what stands in a lock, nothing if that was not written to its end."""
    try:
        held = json.loads(os.pread(file, 4096, 0))
    except ValueError:
        return {}
    return held if isinstance(held, dict) else {}


def _alive(holder: dict[str, Any]) -> bool:
    """Tell whether the process of a lock of this host runs."""
    number = holder.get("process")
    if holder.get("host") != platform.node() or not isinstance(number, int):
        return False
    try:
        os.kill(number, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return number != os.getpid()
