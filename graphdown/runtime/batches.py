"""Rows that come in parts of any length, in parts of a wanted one."""

from collections.abc import Iterable, Iterator

import numpy as np


class Waiting:
    """Rows [n, ...] that wait until there are enough of them.

    Args:
        size: how many are wanted at a time.
    """

    def __init__(self, size: int) -> None:
        self._size = size
        self._parts: list[np.ndarray] = []

    def add(self, rows: np.ndarray) -> Iterator[np.ndarray]:
        """Take further rows; yield what has the wanted number of them."""
        self._parts.append(rows)
        while sum(map(len, self._parts)) >= self._size:
            yield self._take()

    def rest(self) -> np.ndarray | None:
        """Return the rows that are left, fewer than wanted; None for none."""
        return self._take() if self._parts else None

    def _take(self) -> np.ndarray:
        every = self._parts[0] if len(self._parts) == 1 else np.concatenate(self._parts)
        self._parts = [every[self._size :]] if len(every) > self._size else []
        return every[: self._size]


def regrouped(parts: Iterable[np.ndarray], size: int) -> Iterator[np.ndarray]:
    """Yield the rows of arrays [n, ...] in arrays of `size` rows, the last one maybe shorter."""
    waiting = Waiting(size)
    for part in parts:
        yield from waiting.add(part)
    rest = waiting.rest()
    if rest is not None:
        yield rest
