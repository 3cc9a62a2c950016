"""Transforms of targets, and their exact inverses, also of negative values."""

from collections.abc import Callable, Mapping

import jax.numpy as jnp
from jax import Array

Functions = Mapping[str, Callable[[Array], Array]]

FORWARD: Functions = {
    "none": lambda x: x,
    "log1p": lambda x: jnp.sign(x) * jnp.log1p(jnp.abs(x)),
    "cube-root": jnp.cbrt,
}
INVERSE: Functions = {
    "none": lambda y: y,
    "log1p": lambda y: jnp.sign(y) * jnp.expm1(jnp.abs(y)),
    "cube-root": lambda y: y * y * y,
}


def transformed(values: Array, kinds: tuple[str, ...]) -> Array:
    """Return targets [..., T] each in the space of its transform.

    Interpolations and estimates of precipitation may be negative: log1p is odd, as the cube root
    is, sign(x) log(1 + |x|).

    Args:
        values: in physical units.
        kinds: name of each target's transform, empty for none of any.
    """
    return _each(values, kinds, FORWARD)


def restored(values: Array, kinds: tuple[str, ...]) -> Array:
    """Return transformed targets [..., T] in physical units; see `transformed`."""
    return _each(values, kinds, INVERSE)


def _each(values: Array, kinds: tuple[str, ...], functions: Functions) -> Array:
    if not kinds:
        return values
    columns = [functions[kind](values[..., t]) for t, kind in enumerate(kinds)]
    return jnp.stack(columns, axis=-1)
