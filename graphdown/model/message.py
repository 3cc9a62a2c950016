"""Message functions: what the edges carry to their receivers."""

import jax
import jax.numpy as jnp
from flax import nnx
from jax import Array

from graphdown.model.tables import EdgeTable, gather_edges


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
        self.sender = nnx.Linear(senders, hidden, use_bias=False, rngs=rngs)
        self.receiver = (
            nnx.Linear(receivers, hidden, use_bias=False, rngs=rngs) if receivers else None
        )
        self.edge = nnx.Linear(edges, hidden, rngs=rngs)
        self.out = nnx.Linear(hidden, out, use_bias=False, rngs=rngs)

    def __call__(self, x: Array, s: Array | None, table: EdgeTable) -> Array:
        """Return the messages [R, B, out].

        Args:
            x: sender states [S, B, C].
            s: receiver states [R, 1 or B, C'], or None.
            table: the edges.
        """
        gathered = gather_edges(self.sender(x), table.senders, table.outgoing)
        projected = None if s is None or self.receiver is None else self.receiver(s)
        sums, row = [], 0
        for values, features, weights in zip(gathered, table.features, table.weights, strict=True):
            values = values + self.edge(features)[:, :, None, :]
            if projected is not None:
                values = values + projected[row : row + values.shape[0], None]
            sums.append(jnp.einsum("rd,rdbc->rbc", weights, jax.nn.silu(values)))
            row += values.shape[0]
        return self.out(jnp.concatenate(sums))


class NodeUpdate(nnx.Module):
    """Residual two-layer perceptron on a node's state and what reached it, normalised before."""

    def __init__(self, state: int, extra: int, hidden: int, *, rngs: nnx.Rngs) -> None:
        """Create the layers; the last one starts at a tenth of the usual size."""
        self.norm = nnx.LayerNorm(state, rngs=rngs)
        self.state = nnx.Linear(state, hidden, rngs=rngs)
        self.extra = nnx.Linear(extra, hidden, use_bias=False, rngs=rngs) if extra else None
        small = nnx.initializers.variance_scaling(0.01, "fan_in", "truncated_normal")
        self.out = nnx.Linear(hidden, state, kernel_init=small, rngs=rngs)

    def __call__(self, h: Array, extra: Array | None = None) -> Array:
        """Return the new state, shaped as `h` [N, B, C]; `extra` is [N, 1 or B, C']."""
        hidden = self.state(self.norm(h))
        if extra is not None and self.extra is not None:
            hidden = hidden + self.extra(extra)
        return h + self.out(jax.nn.silu(hidden))
