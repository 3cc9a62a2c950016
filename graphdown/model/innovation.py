"""Innovations: what a source shows over its cells beyond the means of the fields made so far.

Data assimilation corrects a first guess by its innovation, observation less observed first guess.
Here the observations are the source's cells. A few rounds, each with a learned kernel, stand for
the inverse of their covariance, as in learned iterative reconstruction (Putzky and Welling 2017,
arXiv 1706.04008; Adler and Oktem 2018, IEEE Trans. Med. Imaging 37).
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from flax import nnx
from jax import Array

from graphdown.model.chunks import map_rows
from graphdown.model.edge_tables import EdgeTable, take
from graphdown.model.layers import Linear
from graphdown.model.upscaling import Upscaling

KERNELS = 8  # of each target
TRUSTED_SHARE = 0.5  # of a cell that the target covers


class Feedback(NamedTuple):
    """The part of a graph that compares fields at the target with the source.

    Attributes:
        edges: from the source to the target, in one block.
        means: over the source's cells, of fields at the target.
        share: of each source cell that the target covers [Ns].
    """

    edges: EdgeTable
    means: Upscaling
    share: Array

    def innovation(self, source: Array, fields: Array) -> Array:
        """Source values less the fields' means over the cells [Ns, B, T].

        They count less where the target covers less than half of a cell, and not at all where it
        covers nothing.

        Args:
            source: the source's own values of the targets [Ns, B, T].
            fields: at the target [Nt, B, T].
        """
        trust = jnp.minimum(self.share / TRUSTED_SHARE, 1.0)[:, None, None]
        return jnp.where(trust > 0, (source - self.means(fields, len(source))) * trust, 0.0)


class InnovationRound(nnx.Module):
    """Correction of the fields by weighted means of the innovations around each target node.

    c_t = W [(1 + G h_t) * sum_j w_tj (1 + k(e_tj, s_t)) d_j], where the kernel k is a perceptron of
    the geometry of the edge and of the target node's static features, and the gate G lets the
    weather, the network's normalised state h, choose among several means. It is linear in the
    innovations d, and starts at zero.
    """

    def __init__(
        self, targets: int, edges: int, statics: int, states: int, *, rngs: nnx.Rngs
    ) -> None:
        """Create the layers.

        Args:
            targets: variables.
            edges: features of an edge.
            statics: features of a target node.
            states: channels of the network's states at target nodes, and inside the kernel.
            rngs: random streams.
        """
        self.edge = Linear(edges, states, rngs=rngs)
        self.receiver = Linear(statics, states, use_bias=False, rngs=rngs)
        self.hidden = Linear(states, states, rngs=rngs)
        self.kernel = Linear(states, targets * KERNELS, rngs=rngs)
        small = nnx.initializers.variance_scaling(0.01, "fan_in", "truncated_normal")
        self.norm = nnx.LayerNorm(states, rngs=rngs)
        self.gate = Linear(states, targets * KERNELS, kernel_init=small, rngs=rngs)
        zeros = nnx.initializers.zeros
        self.out = Linear(targets * KERNELS, targets, use_bias=False, kernel_init=zeros, rngs=rngs)

    def __call__(self, innovation: Array, statics: Array, states: Array, table: EdgeTable) -> Array:
        """Return the correction [Nt, B, T].

        Args:
            innovation: at the source nodes [Ns, B, T].
            statics: of the target nodes [Nt, S].
            states: of the network at the target nodes [Nt, B, C].
            table: the direct edges.
        """
        (features,), (weights,), (senders,) = table.features, table.weights, table.senders.blocks
        days, targets = innovation.shape[1:]

        def corrected(rows: tuple[Array, ...]) -> Array:
            features, weights, senders, receiver, states = rows
            kernel = self._kernel(features, receiver) * weights[..., None]
            kernel = kernel.reshape(*kernel.shape[:2], targets, KERNELS)
            means = jnp.einsum("tkbv,tkvh->tbvh", take(innovation, senders), kernel)
            gate = 1.0 + self.gate(self.norm(states))
            return self.out(means.reshape(*means.shape[:2], -1) * gate)

        width = features.shape[1] * max(self.hidden.kernel.shape[1], days * targets)
        rows = features, weights, senders, self.receiver(statics), states
        return map_rows(corrected, rows, width)

    def _kernel(self, features: Array, receiver: Array) -> Array:
        """Kernel [Nt, K, targets * KERNELS] of edges [Nt, K, F] to nodes' terms [Nt, hidden]."""
        hidden = jax.nn.silu(self.edge(features) + receiver[:, None])
        return 1.0 + self.kernel(jax.nn.silu(self.hidden(hidden)))
