"""A bank of source grids on the device: fields are upscaled to one of them and encoded from it."""

from collections.abc import Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import Array

from graphdown.model.arrays import GraphArrays, SourceArrays, with_source
from graphdown.model.edge_tables import bucket, stack
from graphdown.model.upscaling import Upscaling
from meshes import SparseWeights


class SourceBank(NamedTuple):
    """The source parts of all grids, stacked: every array has the grid as leading axis.

    Attributes:
        upscaling: from the fields to each grid.
        arrays: graph arrays of each grid.
    """

    upscaling: Upscaling
    arrays: SourceArrays

    def select(self, grid: Array) -> "SourceBank":
        """Return the part of one grid, by its number."""
        return jax.tree.map(lambda stacked: stacked[grid], self)

    def upscaled(
        self, fields: Array, grid: Array | int, graph: GraphArrays
    ) -> tuple[Array, GraphArrays]:
        """Return fields [B, Nf, V] as means [B, nodes, V] over a grid, and the graph from it.

        Args:
            fields: on the grid of the fields.
            grid: the number of the grid.
            graph: from any grid of the bank.
        """
        selected = self.select(jnp.asarray(grid))
        means = selected.upscaling(jnp.swapaxes(fields, 0, 1), self.nodes)
        return jnp.swapaxes(means, 0, 1), with_source(graph, selected.arrays)

    @property
    def nodes(self) -> int:
        """Padded number of source nodes."""
        return self.arrays.encode.outgoing.blocks[0].shape[-2]


def source_bank(weights: Sequence[SparseWeights], arrays: Sequence[SourceArrays]) -> SourceBank:
    """Return the bank of grids whose arrays are padded alike (see `source_arrays`).

    Args:
        weights: conservative weights [nodes of the grid, Nf] for each grid.
        arrays: of each grid.
    """
    size = bucket(max(len(w.rows) for w in weights))
    upscalings = [Upscaling.of(w, size) for w in weights]
    return SourceBank(stack(upscalings), stack(arrays))
