"""Sub-steps whose mean is the mean that the network predicts for their step."""

from dataclasses import dataclass

import jax.numpy as jnp
from jax import Array

from graphdown.variables.catalogue import describe
from graphdown.variables.names import parts_of

LEAST_SHARE = 1e-6  # mm/day; so that a dry step has equal parts


@dataclass(frozen=True)
class StepMean:
    """A target that is the mean over a step, and the targets that are its sub-steps.

    Attributes:
        mean: place of the mean among the targets.
        parts: places of the sub-steps.
        is_amount: whether it is an amount, which sub-steps have a share of; others depart from it.
    """

    mean: int
    parts: tuple[int, ...]
    is_amount: bool

    def conserved(self, values: Array) -> Array:
        """Return values [..., T] in which the mean of the sub-steps is that of the step."""
        places = jnp.asarray(self.parts)
        mean, parts = values[..., self.mean, None], values[..., places]
        if self.is_amount:
            mean, parts = jnp.maximum(mean, 0.0), jnp.maximum(parts, 0.0) + LEAST_SHARE
            parts = parts * (mean / parts.mean(axis=-1, keepdims=True))
        else:
            parts = mean + (parts - parts.mean(axis=-1, keepdims=True))
        return values.at[..., places].set(parts)


def step_means(targets: tuple[str, ...]) -> tuple[StepMean, ...]:
    """Return the targets that have sub-steps among the named targets."""
    found = ((place, name, tuple(parts_of(name, targets))) for place, name in enumerate(targets))
    return tuple(
        StepMean(place, parts, describe(name).is_amount) for place, name, parts in found if parts
    )
