"""Requests to stop, from the terminal or the batch system, met where work can be resumed."""

import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

# Batch systems send SIGTERM, or SIGUSR1 and SIGUSR2 as users ask for, before the time is up.
STOPPING = (signal.SIGINT, signal.SIGTERM, signal.SIGUSR1, signal.SIGUSR2)
GRACE_S = 20.0  # to clean up in; batch systems kill after 30
_arrived: list[int] = []  # signals, in `stopped_at_once`


class Interrupted(KeyboardInterrupt):
    """A signal stopped the work; the command line exits with `status`.

    Attributes:
        signal: its number.
        status: 128 more, as in shells: 130 for SIGINT, 143 for SIGTERM, 138 for SIGUSR1.
    """

    def __init__(self, number: int) -> None:
        super().__init__(signal.Signals(number).name)
        self.signal = number
        self.status = 128 + number

    @property
    def sentence(self) -> str:
        """Message for the user."""
        return f"graphdown: interrupted ({self}); the same command resumes the work."


class Stop:
    """Request to stop, if a signal made one.

    Attributes:
        asked: number of the signal, None if there was none.
    """

    asked: int | None = None

    def check(self) -> None:
        """Raise `Interrupted` if a signal asked to stop; call it where nothing would be lost."""
        if self.asked is not None:
            raise Interrupted(self.asked)


@contextmanager
def deferred_stop() -> Iterator[Stop]:
    """Note the signals of STOPPING meanwhile instead of stopping; a second one stops at once.

    One that was lost before, see `stopped_at_once`, counts as noted. In a thread that is not the
    main one, which gets no signals, nothing is ever asked.
    """
    stop = Stop()
    stop.asked = _arrived[-1] if _arrived else None

    def note(number: int, _: FrameType | None) -> None:
        if stop.asked is not None:
            leave_after_grace(Interrupted(number))
            raise Interrupted(number)
        stop.asked = number
        name = signal.Signals(number).name
        # Not by print or a logger, which this may have interrupted.
        os.write(2, f"\n{name}: stopping soon; once more to stop at once.\n".encode())

    try:
        with _handled(note):
            yield stop
    finally:
        if stop.asked is not None:
            signal.setitimer(signal.ITIMER_REAL, 0.0)


@contextmanager
def stopped_at_once() -> Iterator[None]:
    """Raise `Interrupted` when a signal of STOPPING arrives: temporary files are removed.

    Python drops exceptions in destructors and in callbacks of the interpreter, and prints a
    traceback; such a loss is silent here, and the next `deferred_stop` makes up for it. If a
    library turns the exception into one of its own, `Interrupted` is raised again in the end. If
    the signal arrives while a library holds a lock, that lock may never be released, and cleaning
    up may wait for it for ever: after GRACE_S the process ends as it is.
    """

    def interrupt(number: int, _: FrameType | None) -> None:
        _arrived.append(number)
        leave_after_grace(Interrupted(number))
        raise Interrupted(number)

    hook = sys.unraisablehook
    sys.unraisablehook = lambda lost: (
        None if isinstance(lost.exc_value, Interrupted) else hook(lost)
    )
    try:
        with _handled(interrupt):
            try:
                yield
            except Exception:
                check_lost_signals()
                raise
    finally:
        if _arrived:
            signal.setitimer(signal.ITIMER_REAL, 0.0)
        _arrived.clear()
        sys.unraisablehook = hook


def leave_after_grace(stop: Interrupted) -> None:
    """End the process with the status of a stop unless it has ended by itself after GRACE_S."""

    def leave(*_: object) -> None:
        os.write(2, f"{stop.sentence}\n".encode())
        os._exit(stop.status)

    signal.signal(signal.SIGALRM, leave)
    signal.setitimer(signal.ITIMER_REAL, GRACE_S)


def check_lost_signals() -> None:
    """Raise `Interrupted` if a signal arrived; call it where an exception may come from that."""
    if _arrived:
        raise Interrupted(_arrived[-1])


@contextmanager
def _handled(handler: Callable[[int, FrameType | None], None]) -> Iterator[None]:
    """Let a handler take the signals, except those that are ignored, as under `nohup`."""
    before = {}
    if threading.current_thread() is threading.main_thread():
        numbers = [n for n in STOPPING if signal.getsignal(n) is not signal.SIG_IGN]
        before = {number: signal.signal(number, handler) for number in numbers}
    try:
        yield
    finally:
        for number, old in before.items():
            signal.signal(number, signal.SIG_DFL if old is None else old)
