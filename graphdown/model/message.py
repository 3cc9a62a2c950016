"""Message functions: from senders, receivers and edges to the receivers' means."""

from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx
from jax import Array

from graphdown.model.chunks import by_blocks
from graphdown.model.edge_tables import EdgeTable, arguments, sum_over_width, take
from graphdown.model.layers import Condition, Linear, conditioned


class LinearMessage(nnx.Module):
    """Weighted mean over the neighbours, with the second matrix after the sum.

    m_i = W2 . sum_j w_ij act(P x_j + Q s_i + R e_ij + b)

    No matrix product is done per edge and sample: P acts on the senders, R on the static edge
    features once per batch, W2 on the receivers.
    """

    def __init__(
        self, senders: int, receivers: int, edges: int, hidden: int, out: int, *, rngs: nnx.Rngs
    ) -> None:
        """Create the matrices.

        Args:
            senders: channels of a sender.
            receivers: channels of a receiver that the message sees; 0 for none.
            edges: features of an edge.
            hidden: channels inside the message.
            out: channels of the message.
            rngs: random streams.
        """
        self.sender = Linear(senders, hidden, use_bias=False, rngs=rngs)
        self.receiver = Linear(receivers, hidden, use_bias=False, rngs=rngs) if receivers else None
        self.edge = Linear(edges, hidden, rngs=rngs)
        self.out = Linear(hidden, out, use_bias=False, rngs=rngs)

    def __call__(self, x: Array, s: Array | None, table: EdgeTable) -> Array:
        """Return the messages [R, B, out].

        Args:
            x: sender states [S, B, C].
            s: receiver states [R, 1 or B, C'], or None.
            table: the edges.
        """
        edges = tuple(self.edge(features) for features in table.features)
        terms = with_receivers(self.receiver, s, edges, table)
        return self.out(mean_activation(self.sender(x), *terms, table))

    def between(
        self, x: Array, edges: tuple[Array, ...], table: EdgeTable
    ) -> tuple[Array, tuple[Array, ...]]:
        """Return the messages between nodes of one kind, and the states of the edges as they are.

        Args:
            x: states of the nodes [N, B, C].
            edges: states of the edges; this message has no use for any.
            table: the edges.
        """
        return self(x, x, table), edges


def with_receivers(
    receiver: Linear | None, s: Array | None, edges: tuple[Array, ...], table: EdgeTable
) -> tuple[Array | None, tuple[Array, ...]]:
    """Return the receivers' terms, None for none, and the edges' terms per block of the table.

    Terms of receivers that are the same for all samples are added to those of their edges.

    Args:
        receiver: the matrix of the receivers, or None.
        s: receiver states [R, 1 or B, C'], or None.
        edges: terms of the edges [rows_b, width_b, C].
        table: the edges.
    """
    if s is None or receiver is None:
        return None, edges
    projected = receiver(s)
    if projected.shape[1] > 1:
        return projected, edges
    parts = zip(edges, table.rows(projected), strict=True)
    return None, tuple(edge + part for edge, part in parts)


@jax.custom_vjp
def mean_activation(
    senders: Array, receivers: Array | None, edges: tuple[Array, ...], table: EdgeTable
) -> Array:
    """Return sum_j w_ij silu(p_j + q_i + r_ij), [R, B, C], with no array of edges and samples.

    Args:
        senders: p [S, B, C].
        receivers: q [R, B, C], or None for none.
        edges: r, per block of the table [rows_b, width_b, C].
        table: the edges and their weights w; no gradient goes to it.
    """
    means = [_block_mean(senders, *block) for block in table.by_block(receivers, edges)]
    return jnp.concatenate([mean.astype(senders.dtype) for mean in means])


def _block_mean(
    senders: Array, receiver: Array | None, edge: Array, block: Array, weights: Array
) -> Array:
    def term(k: int | Array) -> Array:
        values = take(senders, block[:, k]) + _plus(edge[:, k, None], receiver)
        return weights[:, k, None, None] * jax.nn.silu(values)

    return sum_over_width(term, block.shape[1])


def _plus(terms: Array, receiver: Array | None) -> Array:
    return terms if receiver is None else terms + receiver


def _mean_forward(
    senders: Array, receivers: Array | None, edges: tuple[Array, ...], table: EdgeTable
) -> tuple[Array, tuple[Any, ...]]:
    return mean_activation(senders, receivers, edges, table), (senders, receivers, edges, table)


def _mean_backward(saved: tuple[Any, ...], gradient: Array) -> tuple[Any, ...]:
    """Compute the activations' slopes again rather than keep them from the forward pass."""
    senders, receivers, edges, table = saved

    def body(_: None, rows: tuple[Any, ...]) -> tuple[None, tuple[Array | None, ...]]:
        to_mean, (receiver, edge, index, weights) = rows
        values = arguments(senders, receiver, edge[:, :, None], index)
        slopes = weights[:, :, None, None] * to_mean[:, None] * _silu_slope(values)
        # Without the barrier each use would compute it again.
        slopes = jax.lax.optimization_barrier(slopes.astype(senders.dtype))
        return None, (slopes, None if receiver is None else slopes.sum(1), slopes.sum(2))

    rows = zip(table.rows(gradient), table.by_block(receivers, edges), strict=True)
    outputs = by_blocks(body, None, rows, senders[0].size)[1]
    slopes, to_receivers, to_edges = zip(*outputs, strict=True)
    return (
        table.sum_outgoing(slopes),
        None if receivers is None else jnp.concatenate(to_receivers),
        to_edges,
        None,
    )


def _silu_slope(values: Array) -> Array:
    gate = jax.nn.sigmoid(values)
    return gate * (1.0 + values * (1.0 - gate))


mean_activation.defvjp(_mean_forward, _mean_backward)


class NodeUpdate(nnx.Module):
    """Residual two-layer perceptron on a node's state and its messages, normalised before."""

    def __init__(
        self, state: int, extra: int, hidden: int, noise: int = 0, *, rngs: nnx.Rngs
    ) -> None:
        """Create the layers; the last one starts at a tenth of the usual size.

        Args:
            state, extra, hidden: channels of the state, of the extras together, and inside.
            noise: numbers that move scale and shift of the normalised state; 0 for none.
            rngs: random streams.
        """
        self.norm = nnx.LayerNorm(state, rngs=rngs)
        self.state = Linear(state, hidden, rngs=rngs)
        self.extra = Linear(extra, hidden, use_bias=False, rngs=rngs) if extra else None
        small = nnx.initializers.variance_scaling(0.01, "fan_in", "truncated_normal")
        self.out = Linear(hidden, state, kernel_init=small, rngs=rngs)
        self.condition = Condition(noise, state, rngs=rngs) if noise else None

    def __call__(self, h: Array, *extra: Array, noise: Array | None = None) -> Array:
        """Return the new state, shaped as `h` [N, B, C].

        The extras are [1 or N, 1 or B, C_k], the noise [B, n].
        """
        hidden = self.state(conditioned(self.norm(h), self.condition, noise))
        if self.extra is not None:
            hidden = hidden + self.extra(*extra)
        return h + self.out(jax.nn.silu(hidden))
