"""Transforms of variables: of predictors as further input channels, of targets with the inverse.

A transform works on arrays of numpy and of JAX alike.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax.numpy as jnp
from jax import Array

from graphdown.runtime.registry import Registry

NONE = "none"
Function = Callable[[Any], Any]


class Transform(NamedTuple):
    """A function of one variable's values and its exact inverse.

    Attributes:
        forward: from physical units.
        inverse: to physical units.
    """

    forward: Function
    inverse: Function


TRANSFORMS: Registry[Transform] = Registry("transform")


def register_transform(name: str, inverse: Function) -> Callable[[Function], Function]:
    """Decorator that registers a function of numpy's or JAX's arrays as a transform.

    Args:
        name: for `predictor_transforms` and `model.transforms` of an experiment.
        inverse: its exact inverse.

    Raises:
        GraphdownError: the name is taken.
    """
    return TRANSFORMS.register(name, lambda forward: Transform(forward, inverse))


@register_transform(NONE, inverse=lambda y: y)
def identity(x: Any) -> Any:
    """Return the values as they are."""
    return x


def _odd_expm1(y: Any) -> Any:
    xp = y.__array_namespace__()
    return xp.sign(y) * xp.expm1(xp.abs(y))


@register_transform("log1p", inverse=_odd_expm1)
def odd_log1p(x: Any) -> Any:
    """Return sign(x) log(1 + |x|): interpolations of precipitation may be negative."""
    xp = x.__array_namespace__()
    return xp.sign(x) * xp.log1p(xp.abs(x))


@register_transform("cube-root", inverse=lambda y: y * y * y)
def cube_root(x: Any) -> Any:
    """Return the cube root, of negative values too."""
    return x.__array_namespace__().cbrt(x)


def transformed(values: Array, kinds: tuple[str, ...]) -> Array:
    """Return targets [..., T] each in the space of its transform.

    Args:
        values: in physical units.
        kinds: name of each target's transform, empty if none has one.
    """
    return _each(values, [TRANSFORMS[kind].forward for kind in kinds])


def restored(values: Array, kinds: tuple[str, ...]) -> Array:
    """Return transformed targets [..., T] in physical units; see `transformed`."""
    return _each(values, [TRANSFORMS[kind].inverse for kind in kinds])


def _each(values: Array, functions: list[Function]) -> Array:
    if not functions:
        return values
    return jnp.stack([function(values[..., t]) for t, function in enumerate(functions)], axis=-1)
