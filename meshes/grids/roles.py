"""Roles of variables as latitude or longitude, by standard name, else by units or name."""

import re

import numpy as np
import xarray as xr

ROLES = ("latitude", "longitude")
POSITION_NAMES = (
    *ROLES,
    "grid_latitude",
    "grid_longitude",
    "projection_y_coordinate",
    "projection_x_coordinate",
)
_NAMES = {
    "latitude": re.compile(
        r"(nav_)?lat(itude)?\d*|xlat(_m)?|clat|latcell|g\d+_lat_\d+", re.IGNORECASE
    ),
    "longitude": re.compile(
        r"(nav_)?lon(gitude)?\d*|xlong?(_m)?|clon|loncell|g\d+_lon_\d+", re.IGNORECASE
    ),
}
_UNITS = {
    "latitude": {"degrees_north", "degree_north", "degree_n", "degrees_n", "degreen", "degreesn"},
    "longitude": {"degrees_east", "degree_east", "degree_e", "degrees_e", "degreee", "degreese"},
}


def is_coordinate(da: xr.DataArray, role: str) -> bool:
    """Whether a variable holds numbers and is a "latitude" or a "longitude"."""
    return np.issubdtype(da.dtype, np.number) and has_role(da.variable, str(da.name), role)


def has_role(variable: xr.Variable, name: str, role: str) -> bool:
    """Whether a variable has a role by its standard name, else by its units or name."""
    named = standard_name(variable)
    if named is not None:
        return named == role
    by_units = str(variable.attrs.get("units", "")).strip().lower() in _UNITS[role]
    return by_units or _NAMES[role].fullmatch(name) is not None


def standard_name(variable: xr.Variable) -> str | None:
    """Standard name of a variable without blanks around it and capitals, None without one."""
    name = variable.attrs.get("standard_name")
    return None if name is None else str(name).strip().lower()
