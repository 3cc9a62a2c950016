"""Rotated-pole grids: from their axes, and found from the coordinates of a file."""

import numpy as np
import xarray as xr

from meshes.geometry import cells
from meshes.geometry.sphere import (
    fit_rotation,
    lonlat_to_xyz,
    rotated_pole_matrix,
    rotated_pole_of_matrix,
    wrap_longitude,
    xyz_to_lonlat,
)
from meshes.grids.base import LAT_ATTRS, LON_ATTRS, GridData

GRID_MAPPING_NAME = "rotated_latitude_longitude"


def rotated_grid(rlon: np.ndarray, rlat: np.ndarray, mapping: dict) -> GridData:
    """Return the grid of the rotated axes rlon [nx], rlat [ny] in degrees.

    Args:
        rlon, rlat: strictly monotonic rotated coordinates, at least two values each.
        mapping: attributes of the CF grid mapping.

    Raises:
        ValueError: an axis of one value, or one that is not monotonic.
    """
    rlon, rlat = (np.atleast_1d(np.asarray(axis, dtype=np.float64)) for axis in (rlon, rlat))
    coords = xr.Dataset(
        coords={
            "rlat": ("rlat", rlat, _axis_attrs("latitude", "Y")),
            "rlon": ("rlon", rlon, _axis_attrs("longitude", "X")),
            "rotated_pole": ((), np.int32(0), mapping),
        }
    )
    grid = grid_of_matrix(matrix_of_attrs(mapping), rlon, rlat, coords, ("rlat", "rlon"))
    for name, values, attrs in (("lat", grid.lat, LAT_ATTRS), ("lon", grid.lon, LON_ATTRS)):
        coords.coords[name] = (grid.dims, values.reshape(grid.shape), attrs)
    return grid


def grid_of_matrix(
    matrix: np.ndarray,
    rlon: np.ndarray,
    rlat: np.ndarray,
    coords: xr.Dataset,
    dims: tuple[str, str],
) -> GridData:
    """Return the grid of rotated axes, with `matrix` from rotated to geographic vectors."""
    rlon_bounds, rlat_bounds = cells.midpoint_bounds(rlon), cells.midpoint_bounds(rlat)
    xyz = rotated_points(rlon, rlat) @ matrix.T
    lon, lat = xyz_to_lonlat(xyz.reshape(-1, 3))
    corners = cells.lonlat_corners_to_xyz(cells.box_corners(rlon_bounds, rlat_bounds)) @ matrix.T
    return GridData(
        lon=lon,
        lat=lat,
        area=cells.box_areas(rlon_bounds, rlat_bounds),
        mask=np.ones(len(lon), dtype=bool),
        shape=(len(rlat), len(rlon)),
        dims=dims,
        kind="rotated_pole",
        corners=cells.corners_to_lonlat(corners, lon),
        coords=coords,
    )


def rotated_points(rlon: np.ndarray, rlat: np.ndarray) -> np.ndarray:
    """Return unit vectors [ny, nx, 3] in the rotated frame."""
    return lonlat_to_xyz(*np.meshgrid(rlon, rlat))


def fitted_matrix(
    rlon: np.ndarray, rlat: np.ndarray, lon: np.ndarray, lat: np.ndarray
) -> np.ndarray | None:
    """Return the rotation [3, 3] from rotated to geographic vectors, None if there is none.

    The rotation is fitted to lon, lat [ny, nx] and accepted if every point lies within a tenth of
    the grid spacing. So the grid mapping in the file may be wrong or missing, and the coordinates
    may be rounded to a few digits.
    """
    rotated, geographic = rotated_points(rlon, rlat).reshape(-1, 3), lonlat_to_xyz(lon, lat)
    matrix = fit_rotation(rotated, geographic.reshape(-1, 3))
    apart = np.linalg.norm(rotated @ matrix.T - geographic.reshape(-1, 3), axis=1).max()
    step = min(np.abs(np.diff(rlon)).min(), np.abs(np.diff(rlat)).min())
    return matrix if apart < 0.1 * np.radians(step) else None


def mapping_attrs(pole_lon: float, pole_lat: float, north_pole_grid_lon: float = 0.0) -> dict:
    """Return the CF attributes of a rotated-pole grid mapping, degrees."""
    attrs = {
        "grid_mapping_name": GRID_MAPPING_NAME,
        "grid_north_pole_longitude": float(pole_lon),
        "grid_north_pole_latitude": float(pole_lat),
    }
    if abs(wrap_longitude(np.asarray(north_pole_grid_lon))) > 1e-6:
        attrs["north_pole_grid_longitude"] = float(north_pole_grid_lon)
    return attrs


def fitted_attrs(matrix: np.ndarray) -> dict:
    """Return the CF attributes of a fitted rotation, rounded to 1e-4 degree (11 m)."""
    return mapping_attrs(*(round(value, 4) for value in rotated_pole_of_matrix(matrix)))


def matrix_of_attrs(attrs: dict) -> np.ndarray:
    """Return the rotation [3, 3] of a CF rotated-pole grid mapping's attributes.

    Raises:
        ValueError: the pole's longitude or latitude is absent or no number.
    """
    try:
        return rotated_pole_matrix(
            float(attrs["grid_north_pole_longitude"]),
            float(attrs["grid_north_pole_latitude"]),
            float(attrs.get("north_pole_grid_longitude", 0.0)),
        )
    except (KeyError, TypeError, ValueError) as error:
        raise ValueError(
            f"The rotated grid mapping lacks a pole ({error}); give it grid_north_pole_longitude "
            "and grid_north_pole_latitude in degrees, or add 2-D latitude and longitude."
        ) from None


def _axis_attrs(role: str, axis: str) -> dict:
    return {"standard_name": f"grid_{role}", "units": "degrees", "axis": axis}
