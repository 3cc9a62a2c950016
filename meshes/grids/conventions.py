"""Conversion of other conventions to CF: latitude and longitude with their bounds."""

import re
from collections.abc import Hashable

import numpy as np
import xarray as xr

from meshes.grids import healpix, places, projections, ugrid
from meshes.grids.roles import POSITION_NAMES, standard_name

_SCRIP = {"grid_center_lat": "grid_corner_lat", "grid_center_lon": "grid_corner_lon"}
_BOUNDS_FORMS = ("{}_bnds", "{}_bounds", "{}_vertices", "{}_b", "bounds_{}", "bnds_{}")


def to_cf(ds: xr.Dataset) -> xr.Dataset:
    """Return the dataset with its grid described as in CF, unchanged if no convention is known.

    Understood are SCRIP, UGRID, HEALPix given by its grid mapping, rotated and projected axes
    without two-dimensional coordinates, and coordinates that are stored again for each time. A
    coordinate that a fill value hides is restored where it is a place.

    Raises:
        ValueError: a convention is told by attributes that are incomplete or wrong.
    """
    ds = places.restored(_named(_scrip(ds.copy(deep=False))))
    ds = places.steady(ds)
    ds = ugrid.with_coordinates(ds)
    ds = healpix.with_coordinates(ds)
    return projections.with_coordinates(ds)


def scrip_mask(ds: xr.Dataset) -> xr.DataArray | None:
    """Return SCRIP's mask of used cells, None for another file."""
    return ds["grid_imask"] != 0 if {"grid_imask", *_SCRIP} <= set(ds.variables) else None


def _scrip(ds: xr.Dataset) -> xr.Dataset:
    if not set(_SCRIP) <= set(ds.variables):
        return ds
    for (centre, corner), role in zip(_SCRIP.items(), ("latitude", "longitude"), strict=True):
        ds[centre].attrs["standard_name"] = role
        if corner in ds.variables:
            ds[centre].attrs["bounds"] = corner
    return ds


def _named(ds: xr.Dataset) -> xr.Dataset:
    """Return the dataset with standard names of positions without blanks and capitals."""
    for variable in ds.variables.values():
        named = standard_name(variable)
        if named in POSITION_NAMES:
            variable.attrs["standard_name"] = named
    return ds


def bounds_label(variable: xr.Variable) -> Hashable | None:
    """Return the name of a coordinate's bounds by its attribute, None without the attribute.

    The dataset need not have that variable. With `decode_coords="all"` xarray moves the attribute
    to the encoding.
    """
    return variable.attrs.get("bounds", variable.encoding.get("bounds"))


def bounds_name(ds: xr.Dataset, name: Hashable) -> Hashable | None:
    """Return the name of the variable with a coordinate's bounds, None without one."""
    candidates = [bounds_label(ds[name].variable), *(form.format(name) for form in _BOUNDS_FORMS)]
    return next((candidate for candidate in candidates if candidate in ds.variables), None)


def bounds_names(ds: xr.Dataset) -> set[Hashable]:
    """Return the names of the variables that are bounds of another."""
    named = {bounds_name(ds, name) for name in ds.variables}
    shaped = {n for n in ds.variables if re.search(r"(_bnds|_bounds|_vertices|_corners)$", str(n))}
    return (named | shaped) & set(ds.variables)


def cell_bounds(ds: xr.Dataset, name: Hashable, dims: tuple[Hashable, ...]) -> np.ndarray | None:
    """Return the bounds [*dims, V] of a coordinate, None if missing or unusable.

    N + 1 edges along one or two dimensions become 2 or 4 bounds of each cell.
    """
    bounds = bounds_name(ds, name)
    if bounds is None or not np.issubdtype(ds[bounds].dtype, np.number):
        return None
    array = ds[bounds].squeeze([d for d in ds[bounds].dims if d not in dims and ds.sizes[d] == 1])
    shape = tuple(ds.sizes[d] for d in dims)
    if array.ndim == len(dims) + 1 and set(array.dims[:-1]) == set(dims):
        return array.transpose(*dims, array.dims[-1]).values.astype(np.float64)
    edges = array.values.astype(np.float64)
    if ds[name].dims != dims or edges.shape != tuple(n + 1 for n in shape):
        return None
    if edges.ndim == 1:
        return np.stack([edges[:-1], edges[1:]], axis=-1)
    corners = [edges[:-1, :-1], edges[:-1, 1:], edges[1:, 1:], edges[1:, :-1]]
    return np.stack(corners, axis=-1) if edges.ndim == 2 else None
