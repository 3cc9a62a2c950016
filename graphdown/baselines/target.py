"""Target: the grid and the variables that a method predicts."""

from collections.abc import Hashable, Mapping
from dataclasses import dataclass

import numpy as np
import xarray as xr

from graphdown.baselines.fields import field_names
from meshes import Grid


@dataclass(frozen=True, eq=False)
class Target:
    """The grid and the variables that a method predicts.

    Attributes:
        grid: target grid, N points.
        attrs: attributes of each variable, by name.
    """

    grid: Grid
    attrs: Mapping[str, Mapping[Hashable, object]]

    @classmethod
    def of(cls, fine: xr.Dataset) -> "Target":
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
            given = coarse[name].attrs.get("units") if name in coarse else None
            wanted = attrs.get("units")
            if given is not None and wanted is not None and given != wanted:
                raise ValueError(
                    f"{name!r} is in {given!r} in the coarse data and in {wanted!r} in the fine "
                    "data; convert one of them."
                )

    def check_grid(self, fine: xr.Dataset) -> None:
        """Refuse fine data that lack a variable of the target or lie on another grid.

        Raises:
            ValueError: they do.
        """
        for name in self.attrs:
            self.values(fine, name)

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

        Values of precipitation below 0 become 0.
        """
        arrays = {}
        for name, values in fields.items():
            arrays[name] = self.grid.dataarray(
                within_range(name, values).astype(np.float32, copy=False),
                name=name,
                dims=("time",),
                coords={"time": time.variable},
                attrs={str(key): value for key, value in self.attrs[name].items()},
            )
        return xr.Dataset(arrays).assign_coords(self.grid.coords.coords)


def within_range(name: str, values: np.ndarray) -> np.ndarray:
    """Return the values with those of precipitation not below 0."""
    return np.maximum(values, 0) if name == "pr" else values
