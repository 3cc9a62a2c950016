"""Work on many points a block at a time: what lies between stays small, and in the cache."""

from collections.abc import Iterator

POINTS = 2**15


def blocks(count: int) -> Iterator[slice]:
    """Yield the slices that cut `count` points, an empty one for none, into blocks."""
    for start in range(0, max(count, 1), POINTS):
        yield slice(start, min(start + POINTS, count))
