"""Longitude-latitude grids from their axes: regular, Gaussian and any other pair of axes."""

import numpy as np
import xarray as xr

from meshes.geometry import cells
from meshes.geometry.sphere import wrap_longitude
from meshes.grids.base import LAT_ATTRS, LON_ATTRS, GridData

Bounds = tuple[float, float, float, float]


def regular_grid(dlon: float, dlat: float, bounds: Bounds | None = None) -> GridData:
    """Return a regular longitude-latitude grid (see `Grid.regular`)."""
    west, south, east, north = bounds or (0.0, -90.0, 360.0, 90.0)
    if not (0 < dlon <= 180 and 0 < dlat <= 90 and east > west and north > south):
        raise ValueError(
            f"No regular grid with cells of {dlon} x {dlat} degrees and bounds {bounds}: "
            "sizes must be positive and bounds (west, south, east, north) increase."
        )
    lon = west + dlon * (np.arange(_whole(east - west, dlon, "longitude")) + 0.5)
    lat = south + dlat * (np.arange(_whole(north - south, dlat, "latitude")) + 0.5)
    return axes_grid(lon, lat, "regular", _around(lon, dlon), _around(lat, dlat))


def gaussian_grid(nlat: int, bounds: Bounds | None = None) -> GridData:
    """Return the full Gaussian grid of nlat latitudes (see `Grid.gaussian`)."""
    if nlat < 2 or nlat % 2:
        raise ValueError(f"A Gaussian grid needs an even number of latitudes, not {nlat}.")
    lat, lat_bounds = cells.gaussian_latitudes(nlat)
    step = 180.0 / nlat
    lon = step * np.arange(2 * nlat)
    if bounds is not None:
        west, south, east, north = bounds
        lon = west + np.mod(lon - west, 360.0)
        lon = np.sort(lon[lon <= east])
        inside = (lat >= south) & (lat <= north)
        lat, lat_bounds = lat[inside], lat_bounds[inside]
    if not lon.size or not lat.size:
        raise ValueError(f"The bounds {bounds} hold no point of the Gaussian grid F{nlat}.")
    return axes_grid(lon, lat, "gaussian", _around(lon, step), lat_bounds)


def axes_grid(
    lon: np.ndarray,
    lat: np.ndarray,
    kind: str,
    lon_bounds: np.ndarray,
    lat_bounds: np.ndarray,
    coords: xr.Dataset | None = None,
    dims: tuple[str, str] = ("lat", "lon"),
) -> GridData:
    """Return the grid of two axes: continuous lon [nx], lat [ny] and their bounds, in degrees."""
    shape = (len(lat), len(lon))
    centre = np.tile(lon, len(lat))
    corners = cells.box_corners(lon_bounds, lat_bounds)
    wrapped = wrap_longitude(centre)
    corners[..., 0] += (wrapped - centre)[:, None]
    return GridData(
        lon=wrapped,
        lat=np.repeat(lat, len(lon)),
        area=cells.box_areas(lon_bounds, lat_bounds),
        mask=np.ones(len(centre), dtype=bool),
        shape=shape,
        dims=dims,
        kind=kind,
        corners=corners,
        coords=axes_coords(lon, lat, lon_bounds, lat_bounds) if coords is None else coords,
    )


def axes_coords(
    lon: np.ndarray, lat: np.ndarray, lon_bounds: np.ndarray, lat_bounds: np.ndarray
) -> xr.Dataset:
    """Return CF coordinate variables of a latitude and a longitude axis."""
    return xr.Dataset(
        coords={
            "lat": ("lat", lat, {**LAT_ATTRS, "axis": "Y", "bounds": "lat_bnds"}),
            "lon": ("lon", lon, {**LON_ATTRS, "axis": "X", "bounds": "lon_bnds"}),
            "lat_bnds": (("lat", "bnds"), lat_bounds),
            "lon_bnds": (("lon", "bnds"), lon_bounds),
        }
    )


def _whole(extent: float, step: float, what: str) -> int:
    count = int(np.floor(extent / step + 1e-6))
    if count < 1:
        raise ValueError(f"No whole cell of {step} degrees of {what} fits into {extent} degrees.")
    return count


def _around(axis: np.ndarray, step: float) -> np.ndarray:
    return np.stack([axis - step / 2.0, axis + step / 2.0], axis=1)
