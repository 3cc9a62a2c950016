"""What the covariance of training fields makes of a source: the estimate that is corrected."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import Array

# Gains amplify; on GPUs and TPUs the default would round their inputs to 10 or 7 bits.
PRECISE = jax.lax.Precision.HIGHEST
MOST_LEVERAGE = 0.95  # of one day; few EOFs are no exact regression, and could have more
LEAST_SHARE = 1e-3  # of an interpolation's donors that are covered


class Observation(NamedTuple):
    """How a source grid tells the amplitudes of the EOFs (see `graphdown.emulator.eofs.EOFs`).

    Attributes:
        gain: [T, K, Ns, V], for each target; padded nodes have 0.
        mean: mean of the source values [Ns, V].
        shown: [K, Ns, T], what amplitudes mean for the predictor that each target is, physical
            units; 0 for targets that are none.
        covered: 1 for nodes of which the EOFs know, else 0 [Ns].
    """

    gain: Any
    mean: Any
    shown: Any
    covered: Any


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
        values: of the source [Ns, B, V], as the EOFs were fitted on.
        truth: targets [Nt, B, T]; missing ones count as the node's mean.
        share: of the days in the patterns [B, K] (see `graphdown.emulator.eofs.EOFs.shares`).
    """

    values: Any
    truth: Any
    share: Any


def estimate(
    values: Array,
    observation: Observation,
    patterns: Patterns,
    columns: Array,
    to_target: Callable[[Array], Array],
    left_out: LeftOut | None = None,
) -> Array:
    """Return the estimated targets [Nt, B, T] from source values [Ns, B, V], physical units.

    What the EOFs leave of the source's values is interpolated and added, for targets that are
    predictors themselves: few EOFs miss much of what a fine grid shows, and of a climate that is
    none of theirs.

    The EOFs fit their training days closer than any other day. What the estimate of a training
    day would be without this day follows from the day's leverage h, as in any ridge regression
    (Sherman and Morrison 1950): it misses the truth by 1 / (1 - h) times as much. So does what the
    EOFs make of the source's own values.

    Args:
        values: of the source.
        observation, patterns: what the EOFs mean at the source and at the target.
        columns: the predictor [T] that each target is, V for none.
        to_target: interpolates values [Ns, ...] to [Nt, ...].
        left_out: training days that are to be left out, None for none.
    """
    amplitudes = _amplitudes(values, observation)
    made, shown = _targets(amplitudes, patterns), _shown(amplitudes, observation)
    seen = _seen(values, observation, columns)
    if left_out is not None:
        own = _amplitudes(left_out.values, observation)
        known = jnp.isfinite(left_out.truth)
        truth = jnp.where(known, left_out.truth, patterns.mean[:, None])
        leverage, pull = (
            jnp.einsum("bk,tkb->bt", left_out.share, a, precision=PRECISE)
            for a in (own, amplitudes)
        )
        pull = pull / (1.0 - jnp.minimum(leverage, MOST_LEVERAGE))
        made = made - pull * (truth - _targets(own, patterns))
        left = _seen(left_out.values, observation, columns) - _shown(own, observation)
        shown = shown - pull * left
    return made + _interpolated(seen - shown, observation.covered, to_target)


def _amplitudes(values: Array, observation: Observation) -> Array:
    """Return the amplitudes of the EOFs for each target [T, K, B]."""
    seen = values - observation.mean[:, None]
    return jnp.einsum("tknv,nbv->tkb", observation.gain, seen, precision=PRECISE)


def _targets(amplitudes: Array, patterns: Patterns) -> Array:
    made = jnp.einsum("tkb,knt->nbt", amplitudes, patterns.patterns, precision=PRECISE)
    return made + patterns.mean[:, None]


def _shown(amplitudes: Array, observation: Observation) -> Array:
    """Return what amplitudes mean at the source [Ns, B, T], less the mean."""
    return jnp.einsum("tkb,knt->nbt", amplitudes, observation.shown, precision=PRECISE)


def _seen(values: Array, observation: Observation, columns: Array) -> Array:
    """Return the anomalies at the source of what each target is there [Ns, B, T], 0 for none."""
    anomalies = values - observation.mean[:, None]
    return jnp.take(anomalies, columns, axis=-1, mode="fill", fill_value=0.0)


def _interpolated(left: Array, covered: Array, to_target: Callable[[Array], Array]) -> Array:
    """Return values [Ns, B, T] at the targets, from donors that the EOFs know of."""
    share = to_target(covered[:, None, None])
    made = to_target(left * covered[:, None, None])
    return made / jnp.where(share > LEAST_SHARE, share, jnp.inf)
