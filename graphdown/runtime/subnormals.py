"""Subnormal numbers, which loading some libraries would switch off for the whole process.

ecCodes, the library behind cfgrib, is built with -ffast-math: loading it makes the processor flush
subnormal numbers to zero. xarray loads it, if it is installed, where it guesses a file's format.
"""

import ctypes
import ctypes.util
from collections.abc import Iterator
from contextlib import contextmanager

ENVIRONMENT_BYTES = 256  # more than any platform's fenv_t


@contextmanager
def subnormals_kept() -> Iterator[None]:
    """Restore the floating point environment of this thread afterwards, if the C library can."""
    library = _mathematics()
    if library is None:
        yield
        return
    environment = ctypes.create_string_buffer(ENVIRONMENT_BYTES)
    library.fegetenv(environment)
    try:
        yield
    finally:
        library.fesetenv(environment)


def _mathematics() -> ctypes.CDLL | None:
    try:
        library = ctypes.CDLL(ctypes.util.find_library("m"))
    except OSError:
        return None
    return library if hasattr(library, "fegetenv") else None
