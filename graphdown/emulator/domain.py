"""The target domain of a network: target grid, mesh and terrain, for any source grid."""

from collections.abc import Mapping, Sequence
from types import MappingProxyType

import numpy as np
import xarray as xr

from graphdown.data.terrain import Ground, TerrainFeatures, static_names
from graphdown.emulator.eofs import EOFs
from graphdown.errors import GraphdownError
from graphdown.model import GraphArrays, SourceArrays, source_arrays
from graphdown.model.arrays import with_source, with_target
from graphdown.model.edge_tables import on_device
from graphdown.model.optimal_interpolation import Patterns
from graphdown.variables.names import variable_of
from meshes import DownscalingGraph, GraphSpec, Grid, bilinear, build_graph
from meshes.graphs.source_comparison import Comparison
from meshes.grids.station_lists import are_stations

ALIKE = 4.0  # times as many nodes are worth padding for, rather than another compilation
NO_MASKS: Mapping[str, np.ndarray] = MappingProxyType({})


class TargetDomain:
    """Target grid, static fields and graph specification.

    Args:
        target: the target grid, Nt points.
        statics: orog and sftlf on it, as far as known.
        spec: how graphs are built.
        eofs: of the training fields, if the network corrects their estimate.
        ground: height and land around a target that does not have them itself, such as a list of
            stations.
        masks: points [Nt] at which a variable has values, by its name; by default those that the
            grid's mask leaves.
        innovations: whether the network compares its fields with the source.

    Raises:
        GraphdownError: innovations are asked for at stations, which have no cells.
    """

    def __init__(
        self,
        target: Grid,
        statics: xr.Dataset,
        spec: GraphSpec,
        eofs: EOFs | None = None,
        ground: Ground | None = None,
        masks: Mapping[str, np.ndarray] = NO_MASKS,
        innovations: bool = False,
    ) -> None:
        if innovations and are_stations(target):
            raise GraphdownError(
                "'model.innovation_rounds' compares the means of cells, and a list of stations has "
                "none; train an emulator with 'model.innovation_rounds: 0' for stations."
            )
        self.innovations = innovations
        self.target = target
        self.eofs = eofs
        self.statics = statics
        self.spec = spec
        self.ground = ground
        differing = {n: m & target.mask for n, m in masks.items() if (m != target.mask).any()}
        self.masks: Mapping[str, np.ndarray] = differing
        self.terrain = TerrainFeatures(Ground(target, statics), ground)
        self.static_names = static_names(statics)

    def present(self, variables: Sequence[str]) -> np.ndarray:
        """Whether a point has values of a variable [Nt, variable]."""
        masks = [self.masks.get(name, self.target.mask) for name in variables]
        return np.stack(masks, axis=-1)

    def graph(self, source: Grid) -> DownscalingGraph:
        """Graph from a source grid to the target.

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
        """Arrays that the network needs to downscale from a source grid.

        Args:
            source: any grid.
            source_orog: its height in m, if known.
            around: the model's `target_regression`.
        """
        return self.several_arrays([source], [source_orog], around)[0]

    def several_arrays(
        self, sources: Sequence[Grid], orogs: Sequence[xr.DataArray | None], around: int = 0
    ) -> tuple[GraphArrays, list[SourceArrays]]:
        """Such arrays from the first of several sources, and the source parts of all.

        All are padded alike.
        """
        pairs = zip(sources, orogs, strict=True)
        parts = [self._graph_and_statics(source, orog) for source, orog in pairs]
        graphs, statics = [graph for graph, _ in parts], [fields for _, fields in parts]
        eofs = self.eofs
        observed = [None if eofs is None else eofs.observation(source) for source in sources]
        compared = [self._comparison(source) for source in sources]
        arrays = source_arrays(graphs, statics, observed, compared)
        return with_target(arrays[0], graphs[0], around, self.patterns()), arrays

    def arrays_alike(
        self, sources: Sequence[Grid], orogs: Sequence[xr.DataArray | None], around: int = 0
    ) -> list[GraphArrays]:
        """Such arrays from each of several sources, those of like size padded alike.

        What is compiled for one of them then serves the others.
        """
        made: dict[int, GraphArrays] = {}
        for group in _of_like_size([source.size for source in sources]):
            parts = [sources[i] for i in group], [orogs[i] for i in group]
            graph, arrays = self.several_arrays(*parts, around)
            made |= {i: with_source(graph, own) for i, own in zip(group, arrays, strict=True)}
        return [made[i] for i in range(len(sources))]

    def used_arrays(
        self, source: Grid, source_orog: xr.DataArray | None, around: int
    ) -> tuple[GraphArrays, np.ndarray]:
        """Arrays of those nodes of a source that count, and their indices.

        A global model has many nodes that no edge and no weight leaves; see `arrays`.
        """
        graph, statics = self._graph_and_statics(source, source_orog)
        used, observation = graph.used_sources(), None
        comparison = self._comparison(source)
        if comparison is not None:
            used = np.union1d(used, comparison.used_sources())
        if self.eofs is not None:
            weights = self.eofs.weights(source)
            used = np.union1d(used, weights.rows)
            observation = self.eofs.observation(source, weights, used)
        graph = graph.of_sources(used)
        if comparison is not None:
            comparison = comparison.of_sources(used)
        (arrays,) = source_arrays([graph], [statics], [observation], [comparison])
        return with_target(arrays, graph, around, self.patterns()), used

    def patterns(self) -> Patterns | None:
        """The EOFs at the target, None without EOFs."""
        if self.eofs is None:
            return None
        patterns, mean = self.eofs.target_patterns, self.eofs.target_mean
        spread = np.sqrt(np.square(patterns).sum(axis=0).mean(axis=0))
        scale = np.where(spread > 0, spread, 1.0)
        arrays = (patterns, mean, mean.mean(axis=0), scale)
        return Patterns(*(on_device(array, np.float32) for array in arrays))

    def _comparison(self, source: Grid) -> Comparison | None:
        """Comparison of the target's fields with a source, None without innovations."""
        return Comparison.between(source, self.target) if self.innovations else None

    def _graph_and_statics(
        self, source: Grid, source_orog: xr.DataArray | None
    ) -> tuple[DownscalingGraph, np.ndarray]:
        height = None
        if source_orog is not None:
            values = np.nan_to_num(source.values(source_orog).astype(np.float64))
            height = bilinear(source, self.target).apply(values)
        graph = self.graph(source)
        return graph, self.terrain.for_source(graph.source_spacing_km, height)


def _of_like_size(sizes: Sequence[int]) -> list[list[int]]:
    """Indices of sizes in groups, within which the largest is at most ALIKE times the smallest."""
    groups: list[list[int]] = []
    for index in np.argsort(sizes, kind="stable").tolist():
        if not groups or sizes[index] > ALIKE * sizes[groups[-1][0]]:
            groups.append([])
        groups[-1].append(index)
    return groups


def by_variable(masks: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Masks [Nt] by variable: where any of its sub-steps has values."""
    merged: dict[str, np.ndarray] = {}
    for name, mask in masks.items():
        variable = variable_of(name)
        merged[variable] = merged.get(variable, mask) | mask
    return merged
