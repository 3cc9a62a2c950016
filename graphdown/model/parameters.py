"""A network's parameters as plain arrays, by the path of each in the tree."""

from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from graphdown.errors import GraphdownError
from graphdown.model.edge_tables import on_device


def named_values(params: Any) -> dict[str, np.ndarray]:
    """Arrays of a tree of parameters by path, as in "updates.norm.scale"."""
    leaves = jax.tree_util.tree_flatten_with_path(params)[0]
    return {path_name(path): np.asarray(leaf) for path, leaf in leaves}


def with_values(params: Any, values: Mapping[str, Any]) -> Any:
    """Tree of parameters with its values replaced by the named ones.

    Raises:
        GraphdownError: names, shapes or kinds of numbers differ.
    """
    leaves, structure = jax.tree_util.tree_flatten_with_path(params)
    names = [path_name(path) for path, _ in leaves]
    _check_names(names, values)
    for name, (_, leaf) in zip(names, leaves, strict=True):
        _check_fit(name, values[name], leaf)
    arrays = [
        v if isinstance(v, jax.Array) else on_device(v) for v in (values[name] for name in names)
    ]
    return jax.tree_util.tree_unflatten(structure, arrays)


def path_name(path: tuple[Any, ...]) -> str:
    """Path of a leaf as dotted text, as in "updates.norm.scale"."""
    return jax.tree_util.keystr(path, simple=True, separator=".").removesuffix(".value")


def _check_names(names: list[str], values: Mapping[str, Any]) -> None:
    differing = sorted(set(names) ^ set(values))
    if differing:
        raise GraphdownError(
            f"The parameters do not fit the network: {differing[0]!r} is on one side only; the "
            "checkpoint belongs to another model."
        )


def _check_fit(name: str, value: Any, leaf: Any) -> None:
    if np.shape(value) != np.shape(leaf):
        raise GraphdownError(
            f"The parameter {name!r} has shape {np.shape(value)}, the network needs "
            f"{np.shape(leaf)}; the checkpoint belongs to another model or target grid."
        )
    stored, needed = jnp.result_type(value), jnp.result_type(leaf)
    if stored.kind != needed.kind:
        raise GraphdownError(
            f"The parameter {name!r} holds {stored} numbers, the network needs {needed}; the "
            "checkpoint belongs to another model."
        )
