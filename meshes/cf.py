"""Find the horizontal coordinates of a CF dataset: which variables, on which dimensions."""

import re
from collections.abc import Hashable
from dataclasses import dataclass

import numpy as np
import xarray as xr

_NAMES = {
    "latitude": re.compile(r"(nav_)?lat(itude)?\d*|xlat(_m)?|clat|latcell", re.IGNORECASE),
    "longitude": re.compile(r"(nav_)?lon(gitude)?\d*|xlong(_m)?|clon|loncell", re.IGNORECASE),
}
_UNITS = {
    "latitude": {"degrees_north", "degree_north", "degree_n", "degrees_n", "degreen", "degreesn"},
    "longitude": {"degrees_east", "degree_east", "degree_e", "degrees_e", "degreee", "degreese"},
}
_LIMIT = {"latitude": 90.0, "longitude": 720.0}


@dataclass(frozen=True)
class Horizontal:
    """The latitude and longitude variables of a dataset and the dimensions they span.

    Attributes:
        lat, lon: values in degrees, without dimensions of length one that are not horizontal.
        names: names of the two variables.
        dims: the horizontal dimensions, in the order of the data.
        coords: all variables that describe the grid, bounds and grid mapping included.
    """

    lat: xr.DataArray
    lon: xr.DataArray
    names: tuple[Hashable, Hashable]
    dims: tuple[str, ...]
    coords: xr.Dataset


def find_horizontal(ds: xr.Dataset) -> Horizontal:
    """Return the one pair of latitude and longitude that the dataset's variables lie on.

    Raises:
        ValueError: no latitude or longitude, or several horizontal grids.
    """
    pairs = _pairs(ds)
    if not pairs:
        raise ValueError(
            "The dataset has no latitude and longitude (looked for CF standard names, units such "
            f"as degrees_north and names such as lat) among {sorted(map(str, ds.variables))}; "
            "add them as coordinates."
        )
    users = {pair: _users(ds, pair) for pair in pairs}
    used = [pair for pair in pairs if users[pair]] or pairs
    if len(used) > 1:
        listing = "; ".join(f"{a}/{b} ({', '.join(users[a, b][:3])})" for a, b in used)
        raise ValueError(
            f"The dataset holds {len(used)} horizontal grids: {listing}. "
            'Choose the variables of one, such as ds[["tas"]].'
        )
    return _collect(ds, used[0], users[used[0]])


def _pairs(ds: xr.Dataset) -> list[tuple[Hashable, Hashable]]:
    skip = bounds_names(ds)
    lats = [n for n in ds.variables if n not in skip and _is(ds, n, "latitude")]
    lons = [n for n in ds.variables if n not in skip and _is(ds, n, "longitude")]
    pairs = [(a, b) for a in lats for b in lons if _belong(ds, a, b)]
    # Axes that are named like coordinates yield to true two-dimensional ones on the same axes.
    fields = [_dims(ds, pair) for pair in pairs if ds[pair[0]].ndim > 1]
    return [pair for pair in pairs if ds[pair[0]].ndim > 1 or _dims(ds, pair) not in fields]


def _belong(ds: xr.Dataset, lat: Hashable, lon: Hashable) -> bool:
    if ds[lat].ndim > 1 or ds[lon].ndim > 1 or ds[lat].dims == ds[lon].dims:
        return ds[lat].dims == ds[lon].dims
    suffix = [re.sub(r"\D", "", str(name)) for name in (lat, lon)]
    return suffix[0] == suffix[1]


def _is(ds: xr.Dataset, name: Hashable, role: str) -> bool:
    variable = ds[name].variable
    if not np.issubdtype(variable.dtype, np.number) or variable.ndim == 0:
        return False
    standard_name = variable.attrs.get("standard_name")
    if standard_name is not None:
        return standard_name == role
    by_units = str(variable.attrs.get("units", "")).lower() in _UNITS[role]
    return by_units or _NAMES[role].fullmatch(str(name)) is not None


def bounds_names(ds: xr.Dataset) -> set[Hashable]:
    """Return the names of the variables that hold the bounds of another."""
    named = {v.attrs.get("bounds", v.encoding.get("bounds")) for v in ds.variables.values()}
    shaped = {n for n in ds.variables if re.search(r"(_bnds|_bounds|_vertices|_corners)$", str(n))}
    return (named & set(ds.variables)) | shaped


def _users(ds: xr.Dataset, pair: tuple[Hashable, Hashable]) -> list[str]:
    dims = _dims(ds, pair)
    skip = bounds_names(ds) | set(pair)
    return [str(n) for n, v in ds.data_vars.items() if n not in skip and dims <= set(v.dims)]


def _dims(ds: xr.Dataset, pair: tuple[Hashable, Hashable]) -> set[Hashable]:
    dims = {d for name in pair for d in ds[name].dims}
    return {d for d in dims if not _is_time(ds, d)} if len(dims) > 2 else dims


def _is_time(ds: xr.Dataset, dim: Hashable) -> bool:
    return ds.sizes[dim] == 1 and str(dim).lower() in {"time", "t", "member", "realization"}


def _collect(ds: xr.Dataset, pair: tuple[Hashable, Hashable], users: list[str]) -> Horizontal:
    wanted = _dims(ds, pair)
    order = ds[users[0]].dims if users else (*ds[pair[0]].dims, *ds[pair[1]].dims)
    dims = tuple(dict.fromkeys(str(d) for d in order if d in wanted))
    if len(dims) > 2:
        raise ValueError(
            f"The coordinates {pair[0]!r} and {pair[1]!r} vary along {dims}, more than two "
            "dimensions; choose one moment, such as ds.isel(time=0)."
        )
    lat, lon = (
        _degrees(_squeezed(ds[name], wanted), role)
        for name, role in zip(pair, ("latitude", "longitude"), strict=True)
    )
    names = _describing(ds, pair, wanted, users)
    coords = xr.Dataset(coords={n: _squeezed(ds[n], wanted).variable for n in names})
    return Horizontal(lat, lon, pair, dims, coords)


def _squeezed(da: xr.DataArray, keep: set[Hashable]) -> xr.DataArray:
    extra = [d for d in da.dims if d not in keep and da.sizes[d] == 1]
    return da.squeeze(extra, drop=True)


def _describing(
    ds: xr.Dataset, pair: tuple[Hashable, Hashable], dims: set[Hashable], users: list[str]
) -> list[Hashable]:
    """Return the names of all variables that describe the grid."""
    names: list[Hashable] = [d for d in ds.variables if d in dims]
    names += [n for n in pair if n not in names]
    for name in list(names):
        bounds = ds[name].attrs.get("bounds", ds[name].encoding.get("bounds"))
        if bounds in ds.variables:
            names.append(bounds)
    mapping = grid_mapping_name(ds, users)
    return [*names, mapping] if mapping is not None else names


def grid_mapping_name(ds: xr.Dataset, users: list[str]) -> Hashable | None:
    """Return the name of the grid mapping that the variables use, or the dataset's only one."""
    for user in users:
        name = ds[user].attrs.get("grid_mapping", ds[user].encoding.get("grid_mapping"))
        if name in ds.variables:
            return name
    mappings = [n for n, v in ds.variables.items() if "grid_mapping_name" in v.attrs]
    return mappings[0] if len(mappings) == 1 else None


def degrees_per_unit(variable: xr.Variable, name: str = "") -> float:
    """Return 180/pi for a coordinate in radians, 1 for one in degrees.

    MPAS meshes store latCell and lonCell in radians without saying so.
    """
    units = str(variable.attrs.get("units", "")).lower()
    radians = units.startswith("radian") or (not units and name.endswith("Cell"))
    return 180.0 / np.pi if radians else 1.0


def _degrees(da: xr.DataArray, role: str) -> xr.DataArray:
    values = da.astype(np.float64) * degrees_per_unit(da.variable, str(da.name))
    if not np.isfinite(values).all():
        raise ValueError(
            f"The {role} {da.name!r} has missing values; drop those points from the dataset."
        )
    if float(abs(values).max()) > _LIMIT[role] + 1e-4:
        raise ValueError(
            f"The {role} {da.name!r} reaches {float(abs(values).max()):g}, which is no {role} in "
            "degrees; check its units."
        )
    return values
