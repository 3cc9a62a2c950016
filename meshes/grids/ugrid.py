"""UGRID: meshes whose cells are described by the nodes around them."""

from collections.abc import Hashable

import numpy as np
import xarray as xr

from meshes.geometry.sphere import lonlat_to_xyz, xyz_to_lonlat
from meshes.grids.base import LAT_ATTRS, LON_ATTRS
from meshes.grids.degrees import degrees_per_unit, in_degrees
from meshes.grids.roles import ROLES, is_coordinate

_LOCATIONS = ("face", "node", "edge")


def with_coordinates(ds: xr.Dataset) -> xr.Dataset:
    """Return a UGRID dataset with latitude, longitude and bounds of its data's locations.

    Without data the faces are taken, or the nodes if there are none. Any other dataset is returned
    unchanged.

    Raises:
        ValueError: a variable that the mesh topology names is missing.
    """
    topology = [v for v in ds.variables.values() if v.attrs.get("cf_role") == "mesh_topology"]
    if not topology:
        return ds
    attrs = topology[0].attrs
    topologies = {n for n, v in ds.variables.items() if v is topology[0]}
    location = _location(ds, attrs)
    needless = {n for p in _LOCATIONS if p != location for n in _coordinates(attrs, p)}
    connections = {str(v) for k, v in attrs.items() if str(k).endswith("_connectivity")}
    kept = ds.drop_vars([n for n in needless | connections | topologies if n in ds.variables])
    if location == "face" and "face_node_connectivity" in attrs:
        return _with_faces(ds, kept, attrs)
    for name in _coordinates(attrs, location):
        _named(ds, name, f"{location}_coordinates")
    return kept


def _location(ds: xr.Dataset, attrs: dict) -> str:
    """Return the location of the data: "face", "node" or "edge"."""
    locations = {v.attrs["location"] for v in ds.data_vars.values() if "location" in v.attrs}
    if len(locations) == 1:
        return str(locations.pop())
    return "face" if "face_node_connectivity" in attrs else "node"


def _coordinates(attrs: dict, location: str) -> list[str]:
    return str(attrs.get(f"{location}_coordinates", "")).split()


def _named(ds: xr.Dataset, name: str, role: str) -> xr.DataArray:
    if name not in ds.variables:
        raise ValueError(
            f"The UGRID topology names {name!r} as {role} but the dataset has no such variable; "
            "keep it with the data."
        )
    return ds[name]


def _with_faces(ds: xr.Dataset, kept: xr.Dataset, attrs: dict) -> xr.Dataset:
    nodes = {role: _coordinate(ds, attrs, "node", role) for role in ROLES}
    table = _named(ds, str(attrs["face_node_connectivity"]), "face_node_connectivity")
    face_dim, index, real = _face_nodes(table, attrs.get("face_dimension"))
    corners = {role: in_degrees(node).values[index] for role, node in nodes.items()}
    xyz = lonlat_to_xyz(corners["longitude"], corners["latitude"])
    lon, lat = xyz_to_lonlat((xyz * real[..., None]).sum(axis=1))
    if not _coordinates(attrs, "face"):
        kept = kept.assign_coords(lat=(face_dim, lat, LAT_ATTRS), lon=(face_dim, lon, LON_ATTRS))
        attrs = {**attrs, "face_coordinates": "lat lon"}
    for role in ROLES:
        centre = _coordinate(kept, attrs, "face", role)
        scale = degrees_per_unit(centre.variable, str(centre.name))
        kept[f"face_{role}_bnds"] = ((face_dim, "face_corners"), corners[role] / scale)
        kept[centre.name].attrs["bounds"] = f"face_{role}_bnds"
    return kept


def _coordinate(ds: xr.Dataset, attrs: dict, location: str, role: str) -> xr.DataArray:
    for name in _coordinates(attrs, location):
        coordinate = _named(ds, name, f"{location}_coordinates")
        if is_coordinate(coordinate, role):
            return coordinate
    raise ValueError(
        f"None of the UGRID {location} coordinates {_coordinates(attrs, location)} is a {role}; "
        "give one the standard name."
    )


def _face_nodes(
    table: xr.DataArray, face_dim: Hashable | None
) -> tuple[Hashable, np.ndarray, np.ndarray]:
    """Return the faces' dimension, their nodes [F, V] from 0, and which of these are real.

    A face of fewer nodes than V repeats its last one.
    """
    if face_dim not in table.dims:
        face_dim = table.dims[0]
    ordered = table.transpose(face_dim, ...)
    values = ordered.values.astype(np.float64) - float(table.attrs.get("start_index", 0))
    fill = table.attrs.get("_FillValue", np.nan)
    real = np.isfinite(values) & (values >= 0) & (ordered.values != fill)
    slots = np.minimum(np.arange(values.shape[1]), real.sum(axis=1)[:, None] - 1)
    index = np.take_along_axis(np.where(real, values, 0), slots, axis=1).astype(int)
    return face_dim, index, real
