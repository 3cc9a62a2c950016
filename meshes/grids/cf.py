"""Find the horizontal coordinates of a CF dataset: which variables, on which dimensions."""

import re
from collections.abc import Hashable
from dataclasses import dataclass

import numpy as np
import xarray as xr

from meshes.grids.conventions import bounds_name, bounds_names, cell_bounds
from meshes.grids.degrees import checked, degrees_per_unit, in_degrees
from meshes.grids.roles import ROLES, has_role, is_coordinate

_CUBE_FACES = 6
# Bounds of the cells at a pole may reach past it, in degrees; larger numbers are no latitudes.
_PAST_POLE = 180.0

Pair = tuple[Hashable, Hashable]


@dataclass(frozen=True)
class Horizontal:
    """The latitude and longitude variables of a dataset and the dimensions they span.

    Attributes:
        lat, lon: values in degrees, without dimensions of length one that are not horizontal;
            NaN where `usable` is False.
        names: names of the two variables.
        dims: the horizontal dimensions, in the order of the data.
        usable: bool on the dimensions of lat, False where both coordinates are missing or fill
            values; None if all are good.
        coords: all variables that describe the grid, bounds and grid mapping included.
    """

    lat: xr.DataArray
    lon: xr.DataArray
    names: Pair
    dims: tuple[str, ...]
    usable: xr.DataArray | None
    coords: xr.Dataset


def find_horizontal(ds: xr.Dataset) -> Horizontal:
    """Return the one pair of latitude and longitude that the dataset's variables lie on.

    Raises:
        ValueError: no latitude or longitude, or several horizontal grids.
    """
    used = horizontal_pairs(ds)
    if len(used) > 1:
        listing = "; ".join(f"{a}/{b} ({', '.join(users[:3])})" for (a, b), users in used.items())
        raise ValueError(
            f"The dataset holds {len(used)} horizontal grids: {listing}. "
            'Choose the variables of one, such as ds[["tas"]].'
        )
    pair, users = next(iter(used.items()))
    return _collect(ds, pair, users)


def horizontal_pairs(ds: xr.Dataset) -> dict[Pair, list[str]]:
    """Return the pairs of latitude and longitude that variables lie on, with those variables.

    Raises:
        ValueError: there is no pair.
    """
    pairs = _pairs(ds)
    if not pairs:
        raise ValueError(_why_no_pair(ds))
    users = {pair: _users(ds, pair) for pair in pairs}
    return {pair: users[pair] for pair in pairs if users[pair]} or users


def _why_no_pair(ds: xr.Dataset) -> str:
    found: dict[str, list[Hashable]] = {}
    for role in ROLES:
        names = [n for n in ds.variables if has_role(ds[n].variable, str(n), role)]
        text = [n for n in names if not np.issubdtype(ds[n].dtype, np.number)]
        if text and len(text) == len(names):
            return (
                f"The {role} {text[0]!r} is of type {ds[text[0]].dtype}, not numbers; convert it, "
                f"such as with ds[{text[0]!r}].astype(float)."
            )
        found[role] = [n for n in names if ds[n].ndim]
    absent = [role for role, names in found.items() if not names]
    among = f"among {sorted(map(str, ds.variables))}"
    if len(absent) == 2:
        return (
            "The dataset has no latitude and longitude (looked for CF standard names, units such "
            f"as degrees_north and names such as lat) {among}; add them as coordinates."
        )
    if absent:
        present = next(role for role, names in found.items() if names)
        return (
            f"The dataset has the {present} {found[present][0]!r} but no {absent[0]} {among}; "
            "add it as a coordinate."
        )
    listing = " and ".join(f"{names[0]!r} on {ds[names[0]].dims}" for names in found.values())
    return (
        f"The latitude and the longitude do not belong together ({listing}); they must be two "
        "axes, or lie on the same dimensions."
    )


def _pairs(ds: xr.Dataset) -> list[Pair]:
    skip = bounds_names(ds)
    lats = [n for n in ds.variables if n not in skip and _is(ds, n, "latitude")]
    lons = [n for n in ds.variables if n not in skip and _is(ds, n, "longitude")]
    pairs = [(a, b) for a in lats for b in lons if _belong(ds, a, b)]
    # Two-dimensional coordinates take precedence over axes with coordinates' names.
    fields = [_dims(ds, pair) for pair in pairs if ds[pair[0]].ndim > 1]
    return [pair for pair in pairs if ds[pair[0]].ndim > 1 or _dims(ds, pair) not in fields]


def _belong(ds: xr.Dataset, lat: Hashable, lon: Hashable) -> bool:
    if ds[lat].ndim > 1 or ds[lon].ndim > 1 or ds[lat].dims == ds[lon].dims:
        return ds[lat].dims == ds[lon].dims
    dims = {*ds[lat].dims, *ds[lon].dims}
    if any(dims <= set(variable.dims) for variable in ds.data_vars.values()):
        return True
    suffix = [re.sub(r"\D", "", str(name)) for name in (lat, lon)]
    return suffix[0] == suffix[1]


def _is(ds: xr.Dataset, name: Hashable, role: str) -> bool:
    return ds[name].ndim > 0 and is_coordinate(ds[name], role)


def _users(ds: xr.Dataset, pair: Pair) -> list[str]:
    dims = _dims(ds, pair)
    skip = bounds_names(ds) | set(pair)
    return [str(n) for n, v in ds.data_vars.items() if n not in skip and dims <= set(v.dims)]


def _dims(ds: xr.Dataset, pair: Pair) -> set[Hashable]:
    dims = {d for name in pair for d in ds[name].dims}
    return {d for d in dims if not _is_time(ds, d)} if len(dims) > 2 else dims


def _is_time(ds: xr.Dataset, dim: Hashable) -> bool:
    return ds.sizes[dim] == 1 and str(dim).lower() in {"time", "t", "member", "realization"}


def _collect(ds: xr.Dataset, pair: Pair, users: list[str]) -> Horizontal:
    horizontal = _dims(ds, pair)
    order = ds[users[0]].dims if users else (*ds[pair[0]].dims, *ds[pair[1]].dims)
    dims = tuple(dict.fromkeys(str(d) for d in order if d in horizontal))
    if len(dims) > 2 and not _is_cubed_sphere(ds, dims):
        raise ValueError(
            f"The coordinates {pair[0]!r} and {pair[1]!r} vary along {dims}, more than two "
            "dimensions; choose one moment, such as ds.isel(time=0)."
        )
    lat, lon, usable = checked(*(in_degrees(_squeezed(ds[name], horizontal)) for name in pair))
    return Horizontal(lat, lon, pair, dims, usable, _describing(ds, pair, horizontal, users))


def _is_cubed_sphere(ds: xr.Dataset, dims: tuple[str, ...]) -> bool:
    """Whether three dimensions are the six square faces of a cube."""
    sizes = [ds.sizes[d] for d in dims]
    others = [n for n in sizes if n != _CUBE_FACES] or [_CUBE_FACES]
    timed = any(d.lower().startswith("time") for d in dims)
    return len(dims) == 3 and _CUBE_FACES in sizes and len(set(others)) == 1 and not timed


def _squeezed(da: xr.DataArray, keep: set[Hashable]) -> xr.DataArray:
    extra = [d for d in da.dims if d not in keep and da.sizes[d] == 1]
    return da.squeeze(extra, drop=True)


def _describing(ds: xr.Dataset, pair: Pair, dims: set[Hashable], users: list[str]) -> xr.Dataset:
    """Return all variables that describe the grid, including the bounds of its cells."""
    names: list[Hashable] = [d for d in ds.variables if d in dims]
    names += [n for n in pair if n not in names]
    variables = {n: _squeezed(ds[n], dims).variable for n in names}
    for name in names:
        variable, bounds = variables[name], bounds_name(ds, name)
        values = cell_bounds(ds, name, variable.dims)
        if values is None:
            continue
        if name == pair[0]:
            values = _up_to_the_poles(values, degrees_per_unit(variable, str(name)))
        variables[name] = variable.copy(deep=False)
        variables[name].attrs = {**variable.attrs, "bounds": str(bounds)}
        bounds_dims = (*variable.dims, _vertex_dim(ds, bounds, values))
        variables[bounds] = xr.Variable(bounds_dims, values, ds[bounds].attrs)
    mapping = grid_mapping_name(ds, users)
    if mapping is not None:
        variables[mapping] = ds[mapping].variable
    return xr.Dataset(coords=variables)


def _up_to_the_poles(bounds: np.ndarray, degrees: float) -> np.ndarray:
    """Return bounds of latitudes without the parts of cells that reach past a pole."""
    pole = 90.0 / degrees
    past = (np.abs(bounds) > pole) & (np.abs(bounds) <= _PAST_POLE / degrees)
    return np.where(past, np.copysign(pole, bounds), bounds)


def _vertex_dim(ds: xr.Dataset, bounds: Hashable | None, values: np.ndarray) -> Hashable:
    last = ds[bounds].dims[-1]
    return last if ds.sizes[last] == values.shape[-1] else f"vertices_{values.shape[-1]}"


def grid_mapping_name(ds: xr.Dataset, users: list[str]) -> Hashable | None:
    """Return the name of the grid mapping that the variables use, or the dataset's only one."""
    for user in users:
        name = ds[user].attrs.get("grid_mapping", ds[user].encoding.get("grid_mapping"))
        if name in ds.variables:
            return name
    mappings = [n for n, v in ds.variables.items() if "grid_mapping_name" in v.attrs]
    return mappings[0] if len(mappings) == 1 else None
