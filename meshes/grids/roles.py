"""Roles of variables as latitude or longitude, by standard name, else by units or name."""

import re

import numpy as np
import xarray as xr

ROLES = ("latitude", "longitude")
_NAMES = {
    "latitude": re.compile(r"(nav_)?lat(itude)?\d*|xlat(_m)?|clat|latcell", re.IGNORECASE),
    "longitude": re.compile(r"(nav_)?lon(gitude)?\d*|xlong(_m)?|clon|loncell", re.IGNORECASE),
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
    standard_name = variable.attrs.get("standard_name")
    if standard_name is not None:
        return standard_name == role
    by_units = str(variable.attrs.get("units", "")).lower() in _UNITS[role]
    return by_units or _NAMES[role].fullmatch(name) is not None
