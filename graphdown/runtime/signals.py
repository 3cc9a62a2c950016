"""Requests to stop, from the terminal or the batch system, heeded where work can go on later."""

import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

HEEDED = (signal.SIGINT, signal.SIGTERM)
GRACE_S = 20.0  # to clean up in; batch systems kill after 30
_struck: list[int] = []  # signals of `stopped_at_once`


class Interrupted(KeyboardInterrupt):
    """Work was stopped by a signal; the command line exits with `status`.

    Attributes:
        signal: its number.
        status: 128 more, as shells have it: 130 of SIGINT, 143 of SIGTERM.
    """

    def __init__(self, number: int) -> None:
        super().__init__(signal.Signals(number).name)
        self.signal = number
        self.status = 128 + number

    @property
    def sentence(self) -> str:
        """What the user is told."""
        return f"graphdown: interrupted ({self}); the same command goes on."


class Stop:
    """Tells whether a signal asked to stop.

    Attributes:
        asked: number of the signal, None if there was none.
    """

    asked: int | None = None

    def heed(self) -> None:
        """Raise `Interrupted` if it was asked to stop; call it where nothing would be lost."""
        if self.asked is not None:
            raise Interrupted(self.asked)


@contextmanager
def deferred_stop() -> Iterator[Stop]:
    """Note SIGINT and SIGTERM meanwhile instead of stopping; a second one stops at once.

    One that struck before and was lost, see `stopped_at_once`, counts as noted.

    In a thread that is not the main one, which gets no signals, nothing is ever asked.
    """
    stop = Stop()
    stop.asked = _struck[-1] if _struck else None

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
    """Raise `Interrupted` where SIGINT or SIGTERM strikes, so that temporary files are removed.

    Python drops what is raised in a destructor or a callback of the interpreter, and tells of it
    by a traceback; such a loss is silent here, and heeded in the next `deferred_stop`. What a
    library makes of it, in its own words, is `Interrupted` again in the end. Where it strikes as a
    lock of a library is taken, that lock is never given back, and what cleans up may wait for it
    for ever: after GRACE_S the process ends as it is.
    """

    def strike(number: int, _: FrameType | None) -> None:
        _struck.append(number)
        leave_after_grace(Interrupted(number))
        raise Interrupted(number)

    told = sys.unraisablehook
    sys.unraisablehook = lambda lost: (
        None if isinstance(lost.exc_value, Interrupted) else told(lost)
    )
    try:
        with _handled(strike):
            try:
                yield
            except Exception:
                heed_struck()
                raise
    finally:
        if _struck:
            signal.setitimer(signal.ITIMER_REAL, 0.0)
        _struck.clear()
        sys.unraisablehook = told


def leave_after_grace(stop: Interrupted) -> None:
    """End the process with the status of a stop unless it has ended by itself after GRACE_S."""

    def leave(*_: object) -> None:
        os.write(2, f"{stop.sentence}\n".encode())
        os._exit(stop.status)

    signal.signal(signal.SIGALRM, leave)
    signal.setitimer(signal.ITIMER_REAL, GRACE_S)


def heed_struck() -> None:
    """Raise `Interrupted` if a signal struck; call it where an exception may come of that."""
    if _struck:
        raise Interrupted(_struck[-1])


@contextmanager
def _handled(handler: Callable[[int, FrameType | None], None]) -> Iterator[None]:
    """Let a handler take the signals that are not ignored, as those of `nohup` are."""
    before = {}
    if threading.current_thread() is threading.main_thread():
        taken = [n for n in HEEDED if signal.getsignal(n) is not signal.SIG_IGN]
        before = {number: signal.signal(number, handler) for number in taken}
    try:
        yield
    finally:
        for number, old in before.items():
            signal.signal(number, signal.SIG_DFL if old is None else old)
