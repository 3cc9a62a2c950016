"""The order of the rooms of `meshes`, and which libraries it does without."""

import ast
import subprocess
import sys
from graphlib import TopologicalSorter
from pathlib import Path

import meshes

ROOMS = ("geometry", "grids", "remapping", "graphs", "plot")
ROOT = Path(meshes.__file__).parent
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


def module_name(path):
    return ".".join(path.relative_to(ROOT.parent).with_suffix("").parts).removesuffix(".__init__")


FILES = {module_name(path): path for path in sorted(ROOT.rglob("*.py"))}


def imported(name):
    """The modules of this repository that a module imports, also inside functions or for types."""
    names = set()
    for node in ast.walk(ast.parse(FILES[name].read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom):
            assert not node.level, f"{name} imports relatively"
            names |= {str(node.module), *(f"{node.module}.{alias.name}" for alias in node.names)}
        elif isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
    return {n for n in names if n in FILES or n.split(".")[0] == "graphdown"} - {name}


def room(name):
    return ROOMS.index(name.split(".")[1])


def test_every_module_lies_in_a_room():
    assert {name.split(".")[1] for name in FILES if name != "meshes"} == set(ROOMS)


def test_a_room_imports_itself_and_the_rooms_below_it():
    upwards = [
        (name, below)
        for name in FILES
        if name != "meshes"
        for below in imported(name)
        if not below.startswith("meshes.") or room(below) > room(name)
    ]
    assert not upwards


def test_no_modules_import_each_other_in_a_circle():
    TopologicalSorter({name: imported(name) for name in FILES}).prepare()
