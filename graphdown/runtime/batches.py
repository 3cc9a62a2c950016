"""Rows that come in parts of any length, regrouped into parts of one length."""

from collections.abc import Iterable, Iterator

import numpy as np


class Waiting:
    """Rows [n, ...] that wait until there are enough of them.

    Args:
        size: number of rows to give at a time.
    """

    def __init__(self, size: int) -> None:
        self._size = size
        self._parts: list[np.ndarray] = []

    def add(self, rows: np.ndarray) -> Iterator[np.ndarray]:
        """Add rows; yield parts of `size` rows as soon as there are enough."""
        self._parts.append(rows)
        while sum(map(len, self._parts)) >= self._size:
            yield self._take()

    def rest(self) -> np.ndarray | None:
        """Rows that are left, fewer than `size`; None if there are none."""
        return self._take() if self._parts else None

    def _take(self) -> np.ndarray:
        rows = self._parts[0] if len(self._parts) == 1 else np.concatenate(self._parts)
        self._parts = [rows[self._size :]] if len(rows) > self._size else []
        return rows[: self._size]


def regrouped(parts: Iterable[np.ndarray], size: int) -> Iterator[np.ndarray]:
    """Rows of arrays [n, ...] in arrays of `size` rows, of which the last may be shorter."""
    waiting = Waiting(size)
    for part in parts:
        yield from waiting.add(part)
    rest = waiting.rest()
    if rest is not None:
        yield rest
