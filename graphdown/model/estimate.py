"""What the covariance of training fields makes of a source: the estimate that is corrected."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import Array

# Gains amplify; on GPUs and TPUs the default would round their inputs to 10 or 7 bits.
PRECISE = jax.lax.Precision.HIGHEST
MOST_LEVERAGE = 0.95  # of one day; few modes are no exact regression, and could have more


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


class LeftOut(NamedTuple):
    """Training days, without which their own estimates are to be made.

    Attributes:
        values: of the source [Ns, B, V], as the modes were fitted on.
        truth: targets [Nt, B, T]; missing ones count as the node's mean.
        share: of the days in the patterns [B, K] (see `graphdown.modes.Modes.shares`).
    """

    values: Array
    truth: Array
    share: Array


def estimate(
    values: Array, observation: Observation, patterns: Patterns, left_out: LeftOut | None = None
) -> Array:
    """Return the estimated targets [Nt, B, T] from source values [Ns, B, V], physical units.

    The modes fit their training days closer than any other day. What the estimate of a training
    day would be without this day follows from the day's leverage h, as in any ridge regression
    (Sherman and Morrison 1950): it misses the truth by 1 / (1 - h) times as much.
    """
    amplitudes = _amplitudes(values, observation)
    made = _targets(amplitudes, patterns)
    if left_out is None:
        return made
    own = _amplitudes(left_out.values, observation)
    known = jnp.isfinite(left_out.truth)
    truth = jnp.where(known, left_out.truth, patterns.mean[:, None])
    leverage, pull = (
        jnp.einsum("bk,tkb->bt", left_out.share, a, precision=PRECISE) for a in (own, amplitudes)
    )
    missed = truth - _targets(own, patterns)
    return made - pull / (1.0 - jnp.minimum(leverage, MOST_LEVERAGE)) * missed


def _amplitudes(values: Array, observation: Observation) -> Array:
    """Return the amplitudes of the modes for each target [T, K, B]."""
    seen = values - observation.mean[:, None]
    return jnp.einsum("tknv,nbv->tkb", observation.gain, seen, precision=PRECISE)


def _targets(amplitudes: Array, patterns: Patterns) -> Array:
    made = jnp.einsum("tkb,knt->nbt", amplitudes, patterns.patterns, precision=PRECISE)
    return made + patterns.mean[:, None]
