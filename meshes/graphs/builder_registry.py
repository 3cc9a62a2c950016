"""Registries of builders: a setting chooses one by name, and users add their own."""

import difflib
import importlib
import pkgutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from types import ModuleType
from typing import Any, Literal, TypeVar, get_args

EdgeKind = Literal["encode", "process", "decode"]
EDGE_KINDS: tuple[EdgeKind, ...] = get_args(EdgeKind)
Builder = TypeVar("Builder")
Build = TypeVar("Build", bound=Callable[..., Any])


class BuilderRegistry(dict[str, Builder]):
    """Builders by name.

    Args:
        setting: the field of `GraphSpec` that chooses one, for messages.

    Looking up an unknown name raises a ValueError that lists the known ones.
    """

    def __init__(self, setting: str) -> None:
        super().__init__()
        self.setting = setting

    def add(self, name: str, builder: Builder) -> None:
        """Register a builder; a module or a notebook's cell that is run again replaces its own.

        Raises:
            ValueError: the name is taken.
        """
        if name in self and _origin(self[name]) != _origin(builder):
            raise ValueError(
                f"A builder named {name!r} is registered for {self.setting} already; choose "
                "another name."
            )
        self[name] = builder

    def __missing__(self, name: str) -> Builder:
        close = difflib.get_close_matches(str(name), self, n=1)
        choice = repr(close[0]) if close else "one of these"
        raise ValueError(
            f"{self.setting} must be one of {', '.join(sorted(self))}, got {name!r}; take "
            f"{choice}, or import the module that registers {name!r}."
        )


def _origin(builder: Any) -> tuple[str, str]:
    """Return the module and the name of a builder's function."""
    build = getattr(builder, "build", builder)
    return build.__module__, build.__qualname__


@dataclass(frozen=True)
class EdgeBuilder:
    """A way to build one kind of edges.

    Attributes:
        build: takes `GraphNodes`, returns an `EdgeSet`.
        features: names of the edges' features in the order of the columns.
        normalised: whether every receiver has edges and their weights sum to 1.
        check: takes `GraphData`, raises ValueError if edges break a rule of this builder; None
            without such rules.
    """

    build: Callable[..., Any]
    features: tuple[str, ...]
    normalised: bool
    check: Callable[..., None] | None


MESH_BUILDERS: BuilderRegistry[Callable[..., Any]] = BuilderRegistry("mesh")
EDGE_BUILDERS: dict[EdgeKind, BuilderRegistry[EdgeBuilder]] = {
    "encode": BuilderRegistry("encoder"),
    "process": BuilderRegistry("processor"),
    "decode": BuilderRegistry("decoder"),
}


def edge_builder(
    kind: EdgeKind,
    name: str,
    features: Sequence[str],
    normalised: bool = True,
    check: Callable[..., None] | None = None,
) -> Callable[[Build], Build]:
    """Register a function that builds edges, to be chosen by name in `GraphSpec`.

    The function takes `GraphNodes` and returns an `EdgeSet`: edges sorted by receiver, then
    sender, none repeated, none from a masked source point. Decode edges must be exactly
    spec.decode_neighbours per target point, in the order of the targets.

    Args:
        kind: "encode" (chosen by `encoder`), "process" (`processor`) or "decode" (`decoder`).
        name: the name to choose it by.
        features: names of the edges' features in the order of the columns; the network's input is
            as wide as these are many. Without "log_spacing" among the encode features, the
            network is not told how far apart the source's points are.
        normalised: whether every receiver has edges and their weights sum to 1; `validate` then
            checks it.
        check: what else `validate` checks: takes the graph, raises ValueError.

    Raises:
        ValueError: an unknown kind, or a name that is taken.
    """
    if kind not in EDGE_KINDS:
        raise ValueError(f"Edges are of kind {', '.join(EDGE_KINDS)}, not {kind!r}.")

    def register(build: Build) -> Build:
        EDGE_BUILDERS[kind].add(name, EdgeBuilder(build, tuple(features), normalised, check))
        return build

    return register


def mesh_builder(name: str) -> Callable[[Build], Build]:
    """Register a function that builds the mesh of a target, to be chosen by name in `GraphSpec`.

    The function takes the target grid and the specification and returns a `Mesh`, whose edges of
    level n should be about `nominal_spacing_km(n)` long: features of edges are in units of the
    finest level's.

    Args:
        name: the name to choose it by, as the specification's `mesh`.

    Raises:
        ValueError: the name is taken.
    """

    def register(build: Build) -> Build:
        MESH_BUILDERS.add(name, build)
        return build

    return register


def import_modules(package: ModuleType) -> None:
    """Import every module of a package, which registers the builders in them."""
    for module in pkgutil.iter_modules(package.__path__):
        importlib.import_module(f"{package.__name__}.{module.name}")
