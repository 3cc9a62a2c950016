"""Graphs in .npz files: plain arrays and one JSON text, without pickle."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np
import xarray as xr

from meshes.geometry.archive import read_arrays
from meshes.geometry.icosahedron import Mesh
from meshes.graphs.base import EdgeSet, GraphData, GraphSpec
from meshes.graphs.builder_registry import EDGE_KINDS
from meshes.grids.grid import Grid
from meshes.remapping.weights import SparseWeights

FORMAT = "graphdown-graph"
VERSION = 1
_WEIGHTS = ("to_target", "to_mesh")
Arrays = dict[str, np.ndarray]


def save_graph(graph: GraphData, path: str | Path) -> None:
    """Write a graph to an .npz file."""
    arrays: Arrays = {}
    meta: dict[str, Any] = {"format": FORMAT, "version": VERSION, "spec": asdict(graph.spec)}
    for name in ("source", "target"):
        meta[name] = _pack_grid(getattr(graph, name), f"{name}.", arrays)
    meta["mesh"] = _pack_mesh(graph.mesh, arrays)
    for kind in EDGE_KINDS:
        meta[kind] = _pack_edges(graph.edges(kind), f"{kind}.", arrays)
    for name in _WEIGHTS:
        meta[name] = _pack_weights(getattr(graph, name), f"{name}.", arrays)
    with open(path, "wb") as file:
        np.savez_compressed(file, meta=np.array(json.dumps(meta)), **arrays)  # type: ignore[arg-type]


def read_graph(path: str | Path) -> GraphData:
    """Return the graph in an .npz file (see `meshes.load_graph`)."""
    try:
        arrays = read_arrays(path)
        meta = json.loads(str(arrays.pop("meta")))
    except FileNotFoundError:
        raise
    except (OSError, ValueError, KeyError, EOFError, BadZipFile) as error:
        raise ValueError(f"{path} is no graph file; write one with graph.save.") from error
    if meta.get("format") != FORMAT or meta.get("version") != VERSION:
        raise ValueError(
            f"{path} holds {meta.get('format')!r} version {meta.get('version')!r}, expected "
            f"{FORMAT!r} version {VERSION}; build the graph again."
        )
    return GraphData(
        source=_grid(meta["source"], "source.", arrays),
        target=_grid(meta["target"], "target.", arrays),
        mesh=_mesh(meta["mesh"], arrays),
        spec=GraphSpec(**meta["spec"]),
        encode=_edges(meta["encode"], "encode.", arrays),
        process=_edges(meta["process"], "process.", arrays),
        decode=_edges(meta["decode"], "decode.", arrays),
        to_target=_weights(meta["to_target"], "to_target.", arrays),
        to_mesh=_weights(meta["to_mesh"], "to_mesh.", arrays),
    )


def _pack_grid(grid: Grid, prefix: str, arrays: Arrays) -> dict[str, Any]:
    for field in ("lon", "lat", "area", "mask", "corners"):
        if getattr(grid, field) is not None:
            arrays[prefix + field] = getattr(grid, field)
    coords = {}
    for name, variable in grid.coords.variables.items():
        arrays[f"{prefix}coords.{name}"] = np.asarray(variable.values)
        coords[str(name)] = {"dims": variable.dims, "attrs": _plain(variable.attrs)}
    return {"shape": grid.shape, "dims": grid.dims, "kind": grid.kind, "coords": coords}


def _grid(meta: dict[str, Any], prefix: str, arrays: Arrays) -> Grid:
    coords = {
        name: (entry["dims"], arrays[f"{prefix}coords.{name}"], entry["attrs"])
        for name, entry in meta["coords"].items()
    }
    return Grid(
        lon=arrays[prefix + "lon"],
        lat=arrays[prefix + "lat"],
        area=arrays[prefix + "area"],
        mask=arrays[prefix + "mask"],
        shape=tuple(meta["shape"]),
        dims=tuple(meta["dims"]),
        kind=meta["kind"],
        corners=arrays.get(f"{prefix}corners"),
        coords=xr.Dataset(coords=coords),
    )


def _plain(attrs: dict[Any, Any]) -> dict[str, Any]:
    """Return attributes with NumPy values as lists and numbers, which JSON can hold."""
    return {
        str(k): v.tolist() if isinstance(v, np.ndarray | np.generic) else v
        for k, v in attrs.items()
    }


def _pack_mesh(mesh: Mesh, arrays: Arrays) -> dict[str, Any]:
    arrays["mesh.xyz"], arrays["mesh.level_of_node"] = mesh.xyz, mesh.level_of_node
    for level, faces, edges in zip(_levels(mesh), mesh.faces, mesh.edges, strict=True):
        arrays[f"mesh.faces.{level}"], arrays[f"mesh.edges.{level}"] = faces, edges
    return {"coarsest": mesh.coarsest, "finest": mesh.finest}


def _mesh(meta: dict[str, Any], arrays: Arrays) -> Mesh:
    levels = range(meta["coarsest"], meta["finest"] + 1)
    faces = tuple(arrays[f"mesh.faces.{level}"] for level in levels)
    edges = tuple(arrays[f"mesh.edges.{level}"] for level in levels)
    return Mesh(arrays["mesh.xyz"], arrays["mesh.level_of_node"], faces, edges, **meta)


def _levels(mesh: Mesh) -> range:
    return range(mesh.coarsest, mesh.finest + 1)


def _pack_edges(edges: EdgeSet, prefix: str, arrays: Arrays) -> dict[str, Any]:
    for field in ("senders", "receivers", "features", "weights"):
        arrays[prefix + field] = getattr(edges, field)
    return {"feature_names": edges.feature_names}


def _edges(meta: dict[str, Any], prefix: str, arrays: Arrays) -> EdgeSet:
    return EdgeSet(
        senders=arrays[prefix + "senders"],
        receivers=arrays[prefix + "receivers"],
        features=arrays[prefix + "features"],
        weights=arrays[prefix + "weights"],
        feature_names=tuple(meta["feature_names"]),
    )


def _pack_weights(weights: SparseWeights, prefix: str, arrays: Arrays) -> dict[str, Any]:
    for field in ("rows", "cols", "values"):
        arrays[prefix + field] = getattr(weights, field)
    return {"shape": weights.shape}


def _weights(meta: dict[str, Any], prefix: str, arrays: Arrays) -> SparseWeights:
    return SparseWeights(
        rows=arrays[prefix + "rows"],
        cols=arrays[prefix + "cols"],
        values=arrays[prefix + "values"],
        shape=(meta["shape"][0], meta["shape"][1]),
    )
