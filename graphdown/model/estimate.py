"""What the covariance of training fields makes of a source: the estimate that is corrected."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import Array

# Gains amplify; on GPUs and TPUs the default would round their inputs to 10 or 7 bits.
PRECISE = jax.lax.Precision.HIGHEST


class Observation(NamedTuple):
    """How a source grid tells the amplitudes of the modes (see `graphdown.modes.Modes`).

    Attributes:
        gain: [T, K, Ns, V], for each target; padded nodes have 0.
        mean: mean of the source values [Ns, V].
    """

    gain: Array
    mean: Array


class Patterns(NamedTuple):
    """What amplitudes mean at the target.

    Attributes:
        patterns: [K, Nt, T].
        mean: [Nt, T].
        centre, spread: mean over the nodes and typical deviation of each target [T], to
            standardise estimates with.
    """

    patterns: Array
    mean: Array
    centre: Array
    spread: Array

    def standardise(self, estimates: Array) -> Array:
        """Return estimates [..., T] as the network sees them."""
        return (estimates - self.centre) / self.spread


def estimate(values: Array, observation: Observation, patterns: Patterns) -> Array:
    """Return the estimated targets [Nt, B, T] from source values [Ns, B, V], physical units."""
    seen = values - observation.mean[:, None]
    amplitudes = jnp.einsum("tknv,nbv->tkb", observation.gain, seen, precision=PRECISE)
    made = jnp.einsum("tkb,knt->nbt", amplitudes, patterns.patterns, precision=PRECISE)
    return made + patterns.mean[:, None]
