"""The network with what surrounds it: physical units in, physical units out."""

from typing import NamedTuple

import jax.numpy as jnp
from jax import Array

from graphdown.model.arrays import GraphArrays
from graphdown.model.network import Downscaler
from graphdown.model.optimal_interpolation import LeftOut, estimate
from graphdown.model.transforms import transformed
from graphdown.variables.winds import carried


class Scaling(NamedTuple):
    """Statistics of the variables, as arrays.

    Attributes:
        variable: for each input channel [C] the predictor it is made of.
        log: whether a channel [C] is log(1 + predictor) or the predictor itself.
        mean, std: of the channels [C].
        column: for each target [T] the predictor it is a correction of, V for none; with `weight`
            several [T, n].
        base: constant of each target [T] that is no predictor, else 0.
        scale: of each target's correction [T], in the space of its transform.
        flagged: predictors [F] that may be missing (NaN), which a channel of its own tells for
            each; None for none.
        weight: of each predictor [T, n] in what a target is a correction of, None for 1.
        winds: eastward and northward targets [P, 2] that are corrections of winds of the source;
            None without such.
    """

    variable: Array
    log: Array
    mean: Array
    std: Array
    column: Array
    base: Array
    scale: Array
    flagged: Array | None = None
    weight: Array | None = None
    winds: Array | None = None


def predict(
    network: Downscaler,
    scales: Scaling,
    source: Array,
    forcings: Array,
    graph: GraphArrays,
    left_out: LeftOut | None = None,
    noise: Array | None = None,
) -> Array:
    """Return the targets [B, Nt, T] in physical units, before any limit such as pr >= 0.

    Those that the network tells the distribution of are its mean.

    Args:
        network: the graph network.
        scales: statistics.
        source: predictors [B, Ns, V] in physical units.
        forcings: numbers per sample [B, F].
        graph: edges, interpolations and static features.
        left_out: training days that the EOFs are to make their estimate without.
        noise: of each sample [B, n], for a network with noise; None for zeros.
    """
    made = outputs(network, scales, source, forcings, graph, left_out, noise)
    return network.readout.expected(made, scales.scale)


def outputs(
    network: Downscaler,
    scales: Scaling,
    source: Array,
    forcings: Array,
    graph: GraphArrays,
    left_out: LeftOut | None = None,
    noise: Array | None = None,
) -> Array:
    """Return what `network.readout` reads the targets off [B, Nt, O]: values come first.

    The arguments are those of `predict`.
    """
    values = jnp.swapaxes(source, 0, 1)
    base = uncorrected(scales, values, graph, left_out)
    known = None if graph.patterns is None else graph.patterns.standardise(base)
    made = network(standardise(scales, values), forcings, graph, known, noise)
    corrected = transformed(base, network.readout.transforms)
    if network.regression is not None:
        corrected = network.regression.rescaled(corrected, graph.nodes)
    corrected = corrected + made[..., : base.shape[-1]] * scales.scale
    corrected = network.readout.conserved(corrected)
    if network.readout.further:
        corrected = jnp.concatenate([corrected, made[..., base.shape[-1] :]], axis=-1)
    return jnp.swapaxes(corrected, 0, 1)


def standardise(scales: Scaling, values: Array) -> Array:
    """Return the standardised input channels [..., C] of predictors [..., V].

    With flags, what is missing is 0, and the further channels [..., C + F] are 1 there.
    """
    x = values[..., scales.variable]
    x = jnp.where(scales.log, jnp.log1p(jnp.maximum(x, 0.0)), x)
    x = (x - scales.mean) / scales.std
    if scales.flagged is None:
        return x
    missing = jnp.isnan(values[..., scales.flagged])
    return jnp.concatenate([jnp.where(jnp.isnan(x), 0.0, x), missing.astype(x.dtype)], -1)


def uncorrected(
    scales: Scaling, values: Array, graph: GraphArrays, left_out: LeftOut | None = None
) -> Array:
    """Return what the network corrects [Nt, B, T] of source values [Ns, B, V].

    The estimate by the EOFs if there are any, else interpolated values, winds as vectors, or a
    constant for targets that are no predictors.
    """
    if graph.observation is not None and graph.patterns is not None:
        at_source, at_target = graph.observation, graph.patterns
        return estimate(
            values, at_source, at_target, scales.column, graph.to_target.__call__, left_out
        )
    own = jnp.take(values, scales.column, axis=-1, mode="fill", fill_value=0.0)
    if scales.weight is not None:
        own = (own * scales.weight).sum(axis=-1)
    interpolated = graph.to_target(own)
    if scales.winds is not None:
        interpolated = _with_winds(interpolated, own, scales.winds, graph)
    return interpolated + scales.base


def _with_winds(interpolated: Array, own: Array, winds: Array, graph: GraphArrays) -> Array:
    """Return values [Nt, B, T] whose winds are those [Ns, B, T] of the source, as vectors."""
    east, north = winds[:, 0], winds[:, 1]
    axes = graph.source_axes, graph.target_axes
    source, target = (jnp.moveaxis(units, 0, -1)[..., None, None] for units in axes)
    u, v = carried(graph.to_target.__call__, own[..., east], own[..., north], source, target)
    return interpolated.at[..., east].set(u).at[..., north].set(v)
