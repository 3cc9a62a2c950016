"""Messages of an interaction network: a perceptron with layer normalisation on every edge.

The mathematics is GraphCast's (Lam et al. 2023, Science 382), with weights in the sums. Node
states are projected before they are gathered, and terms that are the same for all samples are
computed once.
"""

import jax
import jax.numpy as jnp
from flax import nnx
from jax import Array

from graphdown.model.chunks import map_rows
from graphdown.model.edge_tables import EdgeTable
from graphdown.model.edgewise import EPSILON, interact, mean_normalised
from graphdown.model.layers import Condition, Linear, conditioned
from graphdown.model.message import with_receivers


class Perceptron(nnx.Module):
    """norm(W2 act(W1 [x_1; x_2; ...] + b1) + b2)."""

    def __init__(self, inputs: int, hidden: int, out: int, *, rngs: nnx.Rngs) -> None:
        """Create the layers."""
        self.first = Linear(inputs, hidden, rngs=rngs)
        self.second = Linear(hidden, out, rngs=rngs)
        self.norm = nnx.LayerNorm(out, epsilon=EPSILON, rngs=rngs)

    def __call__(self, *parts: Array) -> Array:
        """Return [..., out] from arrays [..., C_k] that broadcast together."""
        return self.norm(self.second(jax.nn.silu(self.first(*parts))))


class InteractionUpdate(nnx.Module):
    """Residual perceptron on a node's state and its messages, normalised after."""

    def __init__(
        self, state: int, extra: int, hidden: int, noise: int = 0, *, rngs: nnx.Rngs
    ) -> None:
        """Create the layers; the arguments are those of `NodeUpdate`."""
        self.perceptron = Perceptron(state + extra, hidden, state, rngs=rngs)
        self.condition = Condition(noise, state, rngs=rngs) if noise else None

    def __call__(self, h: Array, *extra: Array, noise: Array | None = None) -> Array:
        """Return the new state; see `NodeUpdate`."""
        return h + conditioned(self.perceptron(h, *extra), self.condition, noise)


class EdgePerceptron(nnx.Module):
    """norm(W2 act(We e_ij + Ws x_j + Wr s_i + b1) + b2), by parts."""

    def __init__(self, senders: int, edges: int, hidden: int, out: int, *, rngs: nnx.Rngs) -> None:
        """Create all but the receivers' matrix; the arguments are those of `LinearMessage`."""
        self.sender = Linear(senders, hidden, use_bias=False, rngs=rngs)
        self.edge = Linear(edges, hidden, rngs=rngs)
        self.out = Linear(hidden, out, rngs=rngs)
        self.scale = nnx.Param(jnp.ones(out))
        self.shift = nnx.Param(jnp.zeros(out))

    def centred(self) -> tuple[Array, Array]:
        """Return W2 and b2 less their means over the channels, as the normalisation takes them."""
        kernel, bias = self.out.affine()
        return kernel - kernel.mean(-1, keepdims=True), bias - bias.mean()


class MlpMessage(nnx.Module):
    """Weighted mean over the neighbours of a perceptron on edge, sender and receiver.

    m_i = sum_j w_ij norm(W2 act(W1 [e_ij; x_j; s_i] + b1) + b2), where e_ij is a perceptron of the
    static edge features.
    """

    def __init__(
        self, senders: int, receivers: int, edges: int, hidden: int, out: int, *, rngs: nnx.Rngs
    ) -> None:
        """Create the matrices; the arguments are those of `LinearMessage`."""
        self.embed = Perceptron(edges, hidden, hidden, rngs=rngs)
        self.receiver = Linear(receivers, hidden, use_bias=False, rngs=rngs) if receivers else None
        self.mlp = EdgePerceptron(senders, hidden, hidden, out, rngs=rngs)

    def __call__(self, x: Array, s: Array | None, table: EdgeTable) -> Array:
        """Return the messages [R, B, out]; see `LinearMessage`."""
        mlp = self.mlp
        edges = tuple(map(self._edge_terms, table.features))
        terms = with_receivers(self.receiver, s, edges, table)
        means = mean_normalised(mlp.sender(x), *terms, *mlp.centred(), table)
        total = jnp.concatenate([weights.sum(1) for weights in table.weights])[:, None, None]
        return means * mlp.scale[...] + total.astype(means.dtype) * mlp.shift[...]

    def _edge_terms(self, features: Array) -> Array:
        width = features.shape[1] * self.mlp.edge.kernel.shape[1]
        return map_rows(lambda some: self.mlp.edge(self.embed(some)), features, width)


class EdgeStates(nnx.Module):
    """The first states of the edges, a perceptron of their static features."""

    def __init__(self, edges: int, channels: int, *, rngs: nnx.Rngs) -> None:
        """Create the layers, from `edges` features to `channels`."""
        self.embed = Perceptron(edges, channels, channels, rngs=rngs)

    def __call__(self, table: EdgeTable, batch: int) -> tuple[Array, ...]:
        """Return the states per block of the table [rows_b, width_b, B, C], alike for all B."""
        states = (self.embed(features)[:, :, None] for features in table.features)
        return tuple(
            jnp.broadcast_to(state, (*state.shape[:2], batch, state.shape[3])) for state in states
        )


class InteractionMessage(nnx.Module):
    """Messages between nodes of one kind whose edges have states that the messages add up to.

    u_ij = norm(W2 act(W1 [e_ij; x_j; x_i] + b1) + b2), m_i = sum_j w_ij u_ij, e_ij <- e_ij + u_ij
    """

    def __init__(self, channels: int, *, rngs: nnx.Rngs) -> None:
        """Create the matrices for nodes and edges with states of `channels`."""
        self.receiver = Linear(channels, channels, use_bias=False, rngs=rngs)
        self.mlp = EdgePerceptron(*[channels] * 4, rngs=rngs)

    def between(
        self, x: Array, edges: tuple[Array, ...], table: EdgeTable
    ) -> tuple[Array, tuple[Array, ...]]:
        """Return the messages [N, B, C] and the new edge states.

        Args:
            x: states of the nodes [N, B, C].
            edges: states of the edges, per block of the table [rows_b, width_b, B, C].
            table: the edges.
        """
        mlp = self.mlp
        layers = mlp.edge.affine(), mlp.centred(), (mlp.scale[...], mlp.shift[...])
        return interact(mlp.sender(x), self.receiver(x), edges, layers, table)
