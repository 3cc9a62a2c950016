"""UGRID: cells told by the nodes around them."""

from collections.abc import Hashable

import numpy as np
import xarray as xr

from meshes.degrees import in_degrees
from meshes.grid import LAT_ATTRS, LON_ATTRS
from meshes.roles import ROLES, is_coordinate
from meshes.sphere import lonlat_to_xyz, normalise, xyz_to_lonlat

_PLACES = ("face", "node", "edge")


def with_coordinates(ds: xr.Dataset) -> xr.Dataset:
    """Return a UGRID dataset with latitude, longitude and bounds of the places its data lie on.

    Without data the faces are taken, or the nodes where there are none. Another dataset is
    returned as it is.

    Raises:
        ValueError: a variable that the mesh topology names is missing.
    """
    topology = [v for v in ds.variables.values() if v.attrs.get("cf_role") == "mesh_topology"]
    if not topology:
        return ds
    attrs = topology[0].attrs
    place = _place(ds, attrs)
    needless = {n for p in _PLACES if p != place for n in _coordinates(attrs, p)}
    connections = {str(v) for k, v in attrs.items() if str(k).endswith("_connectivity")}
    kept = ds.drop_vars([n for n in needless | connections if n in ds.variables])
    if place == "face" and "face_node_connectivity" in attrs:
        return _with_faces(ds, kept, attrs)
    for name in _coordinates(attrs, place):
        _named(ds, name, f"{place}_coordinates")
    return kept


def _place(ds: xr.Dataset, attrs: dict) -> str:
    """Return where the data lie: "face", "node" or "edge"."""
    told = {v.attrs["location"] for v in ds.data_vars.values() if "location" in v.attrs}
    if len(told) == 1:
        return str(told.pop())
    return "face" if "face_node_connectivity" in attrs else "node"


def _coordinates(attrs: dict, place: str) -> list[str]:
    return str(attrs.get(f"{place}_coordinates", "")).split()


def _named(ds: xr.Dataset, name: str, role: str) -> xr.DataArray:
    if name not in ds.variables:
        raise ValueError(
            f"The UGRID topology names {name!r} as {role} but the dataset has no such variable; "
            "keep it with the data."
        )
    return ds[name]


def _with_faces(ds: xr.Dataset, kept: xr.Dataset, attrs: dict) -> xr.Dataset:
    lat_node, lon_node = (_node_coordinate(ds, attrs, role) for role in ROLES)
    table = _named(ds, str(attrs["face_node_connectivity"]), "face_node_connectivity")
    face_dim, index = _face_nodes(table, attrs.get("face_dimension"))
    lat, lon = (in_degrees(node).values[index] for node in (lat_node, lon_node))
    centre_lon, centre_lat = xyz_to_lonlat(normalise(lonlat_to_xyz(lon, lat).sum(axis=1)))
    kept = kept.drop_vars([n for n in _coordinates(attrs, "face") if n in kept.variables])
    corners = (face_dim, "face_corners")
    return kept.assign_coords(
        lat=(face_dim, centre_lat, {**LAT_ATTRS, "bounds": "lat_bnds"}),
        lon=(face_dim, centre_lon, {**LON_ATTRS, "bounds": "lon_bnds"}),
        lat_bnds=(corners, lat),
        lon_bnds=(corners, lon),
    )


def _node_coordinate(ds: xr.Dataset, attrs: dict, role: str) -> xr.DataArray:
    given = [_named(ds, n, "node_coordinates") for n in _coordinates(attrs, "node")]
    for node in given:
        if is_coordinate(node, role):
            return node
    raise ValueError(
        f"None of the UGRID node coordinates {_coordinates(attrs, 'node')} is a {role}; give one "
        "the standard name."
    )


def _face_nodes(table: xr.DataArray, face_dim: Hashable | None) -> tuple[Hashable, np.ndarray]:
    """Return the faces' dimension and their nodes [F, V] from 0, the last repeated where fewer."""
    if face_dim not in table.dims:
        face_dim = table.dims[0]
    ordered = table.transpose(face_dim, ...)
    values = ordered.values.astype(np.float64) - float(table.attrs.get("start_index", 0))
    fill = table.attrs.get("_FillValue", np.nan)
    missing = ~np.isfinite(values) | (values < 0) | (ordered.values == fill)
    last = (~missing).sum(axis=1) - 1
    slots = np.minimum(np.arange(values.shape[1]), last[:, None])
    return face_dim, np.take_along_axis(np.where(missing, 0, values), slots, axis=1).astype(int)
