"""Prediction in physical units: scaling, the network, and the readout."""

from typing import NamedTuple

import jax.numpy as jnp
from jax import Array

from graphdown.model.arrays import GraphArrays
from graphdown.model.channels import Channels
from graphdown.model.deep_ensemble import DeepEnsemble
from graphdown.model.network import Downscaler
from graphdown.model.optimal_interpolation import LeftOut, estimate
from graphdown.model.transforms import restored, transformed
from graphdown.variables.winds import carried


class Scaling(NamedTuple):
    """Statistics of the variables, as arrays.

    Attributes:
        channels: C inputs that are made of the predictors.
        mean, std: of the channels [C].
        column: for each target [T] the predictor that it corrects, V for none; with `weight`
            several [T, n].
        base: constant of each target [T] that is no predictor, else 0.
        scale: of each target's correction [T], in the space of its transform.
        flagged: predictors [F] that may be missing (NaN), each with a channel that flags missing
            values; None for none.
        weight: of each predictor [T, n] in what a target is a correction of, None for 1.
        winds: eastward and northward targets [P, 2] that are corrections of winds of the source;
            None without such.
    """

    channels: Channels
    mean: Array
    std: Array
    column: Array
    base: Array
    scale: Array
    flagged: Array | None = None
    weight: Array | None = None
    winds: Array | None = None


def predict(
    network: Downscaler | DeepEnsemble,
    scales: Scaling,
    source: Array,
    forcings: Array,
    graph: GraphArrays,
    left_out: LeftOut | None = None,
    noise: Array | None = None,
) -> Array:
    """Return the targets [B, Nt, T] in physical units, before any limit such as pr >= 0.

    Targets whose distribution the network predicts are its mean; of an ensemble of networks, the
    mean of all.

    Args:
        network: the graph network.
        scales: statistics.
        source: predictors [B, Ns, V] in physical units.
        forcings: numbers per sample [B, F].
        graph: edges, interpolations and static features.
        left_out: training days that the EOFs are to make their estimate without.
        noise: of each sample [B, n], for a network with noise; None for zeros.
    """
    if isinstance(network, DeepEnsemble):
        each = network.each(
            lambda one: predict(one, scales, source, forcings, graph, left_out, noise)
        )
        return each.mean(axis=0)
    values = outputs(network, scales, source, forcings, graph, left_out, noise)
    return network.readout.expected(values, scales.scale)


def outputs(
    network: Downscaler,
    scales: Scaling,
    source: Array,
    forcings: Array,
    graph: GraphArrays,
    left_out: LeftOut | None = None,
    noise: Array | None = None,
) -> Array:
    """Return the outputs [B, Nt, O] that `network.readout` interprets: values come first.

    The arguments are those of `predict`.
    """
    values = jnp.swapaxes(source, 0, 1)
    base = uncorrected(scales, values, graph, left_out)
    known = None if graph.patterns is None else graph.patterns.standardise(base)
    inputs = standardise(scales, values), forcings, graph, known, noise
    correction, states = network.correction_and_states(*inputs)
    corrected = transformed(base, network.readout.transforms)
    if network.regression is not None:
        corrected = network.regression.rescaled(corrected, graph.nodes)
    corrected = corrected + correction[..., : base.shape[-1]] * scales.scale
    if network.innovation_rounds:
        corrected = _innovated(network, scales, corrected, values, states, graph)
    corrected = network.readout.conserved(corrected)
    if network.readout.further:
        corrected = jnp.concatenate([corrected, correction[..., base.shape[-1] :]], axis=-1)
    return jnp.swapaxes(corrected, 0, 1)


def _innovated(
    network: Downscaler,
    scales: Scaling,
    corrected: Array,
    values: Array,
    states: Array,
    graph: GraphArrays,
) -> Array:
    """Targets [Nt, B, T], in the spaces of their transforms, corrected by their innovations.

    Targets that are no predictors have none, and neither have winds: their components at the
    source point in other directions than at the target.
    """
    kinds = network.readout.transforms
    source = _predictors_of_targets(scales, values)
    scale = jnp.where(scales.column < values.shape[-1], scales.scale, 0.0)
    if scales.winds is not None:
        scale = scale.at[scales.winds.ravel()].set(0.0)
    fields = restored(corrected, kinds)
    fields = network.innovated(fields, source, scale, states, graph)
    return transformed(fields, kinds)


def standardise(scales: Scaling, values: Array) -> Array:
    """Return the standardised input channels [..., C] of predictors [..., V].

    With flags, missing values are 0, and the further channels [..., C + F] are 1 there.
    """
    x = (scales.channels.values(values) - scales.mean) / scales.std
    if scales.flagged is None:
        return x
    missing = jnp.isnan(values[..., scales.flagged])
    return jnp.concatenate([jnp.where(jnp.isnan(x), 0.0, x), missing.astype(x.dtype)], -1)


def uncorrected(
    scales: Scaling, values: Array, graph: GraphArrays, left_out: LeftOut | None = None
) -> Array:
    """Return the first guess [Nt, B, T] from source values [Ns, B, V] that the network corrects.

    It is the estimate by the EOFs if there are any, else interpolated values, winds as vectors, or
    a constant for targets that are no predictors.
    """
    if graph.observation is not None and graph.patterns is not None:
        at_source, at_target = graph.observation, graph.patterns
        return estimate(
            values, at_source, at_target, scales.column, graph.to_target.__call__, left_out
        )
    source_values = _predictors_of_targets(scales, values)
    interpolated = graph.to_target(source_values)
    if scales.winds is not None:
        interpolated = _with_winds(interpolated, source_values, scales.winds, graph)
    return interpolated + scales.base


def _predictors_of_targets(scales: Scaling, values: Array) -> Array:
    """Source values [Ns, B, T] that each target is a correction of, 0 for none."""
    source_values = jnp.take(values, scales.column, axis=-1, mode="fill", fill_value=0.0)
    if scales.weight is not None:
        source_values = (source_values * scales.weight).sum(axis=-1)
    return source_values


def _with_winds(
    interpolated: Array, source_values: Array, winds: Array, graph: GraphArrays
) -> Array:
    """Return values [Nt, B, T] whose winds are those [Ns, B, T] of the source, as vectors."""
    east, north = winds[:, 0], winds[:, 1]
    axes = graph.source_axes, graph.target_axes
    source, target = (jnp.moveaxis(units, 0, -1)[..., None, None] for units in axes)
    u, v = carried(
        graph.to_target.__call__,
        source_values[..., east],
        source_values[..., north],
        source,
        target,
    )
    return interpolated.at[..., east].set(u).at[..., north].set(v)
