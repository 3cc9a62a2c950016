"""The lock of a run's folder, which one process at a time may train in."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from graphdown.errors import ExperimentError
from graphdown.runtime import locks
from graphdown.runtime.distributed import is_first
from graphdown.runtime.write_errors import write_error_reason

LOCK = "in_use.lock"


@contextmanager
def run_lock(run: Path) -> Iterator[None]:
    """Lock a run's folder, creating it; of several processes of a training the first one does.

    Raises:
        GraphdownError: another process holds it.
        ExperimentError: the folder cannot be written to.
    """
    if not is_first():
        yield
        return
    path = run / LOCK
    with ExitStack() as holding:
        try:
            run.mkdir(parents=True, exist_ok=True)
            holding.enter_context(locks.locked_meanwhile(path, f"The run {str(run)!r}"))
        except OSError as error:
            there = next(folder for folder in path.absolute().parents if folder.is_dir())
            raise ExperimentError(
                f"'output' names {str(run)!r}, which cannot be written to "
                f"({write_error_reason(error, there)}); choose another."
            ) from None
        yield
