"""Vertical coordinates of a field: pressure levels, and levels of other kinds."""

import re
from collections.abc import Hashable

import numpy as np
import xarray as xr

from graphdown.data.reading.rules import Notes, refuse
from graphdown.data.reading.units import pascals

LEVELS = ("plev", "level", "lev", "pressure_level", "isobaricInhPa", "isobaricInPa", "pressure")
NEAR_SURFACE_M = 20.0
LEVEL_TOLERANCE_PA = 50.0
# Coefficients of hybrid levels, along the levels.
HYBRID = ("hyam", "hybm", "hyai", "hybi", "akm", "bkm", "vct_a", "vct_b")
_NO_PRESSURE = re.compile(r"hybrid|sigma|sleve|altitude|depth|ln_pressure|model.level|\beta\b")


def pressure_name(field: xr.DataArray) -> Hashable | None:
    """Coordinate that holds pressure levels, of any size; None for levels of another kind."""
    for name, coord in field.coords.items():
        if coord.ndim > 1 or (coord.ndim == 1 and coord.dims != (name,)) or _kind(coord):
            continue
        units = coord.attrs.get("units")
        if coord.attrs.get("standard_name") == "air_pressure":
            return name
        if units is not None and np.issubdtype(coord.dtype, np.number):
            if pascals(np.zeros(1), str(units)) is not None:
                return name
        elif name in LEVELS and "standard_name" not in coord.attrs:
            return name
    return None


def other_levels(field: xr.DataArray) -> str | None:
    """Words for vertical levels other than pressure, None if there are none."""
    for name, coord in field.coords.items():
        kind = _kind(coord)
        is_depth = coord.ndim == 0 and "depth" in kind  # of the sea's surface or of soil
        if kind and not is_depth and coord.dims in ((), (name,)):
            return kind
    return None


def with_hybrid_levels(ds: xr.Dataset) -> xr.Dataset:
    """Dataset in which levels that have coefficients of hybrid levels say what they are."""
    dims = {ds[name].dims[0] for name in HYBRID if name in ds.variables and ds[name].ndim == 1}
    told = {dim: ds[dim] for dim in dims if dim in ds.coords and not _kind(ds[dim])}
    named = {
        dim: coord.assign_attrs(standard_name="atmosphere_hybrid_sigma_pressure_coordinate")
        for dim, coord in told.items()
    }
    return ds.assign_coords(named) if named else ds


def near_surface(field: xr.DataArray) -> bool:
    """Whether a field has no levels, nor a height far from the ground."""
    if re.fullmatch(r"[a-z]+_?\d{3,4}(_?hpa)?", str(field.name), re.IGNORECASE):
        return False  # ua850 has the standard name of the wind near the surface
    if pressure_name(field) is not None or other_levels(field) is not None:
        return False
    return height_of(field) is None


def height_of(field: xr.DataArray) -> str | None:
    """Words for heights that are not near the surface, None without any."""
    for coord in field.coords.values():
        if coord.attrs.get("standard_name") != "height":
            continue
        if coord.size != 1:
            return f"{coord.size} heights"
        if float(coord.values.flat[0]) > NEAR_SURFACE_M:
            return f"the height {float(coord.values.flat[0]):g} {coord.attrs.get('units', 'm')}"
    return None


def check_surface(field: xr.DataArray, name: str, where: str) -> None:
    """Refuse a field that is called like a variable near the surface, but is not there.

    Raises:
        DataError: it is on a pressure level, on levels of another kind or far above the ground.
    """
    level = pressure_name(field)
    is_level = level in LEVELS or (
        level is not None and field.coords[level].attrs.get("standard_name") == "air_pressure"
    )
    kind = height_of(field) or other_levels(field) or ("a pressure level" if is_level else None)
    if kind is not None:
        raise refuse(
            "level-kind",
            f"{where}: {name!r} is on {kind}, not near the surface; add 'rename: "
            f"{{{name}: {name}}}' if the name is right.",
        )


def check_level(field: xr.DataArray, name: str, level: int, where: str) -> None:
    """Refuse a field that is called by a pressure level in hPa, but is on another.

    Raises:
        DataError: its scalar level is another one, or of another kind.
    """
    kind = other_levels(field)
    if kind is not None:
        raise other_kind(name, kind, where)
    coord = pressure_name(field)
    if coord is None or field.coords[coord].size != 1:
        return
    pressure = float(pressures(field, Notes(), where)[1].flat[0])
    if abs(pressure - 100.0 * level) > LEVEL_TOLERANCE_PA:
        raise refuse(
            "level-absent",
            f"{where}: {name!r} is at {pressure / 100:g} hPa by its coordinate {str(coord)!r}; "
            f"rename it, or add a file with the level {level} hPa.",
        )


def other_kind(name: str, kind: str, where: str) -> Exception:
    """Error of a field on levels that are no pressure levels."""
    return refuse(
        "level-kind",
        f"{where}: {name!r} is on {kind}, not on pressure levels; interpolate it to pressure "
        "first.",
    )


def pressures(field: xr.DataArray, notes: Notes, where: str) -> tuple[Hashable, np.ndarray]:
    """Name of the pressure coordinate and its values in Pa."""
    name = pressure_name(field)
    assert name is not None
    coord = field.coords[name]
    values = np.asarray(coord.values, np.float64)
    units = coord.attrs.get("units")
    in_pascals = pascals(values, str(units)) if units is not None else None
    if in_pascals is not None:
        return name, in_pascals
    assumed = "Pa" if str(name) == "isobaricInPa" or values.max() > 1100 else "hPa"
    if str(name) not in ("isobaricInhPa", "isobaricInPa"):
        text = f"the levels {str(name)!r} have no units and are taken as {assumed}"
        notes.add("level-units-assumed", where, text, str(field.name))
    return name, values * (1.0 if assumed == "Pa" else 100.0)


def _kind(coord: xr.DataArray) -> str:
    """Words for levels that are no pressure levels, empty for other coordinates."""
    standard, long = (str(coord.attrs.get(k, "")).lower() for k in ("standard_name", "long_name"))
    if _NO_PRESSURE.search(standard):
        return standard.replace("_", " ")
    if coord.attrs.get("formula_terms"):
        return "levels with formula terms"
    return long if _NO_PRESSURE.search(long) else ""
