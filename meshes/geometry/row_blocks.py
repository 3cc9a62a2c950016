"""Blocks of points, so that intermediate arrays stay small and in the cache."""

from collections.abc import Iterator

POINTS = 2**15


def blocks(count: int) -> Iterator[slice]:
    """Yield slices that cut `count` points into blocks; one empty slice if there are none."""
    for start in range(0, max(count, 1), POINTS):
        yield slice(start, min(start + POINTS, count))
