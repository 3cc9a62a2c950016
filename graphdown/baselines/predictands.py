"""Predictands: the grid and the variables that a method predicts."""

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import xarray as xr

from graphdown.baselines.gridded_fields import field_names
from graphdown.variables.constraints import within_bounds
from meshes import Grid


@dataclass(frozen=True, eq=False)
class Predictands:
    """The grid and the variables that a method predicts.

    Attributes:
        grid: target grid, N points.
        attrs: attributes of each variable, by name.
    """

    grid: Grid
    attrs: Mapping[str, Mapping[Hashable, object]]

    @classmethod
    def of(cls, fine: xr.Dataset) -> "Predictands":
        """Return the target that a dataset of fine fields shows.

        Raises:
            ValueError: no variable with a time dimension, or variables on several grids.
        """
        names = field_names(fine)
        if not names:
            raise ValueError(
                "The fine data hold no variable with time and horizontal dimensions, only "
                f"{sorted(map(str, fine.data_vars))}."
            )
        grid = Grid.from_dataset(fine)
        return cls(grid, {name: dict(fine[name].attrs) for name in names})

    def check_units(self, coarse: xr.Dataset) -> None:
        """Refuse coarse variables whose units differ from those of the target.

        Raises:
            ValueError: both sides state units and they differ.
        """
        for name, attrs in self.attrs.items():
            of_coarse = coarse[name].attrs.get("units") if name in coarse else None
            of_fine = attrs.get("units")
            if of_coarse is not None and of_fine is not None and of_coarse != of_fine:
                raise ValueError(
                    f"{name!r} is in {of_coarse!r} in the coarse data and in {of_fine!r} in the "
                    "fine data; convert one of them."
                )

    def check_grid(self, fine: xr.Dataset) -> None:
        """Refuse fine data that lack a variable of the target or lie on another grid.

        Raises:
            ValueError: they do.
        """
        for name in self.attrs:
            self.values(fine.isel(time=slice(0, 1)), name)

    def values(self, fine: xr.Dataset, name: str) -> np.ndarray:
        """Return the values [T, N] of a variable of a dataset on the target grid.

        Raises:
            ValueError: the dataset lacks the variable, or lies on another grid.
        """
        if name not in fine:
            raise ValueError(f"{name!r} is to be predicted, but the fine data lack it; add it.")
        return self.grid.values(fine[name].transpose("time", ...))

    def dataset(self, fields: Mapping[str, np.ndarray], time: xr.DataArray) -> xr.Dataset:
        """Return fields [T, N] as a float32 dataset with the target's coordinates.

        Values beyond the bounds of their variable become the bounds.
        """
        arrays = {}
        for name, values in fields.items():
            arrays[name] = self.grid.dataarray(
                within_bounds(name, values).astype(np.float32, copy=False),
                name=name,
                dims=("time",),
                coords={"time": time.variable},
                attrs={str(key): value for key, value in self.attrs[name].items()},
            )
        return xr.Dataset(arrays).assign_coords(self.grid.coords.coords)


def spread_over_time(truths: Sequence[np.ndarray]) -> tuple[np.ndarray, float]:
    """Return each cell's mean [N] and the standard deviation about it, over cells and sources.

    Args:
        truths: values [T, N] of each source, NaN where missing; a cell without any gets 0.
    """
    count = np.maximum(sum(np.isfinite(t).sum(axis=0) for t in truths), 1)
    mean = sum(np.nansum(t, axis=0, dtype=np.float64) for t in truths) / count
    squares = [np.nansum(np.square(t - mean), dtype=np.float64) for t in truths]
    days = sum(int(np.isfinite(t).sum()) for t in truths)
    spread = float(np.sqrt(sum(squares) / max(days, 1)))
    return mean, spread if spread > 0 else 1.0
