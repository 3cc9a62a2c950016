"""Results for the next steps, made in the background while the current step runs."""

from collections import deque
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import islice
from typing import TypeVar

A = TypeVar("A")
B = TypeVar("B")


def prefetched(
    make: Callable[[A], B], arguments: Iterable[A], ahead: int = 4, threads: int = 2
) -> Generator[B, None, None]:
    """Results of a function for each argument, in order, the next ones made in the background.

    An exception in the background is raised where its result would be yielded. Closing the iterator
    ends the threads.

    Args:
        make: the function, called in other threads, for several arguments at a time.
        arguments: its arguments.
        ahead: number of results that are made or wait, at most.
        threads: number of results that are made at a time.
    """
    rest = iter(arguments)
    pool = ThreadPoolExecutor(threads, thread_name_prefix="prefetch")
    try:
        waiting: deque[Future[B]] = deque(pool.submit(make, a) for a in islice(rest, ahead))
        while waiting:
            result = waiting.popleft().result()
            waiting.extend(pool.submit(make, a) for a in islice(rest, 1))
            yield result
    finally:
        pool.shutdown(cancel_futures=True)
