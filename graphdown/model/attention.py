"""Rounds of a graph transformer: attention of each mesh node to those that send to it.

As in AIFS (Lang et al. 2024, arXiv 2406.01465), whose attention is that of Shi et al. (2021,
"Masked label prediction", arXiv 2009.03509): heads, edges that enter exponents and values,
normalisation before both halves of a round, and a wide perceptron as the second half.
"""

from flax import nnx
from jax import Array

from graphdown.model.attention_kernel import attend
from graphdown.model.edge_tables import EdgeTable
from graphdown.model.layers import SMALL, Linear
from graphdown.model.message import NodeUpdate

EXPANSION = 4  # channels inside the perceptron, in those of a state


class AttentionMessage(nnx.Module):
    """Weighted mean over the neighbours whose weights depend on their states and on geometry.

    For each head, with n the normalised states:

    m_i = O [sum_j a_ij V n_j ; sum_j a_ij e_ij]
    a_i = softmax_j(Q n_i . K n_j / sqrt(d) + (G n_i + g) . e_ij)

    The geometry is a bias of the exponent, with slopes g that are the same for all nodes and slopes
    G n_i that the receiver chooses. These comprise the product of the query with a linear function
    of the features that is added to the key; O's part for the features comprises one that is added
    to the value. So no matrix product is done per edge, and no edge has channels.
    """

    def __init__(self, channels: int, edges: int, heads: int, *, rngs: nnx.Rngs) -> None:
        """Create the matrices.

        Args:
            channels: of a node; a multiple of the heads.
            edges: features of an edge.
            heads: of the attention.
            rngs: random streams.
        """
        self.heads = heads
        self.norm = nnx.LayerNorm(channels, rngs=rngs)
        self.query = Linear(channels, channels, use_bias=False, rngs=rngs)
        self.key = Linear(channels, channels, use_bias=False, rngs=rngs)
        self.value = Linear(channels, channels, use_bias=False, rngs=rngs)
        self.slopes = Linear(channels, heads * edges, kernel_init=SMALL, rngs=rngs)
        self.out = Linear(channels + heads * edges, channels, kernel_init=SMALL, rngs=rngs)

    def between(
        self, x: Array, edges: tuple[Array, ...], table: EdgeTable
    ) -> tuple[Array, tuple[Array, ...]]:
        """Return the messages [N, B, C] and the states of the edges as they are.

        Args:
            x: states of the nodes [N, B, C].
            edges: states of the edges; this message has no use for any.
            table: the edges.
        """
        n = self.norm(x)
        slopes = self.slopes(n).reshape(*n.shape[:2], self.heads, -1)
        means, seen = attend(self.query(n), self.key(n), self.value(n), slopes, table)
        return self.out(means, seen.reshape(*n.shape[:2], -1)), edges


class AttentionUpdate(nnx.Module):
    """Residual update by the received message and a perceptron, normalised before."""

    def __init__(self, channels: int, noise: int = 0, *, rngs: nnx.Rngs) -> None:
        """Create the layers; `noise` is as for `NodeUpdate`."""
        self.perceptron = NodeUpdate(channels, 0, EXPANSION * channels, noise, rngs=rngs)

    def __call__(self, h: Array, received: Array, *, noise: Array | None = None) -> Array:
        """Return the new states [N, B, C]; see `NodeUpdate`."""
        return self.perceptron(h + received, noise=noise)
