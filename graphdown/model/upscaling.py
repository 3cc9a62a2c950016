"""Means over the cells of a grid, of fields on a finer one."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from meshes import SparseWeights


class Upscaling(NamedTuple):
    """Conservative weights from the fields to a source grid, padded with weights of 0.

    Attributes:
        receivers: source nodes int [E], ascending.
        donors: nodes of the fields int [E].
        weights: float [E].
    """

    receivers: Array
    donors: Array
    weights: Array

    @classmethod
    def of(cls, weights: SparseWeights, size: int) -> "Upscaling":
        """Return weights [nodes of the grid, Nf] padded to a number of entries."""
        extra = (0, size - len(weights.rows))
        return cls(
            jnp.asarray(np.pad(weights.rows, extra, "edge"), jnp.int32),
            jnp.asarray(np.pad(weights.cols, extra), jnp.int32),
            jnp.asarray(np.pad(weights.values, extra), jnp.float32),
        )

    def __call__(self, fields: Array, nodes: int) -> Array:
        """Return the means [nodes, ...] of fields [Nf, ...]; padded nodes get 0."""
        extra = (1,) * (fields.ndim - 1)
        parts = fields[self.donors] * self.weights.reshape(-1, *extra)
        return jax.ops.segment_sum(parts, self.receivers, nodes, indices_are_sorted=True)
