"""Limits of a distribution's parameters, reached smoothly by the unlimited outputs of a network."""

import math
from typing import Any

import jax
import jax.numpy as jnp


def bent_positive(value: Any, bend: Any) -> Any:
    """Positive number (v + r) / 2 with r^2 = v^2 + 4 b^2 for a value v and the bend b.

    It is close to a positive value, and falls off slowly, unlike softplus, so that the gradient of
    a wet day that was thought dry is not huge.
    """
    size = jnp.where(value >= 0, value, -value)
    sum_of_both = size + jnp.sqrt(value**2 + 4.0 * bend**2)
    return jnp.where(value >= 0, 0.5 * sum_of_both, 2.0 * bend**2 / sum_of_both)


def between(output: Any, low: float, start: float, high: float) -> Any:
    """Number between two limits.

    Args:
        output: of the network; 0 gives `start`.
        low, start, high: in ascending order.
    """
    share = (start - low) / (high - low)
    return low + (high - low) * jax.nn.sigmoid(output + math.log(share / (1.0 - share)))


def between_logarithms(output: Any, low: float, start: float, high: float) -> Any:
    """Positive number between two limits whose logarithm is that of `between`."""
    return jnp.exp(between(output, math.log(low), math.log(start), math.log(high)))
