"""Carry fields of any grid to one target grid."""

from collections.abc import Callable, Mapping, Sequence
from copy import copy
from dataclasses import replace

import numpy as np
import xarray as xr

from graphdown.baselines.gridded_fields import Field, read_field
from graphdown.runtime.parts import parts_of
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
        self._present: Mapping[tuple[str, ...], np.ndarray] = {}

    def where_present(self, present: Mapping[tuple[str, ...], np.ndarray]) -> "Interpolator":
        """The interpolator for some days of fields whose `present_points` are those of all days.

        Points that have a value on any of the days take part on each of them.
        """
        other = copy(self)
        other._present = present
        return other

    def __call__(self, field: Field) -> np.ndarray:
        """Return the field's values [..., N] at the target's points.

        Source points that never have a value take no part; where only some times are missing,
        so are the targets around on those times.

        Raises:
            ValueError: the field has no value at all.
        """
        return self._carried(field, (field.name,))

    def _carried(self, field: Field, names: tuple[str, ...]) -> np.ndarray:
        """Values at the target's points of a field that is made of the named ones."""
        used = self._present.get(names)
        if used is None:
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
            return self._carried(replace(east, values=values), (east.name, north.name))

        axes = (east_and_north(grid.xyz) for grid in (east.grid, self._target))
        wind = carried(carry, east.values, north.values, *axes)
        return [part.astype(east.values.dtype) for part in wind]


def present_points(coarse: xr.Dataset, names: Sequence[str]) -> dict[tuple[str, ...], np.ndarray]:
    """Which points [N] of fields have a value on any day, by name.

    Also by the two names of a wind, which needs both; fields are read by parts.
    """
    names = [name for name in names if name in coarse]
    winds = [(names[u], names[v]) for u, v in wind_pairs(names)]
    keys = [*((name,) for name in names), *winds]
    found: dict[tuple[str, ...], np.ndarray] = {}
    for part in parts_of(coarse[list(names)]):
        there = {name: np.isfinite(read_field(part, name).values) for name in names}
        for key in keys:
            sizes = {there[name].shape for name in key}
            if len(sizes) > 1:  # a wind on two grids, which is no vector
                continue
            every = np.logical_and.reduce([there[name] for name in key]).any(axis=0)
            found[key] = found[key] | every if key in found else every
    return found
