"""The network with what surrounds it: physical units in, physical units out."""

from typing import NamedTuple

import jax.numpy as jnp
from jax import Array

from graphdown.model.arrays import GraphArrays
from graphdown.model.network import Downscaler


class Scaling(NamedTuple):
    """Statistics of the variables, as arrays.

    Attributes:
        log: 1 for predictors [V] that enter as log(1 + x), else 0.
        mean, std: of the predictors [V].
        column: for each target [T] the predictor it is a correction of, V for none.
        base: constant of each target [T] that is no predictor, else 0.
        scale: of each target's correction [T].
    """

    log: Array
    mean: Array
    std: Array
    column: Array
    base: Array
    scale: Array


def predict(
    network: Downscaler, scales: Scaling, source: Array, forcings: Array, graph: GraphArrays
) -> Array:
    """Return the targets [B, Nt, T] in physical units, before any limit such as pr >= 0.

    Args:
        network: the graph network.
        scales: statistics.
        source: predictors [B, Ns, V] in physical units.
        forcings: numbers per sample [B, F].
        graph: edges, interpolations and static features.
    """
    values = jnp.swapaxes(source, 0, 1)
    x = jnp.where(scales.log, jnp.log1p(jnp.maximum(values, 0.0)), values)
    x = (x - scales.mean) / scales.std
    correction = network(x, forcings, graph) * scales.scale
    own = jnp.take(values, scales.column, axis=-1, mode="fill", fill_value=0.0)
    return jnp.swapaxes(graph.to_target(own) + scales.base + correction, 0, 1)
