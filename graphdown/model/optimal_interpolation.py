"""Estimate of the targets from a source by the covariance of the training fields."""

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
    """Operator from a source grid to amplitudes of EOFs (see `graphdown.emulator.eofs.EOFs`).

    Attributes:
        gain: [T, K, Ns, V], for each target; padded nodes have 0.
        mean: mean of the source values [Ns, V].
        shown: [K, Ns, T], patterns of the predictor that each target is, in physical units; 0 for
            targets that are no predictors.
        covered: 1 for nodes that the EOFs cover, else 0 [Ns].
    """

    gain: Any
    mean: Any
    shown: Any
    covered: Any


class Patterns(NamedTuple):
    """Patterns of the EOFs at the target.

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
    """Training days that their estimates are to leave out.

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

    The residual of the source's values is interpolated and added, for targets that are predictors
    themselves: few EOFs miss much of the detail of a fine grid, and of a climate that they were
    not fitted to.

    The EOFs fit their training days closer than any other day. The estimate of a training day by
    EOFs without this day follows from the day's leverage h, as in any ridge regression (Sherman
    and Morrison 1950): its error is 1 / (1 - h) times as large. The same holds for the residual at
    the source.

    Args:
        values: of the source.
        observation, patterns: of the EOFs, at the source and at the target.
        columns: the predictor [T] that each target is, V for none.
        to_target: interpolates values [Ns, ...] to [Nt, ...].
        left_out: training days that are to be left out, None for none.
    """
    amplitudes = _amplitudes(values, observation)
    targets, shown = _targets(amplitudes, patterns), _shown(amplitudes, observation)
    seen = _seen(values, observation, columns)
    if left_out is not None:
        amplitudes_left_out = _amplitudes(left_out.values, observation)
        known = jnp.isfinite(left_out.truth)
        truth = jnp.where(known, left_out.truth, patterns.mean[:, None])
        leverage, pull = (
            jnp.einsum("bk,tkb->bt", left_out.share, a, precision=PRECISE)
            for a in (amplitudes_left_out, amplitudes)
        )
        pull = pull / (1.0 - jnp.minimum(leverage, MOST_LEVERAGE))
        targets = targets - pull * (truth - _targets(amplitudes_left_out, patterns))
        left = _seen(left_out.values, observation, columns) - _shown(
            amplitudes_left_out, observation
        )
        shown = shown - pull * left
    return targets + _interpolated(seen - shown, observation.covered, to_target)


def _amplitudes(values: Array, observation: Observation) -> Array:
    """Return the amplitudes of the EOFs for each target [T, K, B]."""
    seen = values - observation.mean[:, None]
    return jnp.einsum("tknv,nbv->tkb", observation.gain, seen, precision=PRECISE)


def _targets(amplitudes: Array, patterns: Patterns) -> Array:
    anomalies = jnp.einsum("tkb,knt->nbt", amplitudes, patterns.patterns, precision=PRECISE)
    return anomalies + patterns.mean[:, None]


def _shown(amplitudes: Array, observation: Observation) -> Array:
    """Return the anomalies at the source [Ns, B, T] that amplitudes represent."""
    return jnp.einsum("tkb,knt->nbt", amplitudes, observation.shown, precision=PRECISE)


def _seen(values: Array, observation: Observation, columns: Array) -> Array:
    """Return the source's anomalies of each target's predictor [Ns, B, T], 0 for none."""
    anomalies = values - observation.mean[:, None]
    return jnp.take(anomalies, columns, axis=-1, mode="fill", fill_value=0.0)


def _interpolated(left: Array, covered: Array, to_target: Callable[[Array], Array]) -> Array:
    """Return values [Ns, B, T] at the targets, from donors that the EOFs cover."""
    share = to_target(covered[:, None, None])
    interpolated = to_target(left * covered[:, None, None])
    return interpolated / jnp.where(share > LEAST_SHARE, share, jnp.inf)
