"""The modules of the two packages and who imports whom, read from the source text.

An import counts wherever it stands: at the top, inside a function, under TYPE_CHECKING. A name
taken from a package's face counts as an import of the module that defines it.
"""

import ast
from collections.abc import Iterator
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PACKAGES = ("graphdown", "meshes")
Function = ast.FunctionDef | ast.AsyncFunctionDef


def dotted(path: Path) -> str:
    """Dotted name of the module in a file, that of the package for its face."""
    return ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


@cache
def modules() -> dict[str, ast.Module]:
    """Syntax trees of all modules, faces included, by dotted name."""
    paths = [path for package in PACKAGES for path in sorted((ROOT / package).rglob("*.py"))]
    return {dotted(path): ast.parse(path.read_text(encoding="utf-8")) for path in paths}


def is_face(module: str) -> bool:
    return (ROOT / Path(*module.split(".")) / "__init__.py").is_file()


@cache
def imports() -> dict[str, set[str]]:
    """The modules that each module imports; faces import nothing here."""
    return {name: set(_imported(name)) for name in modules() if not is_face(name)}


def _imported(module: str) -> Iterator[str]:
    for node in ast.walk(modules()[module]):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if alias.name in modules())
        elif isinstance(node, ast.ImportFrom) and node.module in modules():
            yield from (_home(str(node.module), alias.name) for alias in node.names)


def _home(module: str, name: str) -> str:
    """The module that defines a name which another one offers."""
    if f"{module}.{name}" in modules() and not _offers(module, name):
        return f"{module}.{name}"
    if not is_face(module):
        return module
    for node in modules()[module].body:
        if isinstance(node, ast.ImportFrom) and node.module in modules():
            for alias in node.names:
                if (alias.asname or alias.name) == name:
                    return _home(str(node.module), alias.name)
    return module


def _offers(face: str, name: str) -> bool:
    """Whether a face itself binds a name that a module of its package has too."""
    bound = (node for node in modules()[face].body if isinstance(node, ast.ImportFrom))
    return any((alias.asname or alias.name) == name for node in bound for alias in node.names)


def circles() -> list[list[str]]:
    """Groups of modules that import each other, directly or through others (Tarjan 1972)."""
    edges, order, low, stack = imports(), {}, {}, []
    found: list[list[str]] = []

    def visit(module: str) -> None:
        order[module] = low[module] = len(order)
        stack.append(module)
        for other in sorted(edges.get(module, ())):
            if other not in order:
                visit(other)
                low[module] = min(low[module], low[other])
            elif other in stack:
                low[module] = min(low[module], order[other])
        if low[module] == order[module]:
            group = stack[stack.index(module) :]
            del stack[stack.index(module) :]
            if len(group) > 1:
                found.append(sorted(group))

    for module in edges:
        if module not in order:
            visit(module)
    return found


def functions() -> Iterator[tuple[str, Function]]:
    """Every function and method, with the name of its module."""
    for name, tree in modules().items():
        for node in ast.walk(tree):
            if isinstance(node, Function):
                yield name, node


def length(function: Function) -> int:
    """Lines from `def` to the end, docstring included."""
    return (function.end_lineno or function.lineno) - function.lineno + 1
