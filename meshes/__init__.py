"""Horizontal grids, remapping weights, icosahedral meshes, and the graphs made of them.

NumPy, SciPy and xarray only; jraph is imported by `DownscalingGraph.to_jraph` alone.
"""

from meshes.geometry.icosahedron import Mesh, icosphere
from meshes.geometry.sphere import EARTH_RADIUS_KM
from meshes.graphs.base import EdgeSet, GraphNodes, GraphSpec
from meshes.graphs.builder_registry import edge_builder, mesh_builder
from meshes.graphs.coverage import Coverage, coverage
from meshes.graphs.graph import DownscalingGraph, build_graph, load_graph
from meshes.graphs.mesh import build_mesh
from meshes.grids.coarsen import coarsen
from meshes.grids.grid import Grid, grids_in
from meshes.grids.random_grids import RandomGrids, random_grids
from meshes.remapping.remap import bilinear, conservative, nearest
from meshes.remapping.weights import SparseWeights

__all__ = [
    "EARTH_RADIUS_KM",
    "Coverage",
    "DownscalingGraph",
    "EdgeSet",
    "GraphNodes",
    "GraphSpec",
    "Grid",
    "Mesh",
    "RandomGrids",
    "SparseWeights",
    "bilinear",
    "build_graph",
    "build_mesh",
    "coarsen",
    "conservative",
    "coverage",
    "edge_builder",
    "grids_in",
    "icosphere",
    "load_graph",
    "mesh_builder",
    "nearest",
    "random_grids",
]
