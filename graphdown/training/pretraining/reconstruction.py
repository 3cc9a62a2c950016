"""The loss of a pretraining: errors of the reconstructed source nodes that were hidden."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from flax import nnx
from jax import Array

from graphdown.model import GraphArrays, Scaling
from graphdown.model.arrays import InterpolationTable, with_hidden, with_spacing_offset
from graphdown.model.predict import standardise
from graphdown.training.augmentation import Augmentation
from graphdown.training.parallel import AXIS


class HiddenBatch(NamedTuple):
    """Days of one source, physical units; B is this device's share.

    Attributes:
        source: predictors [B, Ns, V].
        forcings: numbers per day [B, F].
        visible: 1 for the nodes that are shown [B, Ns], the same for all days.
        warming, spacing: as in `graphdown.training.step.Batch`.
    """

    source: Any
    forcings: Any
    visible: Any
    warming: Any
    spacing: Any


class HiddenConstants(NamedTuple):
    """Arrays of one source that stay the same from step to step.

    Attributes:
        graph: from the source over the mesh back to it.
        scales: statistics.
        area: weight of each node [Nt], mean 1.
        warmed: 1 for the predictors [V] that are air temperatures.
        smoother: means over neighbourhoods, None without smoothing.
    """

    graph: GraphArrays
    scales: Scaling
    area: Array
    warmed: Array
    smoother: InterpolationTable | None = None


def make_loss(
    graphdef: nnx.GraphDef, augment: Augmentation | None = None
) -> Callable[[Any, HiddenBatch, HiddenConstants, Array], Array]:
    """Area-weighted mean squared error of the standardised channels at hidden nodes."""

    def loss(params: Any, batch: HiddenBatch, constants: HiddenConstants, number: Array) -> Array:
        source = batch.source + batch.warming[:, None, None] * constants.warmed
        if augment is not None:
            source = augment(source, number, constants.scales, constants.smoother)
        graph = with_spacing_offset(constants.graph, batch.spacing[0])
        square, weight = _at_hidden(
            graphdef,
            params,
            constants._replace(graph=graph),
            source,
            batch.forcings,
            batch.visible[0],
        )
        return square.sum() / jax.lax.psum(weight.sum(), AXIS)

    return loss


def _at_hidden(
    graphdef: nnx.GraphDef,
    params: Any,
    constants: HiddenConstants,
    source: Array,
    season: Array,
    visible: Array,
) -> tuple[Array, Array]:
    """Sums of the squared errors at hidden nodes and of their weights, by channel [C]."""
    nodes, scales = len(constants.area), constants.scales
    values = jnp.swapaxes(source, 0, 1)
    x = standardise(scales, values)
    graph = with_hidden(constants.graph, visible)
    predicted = nnx.merge(graphdef, params)(x, season, graph)
    there = jnp.isfinite(values[:nodes][..., scales.variable])
    hidden = constants.area * (1.0 - visible[:nodes])
    weight = jnp.where(there, hidden[:, None, None], 0.0)
    square = (predicted - x[:nodes, :, : predicted.shape[-1]]) ** 2 * weight
    return square.sum((0, 1)), weight.sum((0, 1))


squared_errors = jax.jit(_at_hidden, static_argnums=0)
