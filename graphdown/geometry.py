"""The geometry of a trained network: its target, mesh and terrain, ready for any source grid."""

import numpy as np
import xarray as xr

from graphdown.data.terrain import TerrainFeatures, static_names
from graphdown.model import GraphArrays, graph_arrays
from meshes import DownscalingGraph, GraphSpec, Grid, bilinear, build_graph


class Geometry:
    """Target grid, static fields and graph specification.

    Args:
        target: the target grid, Nt points.
        statics: orog and sftlf on it, as far as known.
        spec: how graphs are built.
    """

    def __init__(self, target: Grid, statics: xr.Dataset, spec: GraphSpec) -> None:
        self.target = target
        self.statics = statics
        self.spec = spec
        self.terrain = TerrainFeatures(target, statics)
        self.static_names = static_names(statics)

    def graph(self, source: Grid) -> DownscalingGraph:
        """Return the graph from a source grid to the target."""
        return build_graph(source, self.target, self.spec)

    def arrays(
        self, source: Grid, source_orog: xr.DataArray | None = None, around: int = 0
    ) -> GraphArrays:
        """Return what the network needs to downscale from a source grid.

        Args:
            source: any grid.
            source_orog: its height in m, if known.
            around: the model's `target_regression`.
        """
        height = None
        if source_orog is not None:
            values = np.nan_to_num(source.values(source_orog).astype(np.float64))
            height = bilinear(source, self.target).apply(values)
        graph = self.graph(source)
        features = self.terrain.for_source(graph.source_spacing_km, height)
        return graph_arrays(graph, features, around)
