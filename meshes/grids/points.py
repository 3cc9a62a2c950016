"""Unstructured grids: lists of points, with Voronoi cells where no areas are known."""

import numpy as np
import xarray as xr
from scipy.spatial import QhullError

from meshes.geometry import cells
from meshes.geometry.sphere import lonlat_to_xyz, wrap_longitude
from meshes.geometry.triangulation import voronoi_cells
from meshes.grids.base import LAT_ATTRS, LON_ATTRS, GridData

# The largest number that is taken for a longitude; larger ones are fill values.
LARGEST_LONGITUDE = 1e6


def points_grid(lon: np.ndarray, lat: np.ndarray, area: np.ndarray | None = None) -> GridData:
    """Return points [N] in degrees as an unstructured grid (see `Grid.from_points`)."""
    lon, lat = _checked_points(lon, lat)
    corners = None
    if area is None:
        corners, area = _cells_around(lon, lat)
    area = np.broadcast_to(np.asarray(area, dtype=np.float64), lon.shape).copy()
    if not (area > 0).all():
        raise ValueError("Cell areas must be positive.")
    return GridData(
        lon=lon,
        lat=lat,
        area=area,
        mask=np.ones(len(lon), dtype=bool),
        shape=(len(lon),),
        dims=("cell",),
        kind="unstructured",
        corners=corners,
        coords=point_coords(lon, lat),
    )


def _checked_points(lon: np.ndarray, lat: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return longitudes in [-180, 180) and latitudes of points, refusing those without a place."""
    lon, lat = _numbers(lon, "longitude"), _numbers(lat, "latitude")
    if lon.shape != lat.shape or lon.ndim != 1 or not lon.size:
        raise ValueError(
            f"Points need longitudes and latitudes of one length, not {lon.shape} and {lat.shape}."
        )
    for what, values, limit in (("longitude", lon, LARGEST_LONGITUDE), ("latitude", lat, 90.0)):
        wrong = np.flatnonzero(~(np.abs(values) <= limit))
        if wrong.size:
            raise ValueError(
                f"The {what} of point {wrong[0]} is {values[wrong[0]]:g}, no {what} in degrees "
                f"({wrong.size} in all); correct or drop such points."
            )
    return wrap_longitude(lon), lat


def _cells_around(lon: np.ndarray, lat: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return corners [N, V, 2] in degrees and areas [N] of the Voronoi cells of points."""
    try:
        corners, area = voronoi_cells(lonlat_to_xyz(lon, lat))
    except QhullError as error:
        raise ValueError(
            f"No cells can be drawn around {len(lon)} points so far apart; give their areas."
        ) from error
    return cells.corners_to_lonlat(corners, lon), area


def point_coords(lon: np.ndarray, lat: np.ndarray, corners: np.ndarray | None = None) -> xr.Dataset:
    """Return CF coordinate variables of a list of points, with the bounds of their cells if known.

    Args:
        lon, lat: degrees [N].
        corners: cell vertices [N, V, 2] as lon, lat in degrees.
    """
    coords = xr.Dataset(coords={"lat": ("cell", lat, LAT_ATTRS), "lon": ("cell", lon, LON_ATTRS)})
    if corners is None:
        return coords
    for column, name in enumerate(("lon", "lat")):
        coords[name].attrs["bounds"] = f"{name}_bnds"
        coords.coords[f"{name}_bnds"] = (("cell", "nv"), corners[..., column])
    return coords


def _numbers(values: np.ndarray, what: str) -> np.ndarray:
    try:
        return np.atleast_1d(np.asarray(values, dtype=np.float64))
    except (TypeError, ValueError) as error:
        raise ValueError(f"The {what}s are not numbers ({error}); convert them first.") from error
