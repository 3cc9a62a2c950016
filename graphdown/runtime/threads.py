"""Work on many items at a time, on the cores that the process has."""

import os
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

A = TypeVar("A")
B = TypeVar("B")


def cores() -> int:
    """Number of cores that the process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def in_threads(function: Callable[[A], B], items: Iterable[A]) -> Iterator[B]:
    """Yield a function's result for each item, in order; NumPy's work is done on all cores.

    Exceptions are raised where the result would be yielded.
    """
    with ThreadPoolExecutor(cores(), thread_name_prefix="fit") as pool:
        yield from pool.map(function, items)
