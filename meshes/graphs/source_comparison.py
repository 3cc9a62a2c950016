"""Comparison of fields at a target with a source, by means over the cells of the source."""

from dataclasses import dataclass, replace
from typing import Self

import numpy as np

from meshes.graphs.base import EdgeSet
from meshes.graphs.direct_edges import direct_edges
from meshes.grids.grid import Grid
from meshes.remapping.remap import cell_means
from meshes.remapping.weights import SparseWeights

LEAST_COVERED = 0.01  # share of a source cell


@dataclass(frozen=True, eq=False)
class Comparison:
    """What is needed to compare fields at a target with a source, and to correct them.

    Attributes:
        edges: from the source to the target, see `direct_edges`.
        means: over the source's cells, of fields at the target [Ns, Nt].
        share: of each source cell that the target covers [Ns], 0 for less than a hundredth.
    """

    edges: EdgeSet
    means: SparseWeights
    share: np.ndarray

    @classmethod
    def between(cls, source: Grid, target: Grid) -> Self:
        """Return the comparison of a source with a target."""
        means, share = cell_means(target, source, LEAST_COVERED)
        return cls(direct_edges(source, target), means, share)

    def used_sources(self) -> np.ndarray:
        """Return the source points with an edge, ascending [K]."""
        return np.unique(self.edges.senders)

    def of_sources(self, kept: np.ndarray) -> Self:
        """Return the comparison with some of the source points.

        Args:
            kept: their indices, ascending, which include `used_sources`.
        """
        senders = np.searchsorted(kept, self.edges.senders).astype(np.int32)
        edges = replace(self.edges, senders=senders)
        return replace(self, edges=edges, means=self.means.of_rows(kept), share=self.share[kept])
