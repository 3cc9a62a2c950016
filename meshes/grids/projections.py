"""Map projections: coordinates from projected axes, and projections found from coordinates."""

import json
from collections.abc import Callable, Hashable
from functools import lru_cache
from typing import Any

import numpy as np
import xarray as xr

from meshes.geometry.sphere import wrap_longitude, xyz_to_lonlat
from meshes.grids.base import LAT_ATTRS, LON_ATTRS
from meshes.grids.roles import is_coordinate, standard_name
from meshes.grids.rotated import GRID_MAPPING_NAME, matrix_of_attrs, rotated_points

WGS84_ECCENTRICITY = 0.0818191908426
# A projection fits if the projected points lie this close, in cells, to an evenly spaced lattice.
TOLERANCE = 2e-3
_SAMPLE = 24
_AXES = {
    "Y": ("projection_y_coordinate", "grid_latitude"),
    "X": ("projection_x_coordinate", "grid_longitude"),
}
_AXIS_NAMES = {"Y": ("y", "yc", "rlat"), "X": ("x", "xc", "rlon")}
_METRES = {"m": 1.0, "meters": 1.0, "metres": 1.0, "meter": 1.0, "metre": 1.0, "km": 1e3}


def with_coordinates(ds: xr.Dataset) -> xr.Dataset:
    """Return a dataset of projected or rotated axes with 2-D lat and lon added.

    A dataset that has a latitude already, or no grid mapping and axes, is returned unchanged.

    Raises:
        ValueError: pyproj cannot read the grid mapping, or the axes have unknown units.
    """
    mappings = [v for v in ds.variables.values() if "grid_mapping_name" in v.attrs]
    y, x = (_axis(ds, axis) for axis in ("Y", "X"))
    known = any(is_coordinate(ds[n], "latitude") for n in ds.variables)
    if known or len(mappings) != 1 or y is None or x is None:
        return ds
    lon, lat = _positions(mappings[0].attrs, ds[x], ds[y])
    return ds.assign_coords(lat=((y, x), lat, LAT_ATTRS), lon=((y, x), lon, LON_ATTRS))


def _axis(ds: xr.Dataset, axis: str) -> Hashable | None:
    there = [n for n in ds.dims if n in ds.variables]
    found = [n for n in there if _is_axis(ds[n], axis)]
    found = found or [n for n in there if str(n).lower() in _AXIS_NAMES[axis]]
    return found[0] if len(found) == 1 else None


def _is_axis(da: xr.DataArray, axis: str) -> bool:
    named = standard_name(da.variable)
    return named in _AXES[axis] or (named is None and da.attrs.get("axis") == axis)


def _positions(attrs: dict, x: xr.DataArray, y: xr.DataArray) -> tuple[np.ndarray, np.ndarray]:
    """Return longitude and latitude [ny, nx] in degrees of two axes of a grid mapping."""
    factor = 1.0
    if attrs["grid_mapping_name"] != GRID_MAPPING_NAME:
        units = str(x.attrs.get("units", "m")).strip()
        if units not in _METRES:
            raise ValueError(
                f"The projected axis {x.name!r} has units {units!r}, not m or km; convert it, or "
                "add 2-D latitude and longitude."
            )
        factor = _METRES[units]
    axes = (np.asarray(axis.values, np.float64) * factor for axis in (x, y))
    return _inverse(json.dumps(attrs, default=_plain), *(axis.tobytes() for axis in axes))


def _plain(value: Any) -> Any:
    return value.tolist() if hasattr(value, "tolist") else str(value)


@lru_cache(maxsize=8)
def _inverse(attrs: str, x: bytes, y: bytes) -> tuple[np.ndarray, np.ndarray]:
    """Return longitude and latitude [ny, nx]; the files of a series ask for the same ones."""
    mapping = json.loads(attrs)
    axes = [np.frombuffer(axis, np.float64) for axis in (x, y)]
    if mapping["grid_mapping_name"] == GRID_MAPPING_NAME:
        lon, lat = xyz_to_lonlat(rotated_points(*axes) @ matrix_of_attrs(mapping).T)
    else:
        lon, lat = _transformer(mapping)(*np.meshgrid(*axes), inverse=True)
        lon, lat = wrap_longitude(lon), np.asarray(lat)
    lon.setflags(write=False)
    lat.setflags(write=False)
    return lon, lat


def _transformer(attrs: dict) -> Callable[..., tuple[Any, Any]]:
    import pyproj

    try:
        return pyproj.Proj(pyproj.CRS.from_cf(attrs))
    except (pyproj.exceptions.ProjError, KeyError, TypeError, ValueError) as error:
        raise ValueError(
            f"The grid mapping {attrs.get('grid_mapping_name')!r} cannot be read ({error}); "
            "correct its attributes, or add 2-D latitude and longitude."
        ) from error


def projection_of(lon: np.ndarray, lat: np.ndarray, mapping: dict | None) -> str | None:
    """Return the CF name of the projection that makes 2-D coordinates an even lattice, or None.

    The file's grid mapping is tried first, whatever its axes are; then Mercator, polar
    stereographic and Lambert conformal grids are found from the coordinates alone, so that
    the grid mapping may be missing or wrong.

    Args:
        lon, lat: degrees [ny, nx].
        mapping: attributes of the grid mapping, None without one.
    """
    if min(lon.shape) < 3:
        return None
    rows, columns = (np.unique(np.linspace(0, n - 1, _SAMPLE).astype(int)) for n in lon.shape)
    at = np.ix_(rows, columns)
    if mapping is not None and _fits_mapping(lon[at], lat[at], mapping, rows, columns):
        return str(mapping["grid_mapping_name"])
    return _conformal(lon[at], lat[at], rows, columns)


def _fits_mapping(
    lon: np.ndarray, lat: np.ndarray, mapping: dict, rows: np.ndarray, columns: np.ndarray
) -> bool:
    if mapping["grid_mapping_name"] in (GRID_MAPPING_NAME, "latitude_longitude"):
        return False
    try:
        x, y = _transformer(mapping)(lon, lat)
    except ValueError:
        return False
    return _unevenness(np.asarray(x) + 1j * np.asarray(y), rows, columns) < TOLERANCE


def _conformal(
    lon: np.ndarray, lat: np.ndarray, rows: np.ndarray, columns: np.ndarray
) -> str | None:
    """Return the name of the conformal conic projection or limit case that fits, None if none.

    With the isometric coordinate q = longitude + i psi, the plane of Mercator is q and that of a
    cone of constant n is exp(i n q); n = 1 and -1 are the polar stereographic planes (Snyder
    1987, p. 107-109). An even lattice in that plane settles n.
    """
    from scipy.optimize import minimize_scalar

    middle = lon[len(rows) // 2, len(columns) // 2]
    phi = np.radians(np.clip(lat, -90.0 + 1e-6, 90.0 - 1e-6))
    lam = np.radians(wrap_longitude(lon - middle))
    for eccentricity in (0.0, WGS84_ECCENTRICITY):
        psi = np.arcsinh(np.tan(phi)) - eccentricity * np.arctanh(eccentricity * np.sin(phi))
        q = lam + 1j * psi

        def unevenness(n: float, q: np.ndarray = q) -> float:
            plane = q if n == 0 else np.exp(1j * n * (q - 1j * q.imag.mean()))
            return _unevenness(plane, rows, columns)

        if unevenness(0.0) < TOLERANCE:
            return "mercator"
        if min(unevenness(1.0), unevenness(-1.0)) < TOLERANCE:
            return "polar_stereographic"
        sign = float(np.sign(lat.mean())) or 1.0
        cone = minimize_scalar(
            lambda n, sign=sign, of=unevenness: of(sign * n),
            bounds=(0.02, 0.999),
            method="bounded",
            options={"xatol": 1e-7},
        )
        if cone.fun < TOLERANCE:
            return "lambert_conformal_conic"
    return None


def _unevenness(plane: np.ndarray, rows: np.ndarray, columns: np.ndarray) -> float:
    """Return the largest distance, in cells, of complex points from the lattice that fits best."""
    j, i = np.meshgrid(rows, columns, indexing="ij")
    design = np.stack([np.ones(i.size), i.ravel(), j.ravel()], axis=1).astype(complex)
    coefficients = np.linalg.lstsq(design, plane.ravel(), rcond=None)[0]
    apart = np.abs(design @ coefficients - plane.ravel()).max()
    step = np.abs(coefficients[1:]).min()
    return float(apart / step) if np.isfinite(apart) and step > 0 else np.inf
