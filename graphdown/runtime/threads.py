"""Work on many items at a time, on the cores that the process has."""

import os
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from typing import TypeVar

from threadpoolctl import ThreadpoolController

A = TypeVar("A")
B = TypeVar("B")


def cores() -> int:
    """Number of cores that the process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


@cache
def _libraries() -> ThreadpoolController:
    """Libraries of linear algebra that are loaded."""
    return ThreadpoolController()


def in_threads(function: Callable[[A], B], items: Iterable[A]) -> Iterator[B]:
    """Yield a function's result for each item, in order, several made at a time, one a core.

    Linear algebra within has a single thread for each of them: with threads of its own it spends
    many times as long on waiting for these as on small matrices. Exceptions are raised where the
    result would be yielded.
    """
    with (
        _libraries().limit(limits=1, user_api="blas"),
        ThreadPoolExecutor(cores(), thread_name_prefix="fit") as pool,
    ):
        yield from pool.map(function, items)
