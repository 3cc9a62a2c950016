import contextlib
import os

import jax
import pytest

from graphdown.runtime.subnormals import subnormals_kept

# xarray would load it at the first file that a test opens, in the middle of the tests.
with subnormals_kept(), contextlib.suppress(ImportError, RuntimeError):
    import cfgrib  # noqa: F401

os.environ["GRAPHDOWN_CACHE"] = ""  # tests compile for themselves, and leave a home as it is


@pytest.fixture(scope="module")
def compiled_in_haste():
    """Let XLA leave out most of its optimisations, which take longer here than what they save."""
    before = jax.config.values["jax_disable_most_optimizations"]
    jax.config.update("jax_disable_most_optimizations", True)
    yield
    jax.config.update("jax_disable_most_optimizations", before)
