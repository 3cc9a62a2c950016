"""The process of the `graphdown` command, also as `python -m graphdown`."""

import os
import signal
import sys
from types import TracebackType


def main() -> None:
    """Run the command line; what ends a process from outside ends it without a traceback.

    SIGINT before the command is there ends it as a signal does, an output that nobody reads any
    more (`graphdown ... | head`) with the status of SIGPIPE.
    """
    sys.excepthook = _told
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


def _told(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    """Tell of an exception, but not of what threads of tensorstore say after a write that failed.

    That failed is raised and told elsewhere; they find that what waited for them has gone.
    """
    if not (isinstance(error, RuntimeError) and str(error) == "Event loop is closed"):
        sys.__excepthook__(kind, error, trace)


if __name__ == "__main__":
    main()
