"""Grids in, graphs out: horizontal grids, remapping weights, icosahedral meshes and edges.

NumPy, SciPy and xarray only; jraph is imported by `DownscalingGraph.to_jraph` alone.
"""

from meshes.coarsen import coarsen
from meshes.coverage import Coverage, coverage
from meshes.graph import DownscalingGraph, EdgeSet, GraphSpec, build_graph
from meshes.grid import Grid
from meshes.icosphere import Mesh, build_mesh, icosphere
from meshes.random_grids import RandomGrids, random_grids
from meshes.reading import grids_in
from meshes.remap import bilinear, conservative, nearest
from meshes.sphere import EARTH_RADIUS_KM
from meshes.storage import load_graph
from meshes.weights import SparseWeights

__all__ = [
    "EARTH_RADIUS_KM",
    "Coverage",
    "DownscalingGraph",
    "EdgeSet",
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
    "grids_in",
    "icosphere",
    "load_graph",
    "nearest",
    "random_grids",
]
