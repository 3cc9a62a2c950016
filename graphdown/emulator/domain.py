"""The geometry of a trained network: its target, mesh and terrain, ready for any source grid."""

from collections.abc import Sequence

import numpy as np
import xarray as xr

from graphdown.data.terrain import Ground, TerrainFeatures, static_names
from graphdown.emulator.eofs import EOFs
from graphdown.errors import GraphdownError
from graphdown.model import GraphArrays, SourceArrays, source_arrays
from graphdown.model.arrays import with_target
from graphdown.model.edge_tables import on_device
from graphdown.model.optimal_interpolation import Patterns
from meshes import DownscalingGraph, GraphSpec, Grid, bilinear, build_graph


class TargetDomain:
    """Target grid, static fields and graph specification.

    Args:
        target: the target grid, Nt points.
        statics: orog and sftlf on it, as far as known.
        spec: how graphs are built.
        eofs: of the training fields, if the network corrects their estimate.
        ground: height and land around the target where it does not tell them itself, as a list of
            stations does not.
    """

    def __init__(
        self,
        target: Grid,
        statics: xr.Dataset,
        spec: GraphSpec,
        eofs: EOFs | None = None,
        ground: Ground | None = None,
    ) -> None:
        self.target = target
        self.eofs = eofs
        self.statics = statics
        self.spec = spec
        self.ground = ground
        self.terrain = TerrainFeatures(Ground(target, statics), ground)
        self.static_names = static_names(statics)

    def graph(self, source: Grid) -> DownscalingGraph:
        """Return the graph from a source grid to the target.

        Raises:
            GraphdownError: there is none, as `build_graph` says.
        """
        try:
            return build_graph(source, self.target, self.spec)
        except ValueError as error:
            raise GraphdownError(str(error)) from None

    def arrays(
        self, source: Grid, source_orog: xr.DataArray | None = None, around: int = 0
    ) -> GraphArrays:
        """Return what the network needs to downscale from a source grid.

        Args:
            source: any grid.
            source_orog: its height in m, if known.
            around: the model's `target_regression`.
        """
        return self.several_arrays([source], [source_orog], around)[0]

    def several_arrays(
        self, sources: Sequence[Grid], orogs: Sequence[xr.DataArray | None], around: int = 0
    ) -> tuple[GraphArrays, list[SourceArrays]]:
        """Return such arrays from the first of several sources, and the source parts of all.

        All are padded alike.
        """
        parts = [
            self._graph_and_statics(source, orog)
            for source, orog in zip(sources, orogs, strict=True)
        ]
        graphs, statics = [graph for graph, _ in parts], [own for _, own in parts]
        eofs = self.eofs
        seen = [None if eofs is None else eofs.observation(source) for source in sources]
        arrays = source_arrays(graphs, statics, seen)
        return with_target(arrays[0], graphs[0], around, self.patterns()), arrays

    def used_arrays(
        self, source: Grid, source_orog: xr.DataArray | None, around: int
    ) -> tuple[GraphArrays, np.ndarray]:
        """Return the arrays of those nodes of a source that count, and their indices.

        A global model has many nodes that no edge and no weight leaves; see `arrays`.
        """
        graph, statics = self._graph_and_statics(source, source_orog)
        used, seen = graph.used_sources(), None
        if self.eofs is not None:
            shown = self.eofs.weights(source)
            used = np.union1d(used, shown.rows)
            seen = self.eofs.observation(source, shown, used)
        graph = graph.of_sources(used)
        (arrays,) = source_arrays([graph], [statics], [seen])
        return with_target(arrays, graph, around, self.patterns()), used

    def patterns(self) -> Patterns | None:
        """Return the EOFs at the target, None without EOFs."""
        if self.eofs is None:
            return None
        patterns, mean = self.eofs.target_patterns, self.eofs.target_mean
        spread = np.sqrt(np.square(patterns).sum(axis=0).mean(axis=0))
        parts = (patterns, mean, mean.mean(axis=0), np.maximum(spread, 1e-6))
        return Patterns(*(on_device(part, np.float32) for part in parts))

    def _graph_and_statics(
        self, source: Grid, source_orog: xr.DataArray | None
    ) -> tuple[DownscalingGraph, np.ndarray]:
        height = None
        if source_orog is not None:
            values = np.nan_to_num(source.values(source_orog).astype(np.float64))
            height = bilinear(source, self.target).apply(values)
        graph = self.graph(source)
        return graph, self.terrain.for_source(graph.source_spacing_km, height)
