"""Encode, process, decode: from any source grid through the mesh to the target."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from functools import partial
from typing import Any, TypeVar

import jax
import jax.numpy as jnp
from flax import nnx
from jax import Array

from graphdown.model.arrays import GraphArrays
from graphdown.model.attention import AttentionMessage, AttentionUpdate
from graphdown.model.chunks import map_rows
from graphdown.model.edge_tables import EdgeTable, stack
from graphdown.model.heads import Readout
from graphdown.model.innovation import InnovationRound
from graphdown.model.interaction import (
    EdgeStates,
    InteractionMessage,
    InteractionUpdate,
    MlpMessage,
)
from graphdown.model.layers import Linear
from graphdown.model.message import LinearMessage, NodeUpdate
from graphdown.model.spec import ModelSpec
from meshes.graphs.features import ENCODE_FEATURES

Layer = TypeVar("Layer", bound=nnx.Module)

UNROLLED = 4  # rounds; the loop takes some 5 % more time a step


@dataclass(frozen=True)
class NetworkShape:
    """The sizes that the data impose on the network.

    Attributes:
        predictors: input channels at a source node.
        targets: variables at a target node.
        forcings: numbers per time (the season).
        target_statics: static features of a target node.
        encode_features, process_features, decode_features: features of an edge.
        target_nodes: nodes of the target grid; used only with a target embedding.
        estimates: targets that the EOFs estimate beforehand, 0 without EOFs.
        readout: meaning of the outputs for the targets.
    """

    predictors: int
    targets: int
    forcings: int
    target_statics: int
    encode_features: int
    process_features: int
    decode_features: int
    target_nodes: int
    estimates: int = 0
    readout: Readout = field(default_factory=Readout)


def lowered(tree: Any, precision: str) -> Any:
    """Return modules or arrays of floats in the precision; "float32" leaves them as they are."""
    if precision == "float32":
        return tree
    return jax.tree.map(lambda leaf: leaf.astype(precision), tree)


def _lowered_graph(graph: GraphArrays, precision: str) -> GraphArrays:
    """Return the graph with its features in the precision; the weights of sums keep theirs."""

    def table(edges: EdgeTable) -> EdgeTable:
        return edges._replace(features=lowered(edges.features, precision))

    return graph._replace(
        encode=table(graph.encode),
        process=table(graph.process),
        decode=table(graph.decode),
        target_statics=lowered(graph.target_statics, precision),
    )


def stacked(layers: Iterable[Layer]) -> Layer:
    """Return layers of the same shape as one whose parameters have them as leading axis."""
    graphdefs, params = zip(*map(nnx.split, layers), strict=True)
    return nnx.merge(graphdefs[0], stack(params))


def _round(spec: ModelSpec, edges: int) -> tuple[Callable[..., Any], Callable[..., Any]]:
    """Return constructors of the message and of the node update of a round on the mesh."""
    c, noise = spec.channels, spec.noise
    if spec.messages == "attention":
        message = partial(AttentionMessage, c, edges, spec.attention_heads)
        return message, partial(AttentionUpdate, c, noise)
    if spec.messages == "mlp":
        return partial(InteractionMessage, c), partial(InteractionUpdate, c, c, c, noise)
    return partial(LinearMessage, c, c, edges, c, c), partial(NodeUpdate, c, c, c, noise)


def of_nodes(values: Array, nodes: Array | None) -> Array:
    """Return the rows of some nodes, all of them for None."""
    return values if nodes is None else values[nodes]


class TargetEmbedding(nnx.Module):
    """Learned numbers per target node and the readout that each node has for itself."""

    def __init__(
        self, nodes: int, size: int, channels: int, targets: int, *, rngs: nnx.Rngs
    ) -> None:
        """Create `size` numbers for each of the nodes, and a readout that starts at zero."""
        normal = nnx.initializers.normal(0.1)
        self.numbers = nnx.Param(normal(rngs.params(), (nodes, size)))
        self.project = Linear(channels, size, rngs=rngs)
        self.readout = nnx.Param(jnp.zeros((nodes, size, targets)))
        self.bias = nnx.Param(jnp.zeros((nodes, targets)))

    def __call__(self, h: Array, nodes: Array | None = None) -> Array:
        """Return each node's readout [Nt, B, targets] of the states [Nt, B, channels].

        Args:
            h: the states.
            nodes: which nodes these are [Nt], None for all.
        """
        readout, bias = (of_nodes(values[...], nodes) for values in (self.readout, self.bias))
        return jnp.einsum("tbn,tnv->tbv", self.project(h), readout) + bias[:, None]


class ClosedForm(nnx.Variable):
    """Numbers that are fitted in closed form before training, which leaves them as they are."""


class TargetRegression(nnx.Module):
    """A linear regression for each target node on the predictors at the mesh nodes around it.

    The corrected values enter too, since interpolation serves some nodes better than others. It is
    fitted in closed form before training and then fixed, so that the network learns the residual.
    """

    def __init__(self, nodes: int, around: int, predictors: int, targets: int) -> None:
        """Create coefficients, factors and constants of zero."""
        self.coefficients = ClosedForm(jnp.zeros((nodes, around, predictors, targets)))
        self.factors = ClosedForm(jnp.zeros((nodes, targets)))
        self.constants = ClosedForm(jnp.zeros((nodes, targets)))

    def __call__(self, at_mesh: Array, around: Array, nodes: Array | None = None) -> Array:
        """Return each node's regression [Nt, B, targets] on predictors [Nm, B, predictors].

        Args:
            at_mesh: the predictors.
            around: the mesh nodes around each target node [Nt, K].
            nodes: which target nodes these are [Nt], None for all.
        """
        slopes, constants = (
            of_nodes(jax.lax.stop_gradient(values[...]), nodes)
            for values in (self.coefficients, self.constants)
        )
        return jnp.einsum("tkbv,tkvo->tbo", at_mesh[around], slopes) + constants[:, None]

    def rescaled(self, corrected: Array, nodes: Array | None = None) -> Array:
        """Return the values to correct [Nt, B, targets], each multiplied by 1 + its node's factor.

        Args:
            corrected: the values, in the space of the corrections.
            nodes: which target nodes these are [Nt], None for all.
        """
        factors = of_nodes(jax.lax.stop_gradient(self.factors[...]), nodes)
        return corrected * (1.0 + factors[:, None])


class Downscaler(nnx.Module):
    """The graph network. Its output is the normalised correction to the interpolated source.

    Further outputs, if there are any, are those that `graphdown.model.heads.Readout` describes.
    """

    def __init__(self, spec: ModelSpec, shape: NetworkShape, *, rngs: nnx.Rngs) -> None:
        """Create the parameters; the last layers start at zero, so the correction does."""
        self.precision = spec.precision
        self.readout = shape.readout
        outputs = shape.targets + shape.readout.further
        noise = spec.noise
        c, t, n = spec.channels, spec.target_channels, spec.target_embedding
        mlp = spec.messages == "mlp"
        message = MlpMessage if mlp else LinearMessage
        update = InteractionUpdate if mlp else NodeUpdate
        e = shape.process_features
        self.encode = message(shape.predictors, 0, shape.encode_features, c, c, rngs=rngs)
        self.mesh_input = Linear(shape.predictors + shape.forcings, c, rngs=rngs)
        self.mesh_update = update(c, 0, c, noise, rngs=rngs)
        self.edge_states = EdgeStates(e, c, rngs=rngs) if mlp else None
        of_round, node_of_round = _round(spec, e)
        self.messages = stacked(of_round(rngs=rngs) for _ in range(spec.rounds))
        self.updates = stacked(node_of_round(rngs=rngs) for _ in range(spec.rounds))
        statics = shape.target_statics + n
        self.decode = message(c, statics, shape.decode_features, t, t, rngs=rngs)
        local = shape.predictors + statics + shape.forcings + shape.estimates
        self.target_update = update(t, local, 2 * t, noise, rngs=rngs)
        self.head = Linear(t, outputs, kernel_init=nnx.initializers.zeros, rngs=rngs)
        self.node_embedding = (
            TargetEmbedding(shape.target_nodes, n, t, outputs, rngs=rngs) if n else None
        )
        self.innovation_rounds = nnx.List(
            InnovationRound(shape.targets, len(ENCODE_FEATURES), statics, t, rngs=rngs)
            for _ in range(spec.innovation_rounds)
        )
        around = spec.target_regression
        self.regression = (
            TargetRegression(shape.target_nodes, around, shape.predictors, shape.targets)
            if around
            else None
        )

    def __call__(
        self,
        x: Array,
        forcings: Array,
        graph: GraphArrays,
        known: Array | None = None,
        noise: Array | None = None,
    ) -> Array:
        """Return the normalised correction [Nt, B, targets], and further outputs behind it.

        The arguments are those of `correction_and_states`.
        """
        return self.correction_and_states(x, forcings, graph, known, noise)[0]

    def correction_and_states(
        self,
        x: Array,
        forcings: Array,
        graph: GraphArrays,
        known: Array | None = None,
        noise: Array | None = None,
    ) -> tuple[Array, Array]:
        """Return the correction [Nt, B, outputs] and the states [Nt, B, C] that it is read from.

        Args:
            x: normalised predictors at the source nodes [Ns, B, predictors].
            forcings: numbers per sample [B, forcings].
            graph: the edges, interpolations and static features.
            known: standardised estimates at the targets [Nt, B, estimates], None without EOFs.
            noise: standard normal numbers of each sample [B, noise], None for zeros.
        """
        at_mesh, at_target = graph.to_mesh(x), graph.to_target(x)
        fields = lowered((x, at_mesh, at_target, forcings, known, noise), self.precision)
        network = lowered(self, self.precision)
        h = network._states(*fields, _lowered_graph(graph, self.precision)).astype(x.dtype)
        out = self.head(h)
        if self.node_embedding is not None:
            out = out + self.node_embedding(h, graph.nodes)
        if self.regression is not None:
            fitted = self.regression(at_mesh, graph.around, graph.nodes)
            further = ((0, 0), (0, 0), (0, self.readout.further))
            out = out + (jnp.pad(fitted, further) if self.readout.further else fitted)
        return out, h

    def innovated(
        self, fields: Array, source: Array, scale: Array, states: Array, graph: GraphArrays
    ) -> Array:
        """Return the fields [Nt, B, T] with the corrections by their innovations.

        Args:
            fields: in physical units.
            source: the source's own values of the targets [Ns, B, T].
            scale: of the targets' corrections [T], 0 for targets that are not corrected.
            states: at the target nodes [Nt, B, C].
            graph: the direct edges, and the means over the source's cells.
        """
        assert graph.feedback is not None
        statics = self._with_numbers(graph.target_statics, graph.nodes)
        inverse = jnp.where(scale > 0, 1.0 / jnp.where(scale > 0, scale, 1.0), 0.0)
        for correct in self.innovation_rounds:
            innovation = graph.feedback.innovation(source, fields) * inverse
            fields = fields + (correct(innovation, statics, states, graph.feedback.edges) * scale)
        return fields

    def _with_numbers(self, statics: Array, nodes: Array | None) -> Array:
        """Static features [Nt, S] with the learned numbers of the nodes behind them."""
        if self.node_embedding is None:
            return statics
        numbers = of_nodes(self.node_embedding.numbers[...], nodes)
        return jnp.concatenate([statics, numbers], -1)

    def _states(
        self,
        x: Array,
        at_mesh: Array,
        at_target: Array,
        forcings: Array,
        known: Array | None,
        noise: Array | None,
        graph: GraphArrays,
    ) -> Array:
        """Return the states [Nt, B, C] that are read out.

        Args:
            x, forcings, known, noise, graph: as those of the network.
            at_mesh, at_target: the predictors interpolated to the mesh and to the targets.
        """
        mesh = self.mesh_input(at_mesh, forcings[None])
        mesh = self.mesh_update(mesh + self.encode(x, None, graph.encode), noise=noise)
        mesh = self._process(mesh, graph, noise)
        return self._decode(mesh, at_target, forcings, graph, known, noise)

    def _process(self, mesh: Array, graph: GraphArrays, noise: Array | None = None) -> Array:
        """Run the rounds, many of them as a loop, so that compilation does not grow with depth."""
        graphdef, params = nnx.split((self.messages, self.updates))
        rounds = len(jax.tree.leaves(params)[0])

        def one(state: tuple[Array, Any], layers: nnx.State) -> tuple[tuple[Array, Any], None]:
            message, update = nnx.merge(graphdef, layers)
            mesh, edges = state
            received, edges = message.between(mesh, edges, graph.process)
            return (update(mesh, received, noise=noise), edges), None

        edges = self.edge_states(graph.process, mesh.shape[1]) if self.edge_states else ()
        unroll = rounds if rounds <= UNROLLED else 1
        (mesh, _), _ = jax.lax.scan(one, (mesh, edges), params, unroll=unroll)
        return mesh

    def _decode(
        self,
        mesh: Array,
        at_target: Array,
        forcings: Array,
        graph: GraphArrays,
        known: Array | None,
        noise: Array | None,
    ) -> Array:
        statics = self._with_numbers(graph.target_statics, graph.nodes)[:, None]
        h = self.decode(mesh, statics, graph.decode)
        estimates = () if known is None else (known,)

        def updated(rows: tuple[Array, ...]) -> Array:
            h, at_target, statics, *estimates = rows
            return self.target_update(
                h, at_target, statics, forcings[None], *estimates, noise=noise
            )

        return map_rows(updated, (h, at_target, statics, *estimates), 2 * h[0].size)
