"""Bilinear interpolation."""

from graphdown.baselines.interpolation import Interpolation
from meshes import Grid, SparseWeights, bilinear


class Bilinear(Interpolation):
    """The coarse field, interpolated bilinearly."""

    name = "bilinear"

    @staticmethod
    def weights(source: Grid, target: Grid) -> SparseWeights:
        """Return `meshes.bilinear` weights."""
        return bilinear(source, target)
