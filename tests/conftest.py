import contextlib
import os

from graphdown.data.subnormals import subnormals_kept

# xarray would load it at the first file that a test opens, in the middle of the tests.
with subnormals_kept(), contextlib.suppress(ImportError, RuntimeError):
    import cfgrib  # noqa: F401

os.environ["GRAPHDOWN_CACHE"] = ""  # tests compile for themselves, and leave a home as it is
