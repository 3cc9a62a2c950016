"""The process of the `graphdown` command, also as `python -m graphdown`."""

import os
import signal
import sys
from types import TracebackType


def main() -> None:
    """Run the command line; signals and closed pipes end it without a traceback.

    SIGINT while modules are imported ends it as the signal does by default, an output that nobody
    reads any more (`graphdown ... | head`) with the status of SIGPIPE.
    """
    if sys.platform == "win32":
        print("graphdown: Windows is not supported; use Linux, macOS or WSL.", file=sys.stderr)
        sys.exit(2)
    sys.excepthook = _report
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
    from graphdown.cli import main as command
    from graphdown.runtime.signals import Interrupted, leave_after_grace

    try:
        try:
            command()
        except SystemExit as left:
            if isinstance(left.__context__, Interrupted):
                leave_after_grace(left.__context__)
            raise
        finally:
            sys.stdout.flush()
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # flushed again at exit
        sys.exit(128 + signal.SIGPIPE)


def _report(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    """Print an exception, but not the ones of tensorstore's threads after a failed write.

    The failure itself is raised elsewhere; the threads only find their event loop closed.
    """
    if not (isinstance(error, RuntimeError) and str(error) == "Event loop is closed"):
        sys.__excepthook__(kind, error, trace)


if __name__ == "__main__":
    main()
