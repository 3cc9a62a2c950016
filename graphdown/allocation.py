"""The C library's memory allocator, told to keep what training frees and takes again."""

import ctypes
import sys

# Names and numbers of glibc's <malloc.h>.
M_TRIM_THRESHOLD, M_MMAP_MAX, M_ARENA_MAX = -1, -4, -8


def keep_freed_memory() -> None:
    """Let this process keep freed memory for its next allocations, where glibc serves them.

    A training step on a CPU takes and frees large buffers. By default each goes back to the
    operating system, which clears every page anew: up to a third of the time of a step. It works
    only before jax starts its threads, and does nothing without glibc.
    """
    if not sys.platform.startswith("linux"):
        return
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(M_ARENA_MAX, 1)
        mallopt(M_MMAP_MAX, 0)
        mallopt(M_TRIM_THRESHOLD, -1)
