"""The house rules: who imports whom, how many modules, how long functions, what is unique."""

import ast
from collections import Counter, defaultdict
from statistics import median

from . import house

# From the top: a room imports only rooms of later lines.
FLOORS = (
    ("__main__",),
    ("cli",),
    ("api", "demo"),
    ("transfer",),
    ("training", "comparison", "downscaling"),
    ("sharing",),
    ("emulator", "evaluation"),
    ("applicability",),
    ("data",),
    ("config",),
    ("baselines", "output"),
    ("model", "cf", "reports"),
    ("variables", "statistics", "meshes", "runtime"),
    ("errors", "ranges"),
)
FLOOR = {room: number for number, rooms in enumerate(FLOORS) for room in rooms}
MOST_LOOSE = {"graphdown": 6, "meshes": 1}
MOST_LINES, MOST_MEDIAN = 59, 9
# Modules of one name play the same part in different rooms.
SHARED_NAMES = {"base", "catalogue", "charts", "maps", "score_tables", "shards", "spec", "storage"}


def room(module: str) -> str:
    package, *rest = module.split(".")
    return package if package == "meshes" else rest[0]


def test_a_room_imports_only_rooms_below_it():
    upwards = [
        f"{module} imports {other}"
        for module, others in house.imports().items()
        for other in sorted(others - {"graphdown"})
        if room(module) != room(other) and FLOOR[room(module)] >= FLOOR[room(other)]
    ]
    assert not upwards


def test_every_room_has_a_floor():
    rooms = {room(module) for module in house.imports()}
    assert rooms == set(FLOOR)


def test_faces_only_give_names():
    """What a face defines itself would be imported past the graph of modules."""
    rooms = {name for name in house.modules() if house.is_face(name)} - set(house.PACKAGES)
    assert not {name: found & rooms for name, found in house.imports().items() if found & rooms}


def test_no_modules_import_each_other():
    assert house.circles() == []


def test_few_modules_are_loose():
    for package, most in MOST_LOOSE.items():
        loose = [p for p in (house.ROOT / package).glob("*.py") if p.name != "__init__.py"]
        assert len(loose) <= most, loose


def test_functions_are_short():
    long = {
        f"{module}.{function.name}": house.length(function)
        for module, function in house.functions()
        if house.length(function) > MOST_LINES
    }
    assert not long
    assert median(house.length(function) for _, function in house.functions()) <= MOST_MEDIAN


def test_modules_of_one_name_play_the_same_part():
    names = Counter(module.rsplit(".", 1)[1] for module in house.imports())
    assert {name for name, count in names.items() if count > 1} <= SHARED_NAMES


def test_a_class_name_stands_for_one_class():
    homes = defaultdict(list)
    for module, tree in house.modules().items():
        for node in ast.walk(tree):
            if isinstance(node, ast.ClassDef):
                homes[node.name.lstrip("_")].append(module)
    assert not {name: where for name, where in homes.items() if len(where) > 1}
