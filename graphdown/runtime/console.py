"""Log messages of graphdown, as plain lines for a user at a terminal."""

import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def notices_shown() -> Iterator[None]:
    """Show log messages on stderr meanwhile: a line for each, the same one only once."""
    logger = logging.getLogger("graphdown")
    handler, level, upwards = _Lines(), logger.level, logger.propagate
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    logger.propagate = False  # libraries give the root logger handlers of their own
    try:
        yield
    finally:
        logger.propagate = upwards
        logger.setLevel(level)
        logger.removeHandler(handler)


class _Lines(logging.Handler):
    """Writes each message once, above a progress bar if one is shown."""

    def __init__(self) -> None:
        super().__init__(logging.INFO)
        self.shown: set[str] = set()

    def emit(self, record: logging.LogRecord) -> None:
        from tqdm import tqdm

        message = record.getMessage()
        if message not in self.shown:
            self.shown.add(message)
            tqdm.write(message, file=sys.stderr)
