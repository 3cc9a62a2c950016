"""HEALPix: centres of its pixels in ring and nested order, for files with a grid mapping alone.

Gorski et al. (2005), Astrophys. J. 622, 759-771.
"""

import numpy as np
import xarray as xr

from meshes.grids.base import LAT_ATTRS, LON_ATTRS

# Row and longitude of the southernmost corner of each of the twelve base pixels, in units of half
# a base pixel's diagonal (45 degrees).
_BASE_ROW = np.array([2, 2, 2, 2, 3, 3, 3, 3, 4, 4, 4, 4])
_BASE_LON = np.array([1, 3, 5, 7, 0, 2, 4, 6, 1, 3, 5, 7])


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
    ring = (_BASE_ROW[:, None] * nside - (x + y) - 1).ravel()
    across = (_BASE_LON[:, None] * nside + (x - y)).ravel()
    in_cap = np.minimum(ring, 4 * nside - ring)
    polar = in_cap < nside
    side = np.where(polar, in_cap, nside)
    z = np.where(polar, 1 - in_cap**2 / (3 * nside**2), np.abs(4 / 3 - 2 * ring / (3 * nside)))
    z = np.where(ring > 2 * nside, -z, z)
    base = np.repeat(_BASE_LON, nside**2)
    # In a cap a base pixel's part of the ring is shorter: the middle stays, the steps widen.
    lon = 45.0 * (base + (across - base * nside) / side)
    return np.mod(lon, 360.0), np.degrees(np.arcsin(z))


def _even_bits(number: np.ndarray) -> np.ndarray:
    """Return the integers made of bits 0, 2, 4, ... of non-negative integers."""
    result = np.zeros_like(number)
    for bit in range(31):
        result |= ((number >> (2 * bit)) & 1) << bit
    return result


def with_coordinates(ds: xr.Dataset) -> xr.Dataset:
    """Return a dataset whose grid mapping names HEALPix, with lat and lon added.

    The grid mapping's `healpix_nside` and `healpix_order` ("nest" or "ring") are read; all pixels
    must be present. Any other dataset is returned unchanged.

    Raises:
        ValueError: attributes or number of pixels that do not belong to HEALPix.
    """
    mapping = [v for v in ds.variables.values() if v.attrs.get("grid_mapping_name") == "healpix"]
    if not mapping:
        return ds
    nside = int(mapping[0].attrs.get("healpix_nside", 0))
    nested = str(mapping[0].attrs.get("healpix_order", "nest")).lower().startswith("nest")
    size = 12 * nside**2
    dims = [d for d, n in ds.sizes.items() if n == size]
    if nside < 1 or len(dims) != 1 or (nested and nside & (nside - 1)):
        raise ValueError(
            f"The grid mapping is HEALPix with healpix_nside {nside}, which has {size} pixels, "
            f"but the dimensions are {dict(ds.sizes)}; keep all pixels, or add latitude and "
            "longitude of each."
        )
    lon, lat = nested_centres(nside) if nested else ring_centres(nside)
    return ds.assign_coords(lat=(dims[0], lat, LAT_ATTRS), lon=(dims[0], lon, LON_ATTRS))
