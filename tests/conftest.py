import contextlib
import os
import sys
from collections import Counter

import jax
import pytest

from graphdown.runtime.subnormals import subnormals_kept

# xarray would load it at the first file that a test opens, in the middle of the tests.
with subnormals_kept(), contextlib.suppress(ImportError, RuntimeError):
    import cfgrib  # noqa: F401

os.environ["GRAPHDOWN_CACHE"] = ""  # tests compile for themselves, and leave a home as it is

# Without bytecode, each of the many processes that tests start would spend seconds on imports.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
sys.dont_write_bytecode = False


def pytest_collection_modifyitems(items):
    """Start with the files that hold the most slow tests: several processes then end together."""
    slow = Counter(item.path for item in items if item.get_closest_marker("slow"))
    items.sort(key=lambda item: -slow[item.path])


HASTE = "JAX_DISABLE_MOST_OPTIMIZATIONS"


@pytest.fixture(scope="module")
def compiled_in_haste():
    """Let XLA leave out most of its optimisations, which take longer here than what they save.

    Processes that a test starts do the same.
    """
    before = jax.config.values[HASTE.lower()]
    jax.config.update(HASTE.lower(), True)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(HASTE, "1")
        yield
    jax.config.update(HASTE.lower(), before)
