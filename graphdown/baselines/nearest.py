"""Nearest neighbour."""

from graphdown.baselines.interpolation import Interpolation
from meshes import Grid, SparseWeights, nearest


class Nearest(Interpolation):
    """The value of the nearest coarse point."""

    name = "nearest"

    @staticmethod
    def weights(source: Grid, target: Grid) -> SparseWeights:
        """Return `meshes.nearest` weights."""
        return nearest(source, target)
