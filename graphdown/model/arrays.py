"""Arrays of a graph that the network needs, as arguments of a jitted function."""

from collections.abc import Sequence
from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
from jax import Array
from scipy.spatial import cKDTree

from graphdown.errors import ExperimentError
from graphdown.model.edge_tables import (
    EdgeTable,
    FeatureNames,
    Padding,
    bucket,
    build_edge_table,
    on_device,
    sum_over_width,
    take,
)
from graphdown.model.innovation import Feedback
from graphdown.model.optimal_interpolation import Observation, Patterns
from graphdown.model.upscaling import Upscaling
from meshes import DownscalingGraph, EdgeSet, Grid, SparseWeights
from meshes.geometry.sphere import east_and_north
from meshes.graphs.features import LOG_SPACING
from meshes.graphs.source_comparison import Comparison


class InterpolationTable(NamedTuple):
    """Sparse interpolation with a fixed number of donors per receiver.

    Attributes:
        donors: int [R, K].
        weights: float [R, K]; rows sum to 1.
    """

    donors: Array
    weights: Array

    def __call__(self, values: Array) -> Array:
        """Interpolate values [S, ...] to [R, ...]."""
        flat = values.reshape(len(values), -1)
        interpolated = sum_over_width(
            lambda k: self.weights[:, k, None] * take(flat, self.donors[:, k]),
            self.donors.shape[1],
        )
        return interpolated.reshape(-1, *values.shape[1:])


class SourceArrays(NamedTuple):
    """The part of a graph that depends on the source grid.

    Attributes:
        encode: edges from the source to the mesh.
        to_mesh, to_target: bilinear interpolation of source values.
        target_statics: float [Nt, statics]; one of them is the height above the source's.
        observation: operator that estimates the EOFs' amplitudes, None without EOFs.
        source_axes: unit vectors east and north at the source nodes [Ns, 2, 3].
        feedback: compares fields at the target with the source, None without innovations.
    """

    encode: EdgeTable
    to_mesh: InterpolationTable
    to_target: InterpolationTable
    target_statics: Array
    observation: Observation | None
    source_axes: Array
    feedback: Feedback | None = None


class GraphArrays(NamedTuple):
    """Edges, interpolations and static features of one source, mesh and target.

    Attributes:
        encode, to_mesh, to_target, target_statics, observation, source_axes, feedback: as in
            `SourceArrays`.
        process, decode: the other edge tables.
        around: int [Nt, K], the K mesh nodes nearest to each target node's nearest mesh node,
            nearest first.
        target_axes: unit vectors east and north at the target nodes [Nt, 2, 3].
        patterns: the EOFs at the target, None without EOFs.
        nodes: int [Nt], which of the network's target nodes these are; None for all of them.
    """

    encode: EdgeTable
    to_mesh: InterpolationTable
    to_target: InterpolationTable
    target_statics: Array
    observation: Observation | None
    source_axes: Array
    feedback: Feedback | None
    process: EdgeTable
    decode: EdgeTable
    around: Array
    target_axes: Array
    patterns: Patterns | None
    nodes: Array | None = None


def graph_arrays(
    graph: DownscalingGraph,
    target_statics: np.ndarray,
    around: int = 0,
    observation: Observation | None = None,
    patterns: Patterns | None = None,
    comparison: Comparison | None = None,
) -> GraphArrays:
    """Lay out a graph for the network; the source is padded to a bucket size.

    Args:
        graph: the downscaling graph with Ns source and Nt target nodes.
        target_statics: float [Nt, statics].
        around: number of mesh nodes around each target node to list.
        observation: operator that estimates the EOFs' amplitudes from the source, as arrays of
            NumPy; None without EOFs.
        patterns: the EOFs at the target.
        comparison: of fields at the target with the source, None without innovations.

    Raises:
        ExperimentError: the mesh has fewer nodes.
    """
    (source,) = source_arrays([graph], [target_statics], [observation], [comparison])
    return with_target(source, graph, around, patterns)


def with_target(
    source: SourceArrays, graph: DownscalingGraph, around: int, patterns: Patterns | None
) -> GraphArrays:
    """Return a graph's arrays whose source part is laid out already; see `graph_arrays`."""
    n_mesh, n_target = graph.mesh.size, graph.target.size
    return GraphArrays(
        *source,
        _edge_table(graph.process, (n_mesh, n_mesh)),
        _edge_table(graph.decode, (n_mesh, n_target)),
        _nearest_nodes(graph, around),
        _axes(graph.target, n_target),
        patterns,
    )


def source_arrays(
    graphs: Sequence[DownscalingGraph],
    target_statics: Sequence[np.ndarray],
    observations: Sequence[Observation | None],
    comparisons: Sequence[Comparison | None],
) -> list[SourceArrays]:
    """Lay out the source parts of graphs to one target, all padded to the same bucket sizes.

    Args:
        graphs: to one target.
        target_statics: float [Nt, statics], for each graph.
        observations: operators that estimate the EOFs' amplitudes, None without EOFs.
        comparisons: of fields at the target with the sources, None without innovations.
    """
    edges = [(graph.encode.senders, graph.encode.receivers) for graph in graphs]
    padding = Padding.over(edges, max(graph.source.size for graph in graphs))
    donors = [
        bucket(max(most_donors(w) for w in column))
        for column in zip(*((graph.to_mesh, graph.to_target) for graph in graphs), strict=True)
    ]
    sizes = [(graph.source.size, graph.target.size) for graph in graphs]
    feedbacks = _feedbacks(comparisons, sizes, padding.senders)
    return [
        SourceArrays(
            _edge_table(graph.encode, (graph.source.size, graph.mesh.size), padding),
            interpolation(graph.to_mesh, donors[0]),
            interpolation(graph.to_target, donors[1]),
            on_device(statics, np.float32),
            None if observation is None else _padded(observation, padding.senders),
            _axes(graph.source, padding.senders),
            feedback,
        )
        for graph, statics, observation, feedback in zip(
            graphs, target_statics, observations, feedbacks, strict=True
        )
    ]


def _feedbacks(
    comparisons: Sequence[Comparison | None], sizes: Sequence[tuple[int, int]], nodes: int
) -> list[Feedback | None]:
    """Lay out comparisons, all padded alike.

    Args:
        comparisons: of each graph, None for none.
        sizes: numbers of source and target nodes of each graph.
        nodes: number of source nodes to pad to.
    """
    there = [one for one in comparisons if one is not None]
    if not there:
        return [None] * len(comparisons)
    padding = Padding.over([(one.edges.senders, one.edges.receivers) for one in there], nodes)
    entries = bucket(max(len(one.means.rows) for one in there))

    def laid_out(one: Comparison, size: tuple[int, int]) -> Feedback:
        share = np.pad(one.share, (0, nodes - len(one.share)))
        edges = _edge_table(one.edges, size, padding)
        return Feedback(edges, Upscaling.of(one.means, entries), on_device(share, np.float32))

    pairs = zip(comparisons, sizes, strict=True)
    return [None if one is None else laid_out(one, size) for one, size in pairs]


def _axes(grid: Grid, nodes: int) -> Array:
    """Unit vectors east and north at the points of a grid [nodes, 2, 3], padded with zeros."""
    axes = np.pad(east_and_north(grid.xyz), ((0, 0), (0, 0), (0, nodes - grid.size)))
    return on_device(np.moveaxis(axes, -1, 0), np.float32)


def _nearest_nodes(graph: DownscalingGraph, count: int) -> Array:
    if count == 0:
        return on_device(np.zeros((graph.target.size, 0)), np.int32)
    if count > graph.mesh.size:
        raise ExperimentError(
            f"'model.target_regression' asks for {count} mesh nodes, but the mesh has "
            f"{graph.mesh.size}; lower it, or raise 'graph.mesh_level' or 'graph.margin_km'."
        )
    mesh = cKDTree(graph.mesh.xyz)
    _, nearest = mesh.query(graph.target.xyz)
    around = np.asarray(mesh.query(graph.mesh.xyz, k=[*range(1, count + 1)])[1])
    return on_device(around[nearest], np.int32)


def with_spacing_offset(graph: GraphArrays, offset: Array) -> GraphArrays:
    """Return the graph with `offset` added to its source edges' log_spacing, where they have it."""
    graph = graph._replace(encode=_with_offset(graph.encode, offset))
    if graph.feedback is None:
        return graph
    edges = _with_offset(graph.feedback.edges, offset)
    return graph._replace(feedback=graph.feedback._replace(edges=edges))


def _with_offset(table: EdgeTable, offset: Array) -> EdgeTable:
    column = table.names.column(LOG_SPACING)
    if column is None:
        return table
    features = tuple(block.at[..., column].add(offset) for block in table.features)
    return table._replace(features=features)


def with_hidden(graph: GraphArrays, visible: Array) -> GraphArrays:
    """Return the graph in which hidden source nodes have no weight.

    The other nodes of a mean or an interpolation take over their weight; where there is none, the
    mean is 0, as standardised fields are on average.

    Args:
        graph: edges and interpolations.
        visible: 1 for the source nodes that are seen, 0 for the hidden ones [Ns].
    """
    encode = graph.encode
    weights = tuple(
        _taken_over(weights, take(visible, block))
        for weights, block in zip(encode.weights, encode.senders.blocks, strict=True)
    )
    to_mesh, to_target = (
        old._replace(weights=_taken_over(old.weights, take(visible, old.donors)))
        for old in (graph.to_mesh, graph.to_target)
    )
    encode = encode._replace(weights=weights)
    return graph._replace(encode=encode, to_mesh=to_mesh, to_target=to_target)


def _taken_over(weights: Array, visible: Array) -> Array:
    """Return weights [rows, width] without the hidden ones, each row's sum as before."""
    left = weights * visible
    total = left.sum(-1, keepdims=True)
    return jnp.where(total > 0, left * weights.sum(-1, keepdims=True) / total, 0.0)


def with_source(graph: GraphArrays, source: SourceArrays) -> GraphArrays:
    """Return the graph with the source part replaced."""
    return graph._replace(**source._asdict())


def _edge_table(
    edges: EdgeSet, sizes: tuple[int, int], padding: Padding | None = None
) -> EdgeTable:
    return build_edge_table(
        edges.senders,
        edges.receivers,
        edges.features,
        edges.weights,
        sizes,
        padding,
        FeatureNames(edges.feature_names),
    )


def _padded(observation: Observation, nodes: int) -> Observation:
    none, extra = (0, 0), (0, nodes - len(observation.mean))
    pads = (none, none, extra, none), (extra, none), (none, extra, none), (extra,)
    parts = zip(observation, pads, strict=True)
    return Observation(*(on_device(np.pad(part, pad)) for part, pad in parts))


def most_donors(weights: SparseWeights) -> int:
    """Return the largest number of donors that a receiver has."""
    return int(np.bincount(weights.rows, minlength=1).max())


def interpolation(weights: SparseWeights, width: int) -> InterpolationTable:
    """Lay out sparse weights with the same number of donors for every receiver."""
    degree = np.bincount(weights.rows, minlength=weights.shape[0])
    order = np.argsort(weights.rows, kind="stable")
    rows = weights.rows[order]
    rank = np.arange(len(rows)) - np.concatenate([[0], np.cumsum(degree)[:-1]])[rows]
    donors = np.zeros((weights.shape[0], width), np.int32)
    values = np.zeros((weights.shape[0], width), np.float32)
    donors[rows, rank] = weights.cols[order]
    values[rows, rank] = weights.values[order]
    return InterpolationTable(on_device(donors), on_device(values))
