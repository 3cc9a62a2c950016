"""GridData: points, cells and mask of a horizontal grid, without the ways to get one."""

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TypeVar

import numpy as np
import xarray as xr

from meshes.geometry.sphere import EARTH_RADIUS_KM, lonlat_to_xyz

LONLAT_KINDS = ("regular", "gaussian", "rectilinear")
LAT_ATTRS = {"standard_name": "latitude", "long_name": "latitude", "units": "degrees_north"}
LON_ATTRS = {"standard_name": "longitude", "long_name": "longitude", "units": "degrees_east"}
SAME_AXIS = 1e-4  # in the coordinates' units


@dataclass(frozen=True, eq=False, repr=False)
class GridData:
    """Points on the sphere with their cells.

    Readers and makers of grids return this class; `meshes.Grid`, which users get, adds them as
    constructors and documents the attributes.
    """

    lon: np.ndarray
    lat: np.ndarray
    area: np.ndarray
    mask: np.ndarray
    shape: tuple[int, ...]
    dims: tuple[str, ...]
    kind: str
    corners: np.ndarray | None
    coords: xr.Dataset

    @property
    def size(self) -> int:
        """Number of points N, masked ones included."""
        return len(self.lon)

    @cached_property
    def xyz(self) -> np.ndarray:
        """Unit vectors [N, 3]."""
        if self.kind in LONLAT_KINDS and len(self.shape) == 2:
            lon, lat = (_axis(v.reshape(self.shape)) for v in (self.lon, self.lat))
            return lonlat_to_xyz(lon, lat).reshape(-1, 3)
        return lonlat_to_xyz(self.lon, self.lat)

    @cached_property
    def spacing_km(self) -> float:
        """Median over the used cells of the square root of the area, in km."""
        area = self.area[self.mask] if self.mask.any() else self.area
        return float(np.median(np.sqrt(area)) * EARTH_RADIUS_KM)

    def values(self, da: xr.DataArray) -> np.ndarray:
        """Return the array's values [..., N], the horizontal dimensions moved last and flattened.

        Raises:
            ValueError: the array lacks a horizontal dimension, or has another size or other
                coordinates along one than the grid.
        """
        missing = [d for d in self.dims if d not in da.dims]
        if missing:
            raise ValueError(
                f"{da.name!r} has dimensions {da.dims} but the grid needs {self.dims}; "
                f"rename or add {missing}."
            )
        self._check_same_points(da)
        ordered = da.transpose(..., *self.dims)
        return ordered.values.reshape(*ordered.shape[: -len(self.dims)], self.size)

    def _check_same_points(self, da: xr.DataArray) -> None:
        for dim, size in zip(self.dims, self.shape, strict=True):
            if da.sizes[dim] != size:
                raise ValueError(
                    f"{da.name!r} has {da.sizes[dim]} points along {dim!r}, the grid has {size}; "
                    "build the grid from this dataset or cut both alike."
                )
            if dim not in da.coords or dim not in self.coords.coords:
                continue
            axis, expected = da.coords[dim].values, self.coords.coords[dim].values
            if np.issubdtype(expected.dtype, np.number) and not np.allclose(
                axis, expected, atol=SAME_AXIS
            ):
                raise ValueError(
                    f"{da.name!r} has other values of {dim!r} than the grid ({axis[0]:g} to "
                    f"{axis[-1]:g}, the grid has {expected[0]:g} to {expected[-1]:g}); "
                    "build the grid from this dataset or sort both alike."
                )

    def dataarray(
        self,
        values: np.ndarray,
        name: str | None = None,
        dims: Sequence[str] = (),
        coords: Mapping[str, object] | None = None,
        attrs: Mapping[str, object] | None = None,
    ) -> xr.DataArray:
        """Return values [..., N] as an array on this grid, its coordinates attached.

        Args:
            values: array [..., N].
            name: name of the result.
            dims: names of the leading dimensions.
            coords: coordinates of the leading dimensions.
            attrs: attributes; `grid_mapping` is added where the grid has one.

        Raises:
            ValueError: the last axis does not have N entries, or the number of names differs
                from the number of leading axes.
        """
        values = np.asarray(values)
        if values.ndim == 0 or values.shape[-1] != self.size:
            raise ValueError(
                f"The grid has {self.size} points, the values have shape {values.shape}; "
                "the last axis must hold the points."
            )
        if len(dims) != values.ndim - 1:
            raise ValueError(
                f"The values have {values.ndim - 1} leading axes but dims names {tuple(dims)}."
            )
        mapping = self.grid_mapping
        extra = {} if mapping is None else {"grid_mapping": str(mapping)}
        return xr.DataArray(
            values.reshape(*values.shape[:-1], *self.shape),
            dims=(*dims, *self.dims),
            coords={**self._point_coords(), **(coords or {})},
            name=name,
            attrs={**(attrs or {}), **extra},
        )

    def _point_coords(self) -> dict[Hashable, xr.Variable]:
        """Return the coordinates without bounds, and without attributes that refer to bounds."""
        variables = {}
        for name, variable in self.coords.variables.items():
            if set(variable.dims) <= set(self.dims):
                attrs = {k: v for k, v in variable.attrs.items() if k != "bounds"}
                variables[name] = xr.Variable(variable.dims, variable.values, attrs)
        return variables

    @property
    def grid_mapping(self) -> Hashable | None:
        """Name of the grid mapping variable among the coordinates, None without one."""
        names = [n for n, v in self.coords.variables.items() if "grid_mapping_name" in v.attrs]
        return names[0] if names else None


AnyGrid = TypeVar("AnyGrid", bound=GridData)


def transposed(grid: AnyGrid) -> AnyGrid:
    """Return a two-dimensional grid with its dimensions exchanged."""
    index = np.arange(grid.size).reshape(grid.shape).T.ravel()
    return replace(
        grid,
        lon=grid.lon[index],
        lat=grid.lat[index],
        area=grid.area[index],
        mask=grid.mask[index],
        shape=grid.shape[::-1],
        dims=grid.dims[::-1],
        corners=None if grid.corners is None else grid.corners[index],
    )


def _axis(values: np.ndarray) -> np.ndarray:
    """Return the row or the column that all of an array [n, m] repeats, or the array."""
    for once in (values[:1], values[:, :1]):
        if np.array_equal(np.broadcast_to(once, values.shape), values):
            return once
    return values
