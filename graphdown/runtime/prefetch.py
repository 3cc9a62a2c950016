"""Make what the next steps need while the present one runs."""

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
    """Yield `make` of each argument, in order, the next ones being made in the background.

    What fails in the background is raised where its result would be yielded. Closing the iterator
    ends the threads.

    Args:
        make: called in other threads, for several arguments at a time.
        arguments: what to make something of.
        ahead: how many results are made or wait at most.
        threads: how many are made at a time.
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
