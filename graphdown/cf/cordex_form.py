"""Downscaled fields in the form of the CORDEX-CMIP6 archive: units, coordinates, time."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

import numpy as np
import xarray as xr

from graphdown.variables.catalogue import describe
from graphdown.variables.variable import SHARE

TIME_UNITS = "days since 1950-01-01"
CRS = "crs"
SECONDS = 86400.0
WITH_LEAP_SECONDS = ("standard", "proleptic_gregorian", "julian")
HEIGHTS = {
    2.0: ("tas", "tasmax", "tasmin", "tdps", "huss", "hurs"),
    10.0: ("uas", "vas", "sfcWind", "sfcWindmax", "wsgsmax"),
}
HEIGHT = {"standard_name": "height", "long_name": "height", "units": "m", "positive": "up"}


def cordex_time(time: xr.DataArray) -> xr.Dataset:
    """The coordinate `time` of daily values: the middles of the days, and their bounds.

    Args:
        time: any time of each day.
    """
    start = time.dt.floor("D").values
    of_numpy = start.dtype.kind == "M"
    day: Any = np.timedelta64(24, "h") if of_numpy else timedelta(hours=24)
    bounds = np.stack([start, start + day], axis=-1)
    attrs = {"standard_name": "time", "long_name": "time", "axis": "T", "bounds": "time_bnds"}
    calendar = "standard" if of_numpy else time.dt.calendar
    if calendar in WITH_LEAP_SECONDS:
        attrs["units_metadata"] = "leap_seconds: none"  # days of models have 86400 s
    encoding = {"units": TIME_UNITS, "calendar": calendar}
    middle = xr.Variable("time", start + day // 2, attrs, encoding)
    return xr.Dataset(coords={"time": middle, "time_bnds": (("time", "bnds"), bounds)})


def cordex_field(part: xr.Dataset, variable: str, attrs: Mapping[str, str]) -> xr.Dataset:
    """One field of downscaled days, alone, in single precision and the archive's units.

    Coordinates are in double precision, and the grid mapping is called `crs`.

    Args:
        part: some downscaled days, without members.
        variable: name of the field.
        attrs: global attributes.
    """
    field = _in_archive_units(part[variable])
    mapping = field.attrs.get("grid_mapping") or field.encoding.get("grid_mapping")
    alone = field.to_dataset(name=variable)
    for name, coord in part.coords.items():
        if name not in alone.coords and "time" not in coord.dims and _fits(coord, field):
            alone = alone.assign_coords({name: coord})
    if mapping in alone.variables:
        alone = alone.rename({mapping: CRS})
        alone[variable].attrs["grid_mapping"] = CRS
    doubles = {
        name: coord.astype(np.float64)
        for name, coord in alone.coords.items()
        if coord.dtype.kind == "f"
    }
    alone = alone.assign_coords(doubles).assign_coords(cordex_time(part.time).coords)
    for height, names in HEIGHTS.items():
        if variable in names:
            alone = alone.assign_coords(height=((), height, {**HEIGHT, "axis": "Z"}))
    alone.attrs = dict(attrs)
    return alone


def _in_archive_units(field: xr.DataArray) -> xr.DataArray:
    """Field in the units of the CORDEX-CMIP6 tables: fluxes in kg m-2 s-1, fractions in %."""
    variable, attrs = describe(str(field.name)), dict(field.attrs)
    factor = 1.0
    if attrs.get("units") == "mm day-1":
        factor, attrs["units"] = 1.0 / SECONDS, "kg m-2 s-1"
        fluxes = [name for name in variable.standard_names if name.endswith("_flux")]
        attrs["standard_name"] = fluxes[0]
    elif attrs.get("units") == "1" and variable.bounds == SHARE:
        factor, attrs["units"] = 100.0, "%"
    elif attrs.get("units") == "K":
        attrs["units_metadata"] = "temperature: on_scale"
    made = (field * np.float32(factor)).astype(np.float32)
    made.attrs, made.encoding = attrs, dict(field.encoding)
    return made


def _fits(coord: xr.DataArray, field: xr.DataArray) -> bool:
    """Whether a coordinate describes a field's cells: bounds, and the grid mapping."""
    return set(coord.dims[:1]) <= set(field.dims)
