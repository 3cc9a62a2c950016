"""Carry fields of any grid to one target grid."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from graphdown.baselines.gridded_fields import Field
from meshes import Grid, SparseWeights


class Interpolator:
    """Carries fields to one target grid; the weights of a source grid are computed once.

    Args:
        target: grid to fill.
        weights_of: `meshes.bilinear` or `meshes.nearest`.
    """

    def __init__(self, target: Grid, weights_of: Callable[[Grid, Grid], SparseWeights]) -> None:
        self._target = target
        self._weights_of = weights_of
        self._known: dict[tuple[bytes, ...], SparseWeights] = {}

    def __call__(self, field: Field) -> np.ndarray:
        """Return the field's values [..., N] at the target's points.

        Source points that never have a value take no part; where only some times are missing,
        so are the targets around on those times.

        Raises:
            ValueError: the field has no value at all.
        """
        used = np.isfinite(field.values).reshape(-1, field.grid.size).any(axis=0)
        if not used.any():
            raise ValueError(f"{field.name!r} is missing everywhere; nothing can be interpolated.")
        grid = replace(field.grid, mask=used)
        key = (grid.lon.tobytes(), grid.lat.tobytes(), used.tobytes())
        if key not in self._known:
            self._known[key] = self._weights_of(grid, self._target)
        return self._known[key].apply(field.values)
