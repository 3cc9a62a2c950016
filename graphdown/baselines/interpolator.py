"""Carry fields of any grid to one target grid."""

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np

from graphdown.baselines.gridded_fields import Field
from graphdown.variables.winds import carried, wind_pairs
from meshes import Grid, SparseWeights
from meshes.geometry.sphere import east_and_north


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

    def together(self, fields: Sequence[Field], vectors: Sequence[str]) -> dict[str, np.ndarray]:
        """Return the values of several fields at the target's points, by name.

        Args:
            fields: on grids of their own.
            vectors: names of those that are carried as vectors, if they are the two components of
                a wind on one grid.

        Raises:
            ValueError: a field has no value at all.
        """
        by_name = {field.name: field for field in fields}
        values = {name: self(field) for name, field in by_name.items()}
        names = [name for name in vectors if name in by_name]
        for east, north in ((names[u], names[v]) for u, v in wind_pairs(names)):
            wind = by_name[east], by_name[north]
            if np.array_equal(wind[0].grid.xyz, wind[1].grid.xyz):
                values[east], values[north] = self._wind(*wind)
        return values

    def _wind(self, east: Field, north: Field) -> list[np.ndarray]:
        def carry(values: np.ndarray) -> np.ndarray:
            return self(replace(east, values=values))

        axes = (east_and_north(grid.xyz) for grid in (east.grid, self._target))
        wind = carried(carry, east.values, north.values, *axes)
        return [part.astype(east.values.dtype) for part in wind]
