"""Settings of glibc's memory allocator that suit long work; other C libraries are left alone."""

import ctypes
import sys

# Names and numbers of glibc's <malloc.h>.
M_TRIM_THRESHOLD, M_MMAP_MAX, M_ARENA_MAX = -1, -4, -8


def keep_freed_memory() -> None:
    """Let this process keep freed memory for its next allocations.

    A training step on a CPU takes and frees large buffers. By default each goes back to the
    operating system, which clears every page anew: up to a third of the time of a step. It works
    only before jax starts its threads.
    """
    _set({M_ARENA_MAX: 1, M_MMAP_MAX: 0, M_TRIM_THRESHOLD: -1})


def share_freed_memory() -> None:
    """Let what one thread of this process frees serve the others.

    By default each keeps its own, and reading in the background takes more and more. It works only
    before those threads start.
    """
    _set({M_ARENA_MAX: 1})


def _set(options: dict[int, int]) -> None:
    if not sys.platform.startswith("linux"):
        return
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        for name, value in options.items():
            mallopt(name, value)
