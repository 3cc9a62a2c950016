import pickle
import subprocess
import sys
from importlib.metadata import version

import pytest

import graphdown
import graphdown.api
import graphdown.transfer.report.page
from graphdown.transfer.spec import Study

CODE = """
import sys
import graphdown
heavy = {"matplotlib", "orbax", "cf_units", "shapely", "scores"}
heavy |= {"pyproj", "jax", "xarray", "jinja2"}
assert not heavy & set(sys.modules), heavy & set(sys.modules)
"""


def test_graphdown_leaves_the_heavy_libraries_to_those_who_need_them():
    result = subprocess.run([sys.executable, "-c", CODE], capture_output=True, text=True)
    assert result.returncode == 0, result.stderr


def test_the_face_lists_its_names_and_its_version():
    assert {"train", "transfer", "load", "GraphdownError", "__version__"} <= set(dir(graphdown))
    assert all(hasattr(graphdown, name) for name in graphdown.__all__)
    assert graphdown.__version__ == version("graphdown")
    with pytest.raises(AttributeError, match="no attribute 'trian'"):
        graphdown.trian  # noqa: B018


def test_transfer_is_the_function_though_a_package_has_its_name():
    assert graphdown.transfer is graphdown.api.transfer
    assert sys.modules["graphdown.transfer"].__path__
    assert pickle.loads(pickle.dumps(graphdown.transfer)) is graphdown.transfer
    assert pickle.loads(pickle.dumps(Study)) is Study
    with pytest.raises(graphdown.ExperimentError, match="does not exist"):
        graphdown.transfer("none.yaml", quick=True)
