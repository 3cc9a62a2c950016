"""HEALPix: centres of its pixels in ring and nested order, for files with a grid mapping alone.

Gorski et al. (2005), Astrophys. J. 622, 759-771.
"""

from collections.abc import Hashable
from functools import lru_cache

import numpy as np
import xarray as xr

from meshes.grids.base import LAT_ATTRS, LON_ATTRS
from meshes.grids.roles import is_coordinate, standard_name

# Row and longitude of the southernmost corner of each of the twelve base pixels, in units of half
# a base pixel's diagonal (45 degrees).
_BASE_ROW = np.array([2, 2, 2, 2, 3, 3, 3, 3, 4, 4, 4, 4])
_BASE_LON = np.array([1, 3, 5, 7, 0, 2, 4, 6, 1, 3, 5, 7])
_CORNERS = ((0, 0), (1, 0), (1, 1), (0, 1))
_NSIDES = ("healpix_nside", "nside")
_LEVELS = ("refinement_level", "healpix_level", "healpix_zoom", "zoom", "level")
_ORDERS = ("healpix_order", "indexing_scheme", "healpix_scheme", "order")
_INDICES = ("healpix_index", "cell_ids", "cell", "cells", "pixel", "value")


def ring_centres(nside: int) -> tuple[np.ndarray, np.ndarray]:
    """Return longitude and latitude [12 nside^2] in degrees, ring by ring from the north.

    Equations 4 to 9 of the paper.
    """
    cap, belt = np.arange(1, nside), np.arange(nside, 3 * nside + 1)
    z = np.concatenate(
        [
            1 - cap**2 / (3 * nside**2),
            4 / 3 - 2 * belt / (3 * nside),
            cap[::-1] ** 2 / (3 * nside**2) - 1,
        ]
    )
    count = 4 * np.concatenate([cap, np.full(len(belt), nside), cap[::-1]])
    shift = np.concatenate([np.ones(len(cap)), 2 - (belt - nside + 1) % 2, np.ones(len(cap))])
    place = np.arange(count.sum()) - np.repeat(np.cumsum(count) - count, count) + 1
    lon = 360.0 / np.repeat(count, count) * (place - np.repeat(shift, count) / 2)
    return lon, np.repeat(np.degrees(np.arcsin(z)), count)


def nested_centres(nside: int) -> tuple[np.ndarray, np.ndarray]:
    """Return longitude and latitude [12 nside^2] in degrees in nested order, nside a power of two.

    The bits of a pixel's number within its base pixel alternate between the two diagonal
    directions; equations 10 to 22 of the paper.
    """
    within = np.arange(nside**2)
    x, y = _even_bits(within), _even_bits(within >> 1)
    lon, lat = _place(x + 0.5, y + 0.5, nside)
    return lon.ravel(), lat.ravel()


def _place(x: np.ndarray, y: np.ndarray, nside: int) -> tuple[np.ndarray, np.ndarray]:
    """Return longitude and latitude [12, ...] in degrees of places within the base pixels.

    x and y [...] run from 0 at a base pixel's southern corner to nside, along its two sides.
    """
    base_row, base_lon = (
        base.reshape(12, *np.ones(x.ndim, int)) for base in (_BASE_ROW, _BASE_LON)
    )
    ring = base_row * nside - (x + y)
    in_cap = np.minimum(ring, 4 * nside - ring)
    polar = in_cap < nside
    side = np.where(polar, in_cap, nside)
    z = np.where(polar, 1 - in_cap**2 / (3 * nside**2), np.abs(4 / 3 - 2 * ring / (3 * nside)))
    z = np.where(ring > 2 * nside, -z, z)
    # In a cap a base pixel's part of the ring is shorter: the middle stays, the steps widen.
    lon = 45.0 * (base_lon + (x - y) / np.maximum(side, 1e-9))
    return np.mod(lon, 360.0), np.degrees(np.arcsin(np.clip(z, -1.0, 1.0)))


@lru_cache(maxsize=4)
def pixels(nside: int, nested: bool) -> tuple[np.ndarray, ...]:
    """Return longitudes and latitudes of the centres [N] and corners [N, 4] of all pixels."""
    within = np.arange(nside**2)
    x, y = (_even_bits(within), _even_bits(within >> 1)) if nested else divmod(within, nside)
    corners = [_place(x + east, y + north, nside) for east, north in _CORNERS]
    lon, lat = (part.ravel() for part in _place(x + 0.5, y + 0.5, nside))
    arrays = [lon, lat, *(np.stack(part, -1).reshape(-1, 4) for part in zip(*corners, strict=True))]
    if not nested:
        order = np.lexsort((np.round(lon, 6), -np.round(lat, 9)))
        arrays = [array[order] for array in arrays]
    for array in arrays:
        array.setflags(write=False)
    return tuple(arrays)


def _even_bits(number: np.ndarray) -> np.ndarray:
    """Return the integers made of bits 0, 2, 4, ... of non-negative integers."""
    result = np.zeros_like(number)
    for bit in range(31):
        result |= ((number >> (2 * bit)) & 1) << bit
    return result


def with_coordinates(ds: xr.Dataset) -> xr.Dataset:
    """Return a dataset whose grid mapping names HEALPix, with lat, lon and their bounds added.

    The grid mapping's `healpix_nside`, or `refinement_level`, and `healpix_order`, or
    `indexing_scheme` ("nest" or "ring"), are read. Without an index of the pixels, such as
    `healpix_index`, all must be present. Any other dataset, and one that has a latitude, is
    returned unchanged.

    Raises:
        ValueError: attributes or number of pixels that do not belong to HEALPix.
    """
    attrs = _mapping(ds)
    if attrs is None or any(is_coordinate(ds[n], "latitude") for n in ds.variables):
        return ds
    nside, nested = _nside(attrs), _nested(attrs)
    dim, index = _pixels_there(ds, nside)
    if dim is None or (nested and nside & (nside - 1)):
        raise ValueError(
            f"The grid mapping is HEALPix with healpix_nside {nside}, which has {12 * nside**2} "
            f"pixels, but the dimensions are {dict(ds.sizes)}; keep all pixels, or add latitude "
            "and longitude of each."
        )
    lon, lat, corner_lon, corner_lat = (part[index] for part in pixels(nside, nested))
    return ds.assign_coords(
        lat=(dim, lat, {**LAT_ATTRS, "bounds": "lat_vertices"}),
        lon=(dim, lon, {**LON_ATTRS, "bounds": "lon_vertices"}),
        lat_vertices=((dim, "vertices"), corner_lat),
        lon_vertices=((dim, "vertices"), corner_lon),
    )


def _mapping(ds: xr.Dataset) -> dict | None:
    """Return the attributes of a HEALPix grid mapping, None without one."""
    for variable in ds.variables.values():
        if "healpix" in (variable.attrs.get("grid_mapping_name"), variable.attrs.get("grid_name")):
            return variable.attrs
    return None


def _nside(attrs: dict) -> int:
    stated = [int(attrs[key]) for key in _NSIDES if key in attrs]
    levels = [2 ** int(attrs[key]) for key in _LEVELS if key in attrs]
    nside = next(iter(stated + levels), 0)
    if nside < 1:
        raise ValueError(
            "The grid mapping is HEALPix but has neither a positive healpix_nside nor a "
            "refinement_level; add one, or add latitude and longitude of each pixel."
        )
    return nside


def _nested(attrs: dict) -> bool:
    order = next((str(attrs[key]).lower() for key in _ORDERS if key in attrs), "nest")
    if not order.startswith(("nest", "ring")):
        raise ValueError(
            f"The pixels of the HEALPix grid are in the order {order!r}, not 'nest' or 'ring'; add "
            "latitude and longitude of each."
        )
    return order.startswith("nest")


def _pixels_there(ds: xr.Dataset, nside: int) -> tuple[Hashable | None, np.ndarray | slice]:
    """Return the dimension of the pixels and their numbers; None if there is no single one."""
    size = 12 * nside**2
    for name, variable in ds.variables.items():
        named = standard_name(variable) == "healpix_index" or str(name).lower() in _INDICES
        if variable.ndim == 1 and named and variable.dtype.kind in "iu":
            numbers = variable.values.astype(np.int64)
            if numbers.size and numbers.min() >= 0 and numbers.max() < size:
                return variable.dims[0], numbers
    dims = [d for d, n in ds.sizes.items() if n == size]
    return (dims[0] if len(dims) == 1 else None), slice(None)
