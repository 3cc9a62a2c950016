"""The geometry of a trained network: its target, mesh and terrain, ready for any source grid."""

from collections.abc import Sequence

import numpy as np
import xarray as xr

from graphdown.data.terrain import TerrainFeatures, static_names
from graphdown.model import GraphArrays, SourceArrays, graph_arrays, source_arrays
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
        graph, features = self._graph_and_statics(source, source_orog)
        return graph_arrays(graph, features, around)

    def source_arrays(
        self, sources: Sequence[Grid], orogs: Sequence[xr.DataArray | None]
    ) -> list[SourceArrays]:
        """Return the parts of such arrays that depend on the source, for several, padded alike."""
        parts = [
            self._graph_and_statics(source, orog)
            for source, orog in zip(sources, orogs, strict=True)
        ]
        return source_arrays([graph for graph, _ in parts], [statics for _, statics in parts])

    def _graph_and_statics(
        self, source: Grid, source_orog: xr.DataArray | None
    ) -> tuple[DownscalingGraph, np.ndarray]:
        height = None
        if source_orog is not None:
            values = np.nan_to_num(source.values(source_orog).astype(np.float64))
            height = bilinear(source, self.target).apply(values)
        graph = self.graph(source)
        return graph, self.terrain.for_source(graph.source_spacing_km, height)
