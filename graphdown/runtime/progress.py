"""Progress of a long run, on stderr: days done, days a second and the time left."""

import logging
import sys
import time
from types import TracebackType

from tqdm import tqdm

logger = logging.getLogger(__name__)
EVERY_S = 60.0
QUICK_S = 10.0


class Progress:
    """Number of days done: a bar at a terminal, elsewhere a line a minute.

    Args:
        total: number of days.
        before: number of days done by an earlier start.
        what: the work, for a line or a bar of its own; empty for the only one of a command.
        unit: of what is counted.
        quick: whether the work is often done within seconds: the bar appears after ten.
    """

    def __init__(
        self, total: int, before: int = 0, what: str = "", unit: str = "days", quick: bool = False
    ) -> None:
        self._total, self._done, self._what, self._unit = total, before, what, unit
        self._start: tuple[float, int] | None = None
        self._reported = time.monotonic()
        terminal = sys.stderr.isatty()
        self._bar = tqdm(
            desc=what or "checking the inputs",
            total=total,
            initial=before,
            unit=f" {unit}",
            delay=QUICK_S if quick else 0.0,
            file=sys.stderr,
            disable=not terminal,
        )
        self._lines = not terminal

    def __enter__(self) -> "Progress":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._bar.close()

    def add(self, days: int) -> None:
        """Count further days."""
        self._done += days
        self._bar.update(days)
        now = time.monotonic()
        if self._start is None:  # checks and compiling come before the first days
            self._start = now, self._done
            self._bar.set_description(self._what)
        elif self._lines and now - self._reported >= EVERY_S:
            self._reported = now
            logger.info("%s", self._line(now, *self._start))

    def _line(self, now: float, start: float, before: int) -> str:
        rate = (self._done - before) / max(now - start, 1e-9)
        left = duration((self._total - self._done) / max(rate, 1e-9))
        what = f"{self._what}: " if self._what else ""
        return (
            f"{what}{self._done:,} of {self._total:,} {self._unit}, {rate:.3g} {self._unit} a "
            f"second, {left} left"
        )


def duration(seconds: float) -> str:
    """Time in words, of two units at most, as in "3 h 05 min"."""
    minutes, hours = round(seconds / 60), round(seconds / 3600)
    if seconds < 99.5:
        return f"{seconds:.0f} s"
    if minutes < 60:
        return f"{minutes} min"
    if hours < 48:
        return f"{minutes // 60} h {minutes % 60:02} min"
    return f"{hours // 24} d {hours % 24} h"
