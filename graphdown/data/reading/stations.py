"""Lists of stations: points without cells, each with a name."""

import csv

import numpy as np
import xarray as xr

from graphdown.data.reading.rules import refuse
from graphdown.variables.catalogue import describe, names_of_kind
from meshes.grids.base import LAT_ATTRS, LON_ATTRS
from meshes.grids.station_lists import ROLE

STATION = "station"
COLUMNS = {
    "lon": ("lon", "longitude"),
    "lat": ("lat", "latitude"),
    STATION: ("station", "name", "id", "station_name", "station_id"),
    "orog": ("orog", "altitude", "elevation", "height"),
    "sftlf": ("sftlf",),
}


def _static_attrs(name: str) -> dict[str, str]:
    variable = describe(name)
    return {"standard_name": variable.standard_names[0], "units": variable.units}


ATTRS = {
    "lon": LON_ATTRS,
    "lat": LAT_ATTRS,
    STATION: {"long_name": "station name", **ROLE},
    **{name: _static_attrs(name) for name in names_of_kind("static")},
}


def read_stations(path: str) -> xr.Dataset:
    """Read the stations of a CSV file, one per row.

    Args:
        path: its first row names the columns: lon and lat in degrees; if known, the station's name,
            orog in m and sftlf from 0 to 1.

    Returns:
        orog and sftlf, as far as they are there, on the dimension `station`.

    Raises:
        DataError: the file cannot be read, or lon or lat is absent or no number.
    """
    import pandas as pd

    try:
        table = pd.read_csv(
            path, sep=None, engine="python", skipinitialspace=True, encoding="utf-8-sig"
        )
    except FileNotFoundError:
        raise refuse("no-file", f"No file matches {path!r}; check the path.") from None
    except (OSError, ValueError, csv.Error) as error:
        reason = " ".join(str(error).split()).rstrip(".")
        raise refuse(
            "unreadable", f"{path}: this is no table of stations ({reason}); correct it."
        ) from None
    columns = {str(c).strip().lower(): c for c in table.columns}
    variables = {}
    for name, known in COLUMNS.items():
        found = [columns[k] for k in known if k in columns]
        if found:
            variables[name] = _column(table[found[0]].to_numpy(), name, path)
        elif name in ("lon", "lat"):
            raise refuse(
                "grid-unknown",
                f"{path}: there is no column {name!r} (there are: "
                f"{', '.join(map(str, table.columns))}); name the columns lon, lat and, if known, "
                "station, orog, sftlf.",
            )
    return xr.Dataset(variables).set_coords(["lon", "lat"])


def _column(values: np.ndarray, name: str, path: str) -> xr.Variable:
    if name == STATION:
        return xr.Variable(STATION, values.astype(str), ATTRS[name])
    try:
        numbers = values.astype(np.float64)
    except ValueError as error:
        raise refuse(
            "not-numeric", f"{path}: the column {name!r} holds no numbers ({error}); correct it."
        ) from None
    return xr.Variable(STATION, numbers, ATTRS[name])


def with_station_names(ds: xr.Dataset) -> xr.Dataset:
    """Dataset with the names of its stations, marked by cf_role, as their coordinate."""
    for name, variable in ds.variables.items():
        if variable.attrs.get("cf_role") != ROLE["cf_role"] or variable.ndim != 1:
            continue
        (dim,) = variable.dims
        if dim in ds.variables:
            continue
        labels = variable.values
        if labels.dtype.kind == "S":
            labels = np.char.decode(labels, "utf-8")
        return ds.drop_vars([name]).assign_coords({dim: (dim, labels, variable.attrs)})
    return ds
