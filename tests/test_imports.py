import subprocess
import sys

CODE = """
import sys
import graphdown
heavy = {"matplotlib", "orbax", "pint", "shapely", "scores", "pyproj"} & set(sys.modules)
assert not heavy, heavy
"""


def test_graphdown_leaves_the_heavy_libraries_to_those_who_need_them():
    result = subprocess.run([sys.executable, "-c", CODE], capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
