import subprocess
import sys

CODE = """
import sys
sys.modules["jax"] = sys.modules["jraph"] = None
import meshes
heavy = {"graphdown", "flax", "shapely", "pyproj", "matplotlib", "cartopy"} & set(sys.modules)
assert not heavy, heavy
meshes.build_graph(meshes.Grid.named("T21"), meshes.Grid.regular(1, 1, (0, 40, 5, 45)))
"""


def test_meshes_needs_neither_jax_nor_the_heavy_libraries():
    result = subprocess.run([sys.executable, "-c", CODE], capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
