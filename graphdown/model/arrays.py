"""What the network needs of a graph, as arrays that can be arguments of a jitted function."""

from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
from jax import Array
from scipy.spatial import cKDTree

from graphdown.errors import ExperimentError
from graphdown.model.tables import EdgeTable, bucket, build_edge_table
from meshes import DownscalingGraph, EdgeSet, SparseWeights

LOG_SPACING = 4  # column of `DownscalingGraph.encode.features`


class Interpolation(NamedTuple):
    """Sparse interpolation with a fixed number of donors per receiver.

    Attributes:
        donors: int [R, K].
        weights: float [R, K]; rows sum to 1.
    """

    donors: Array
    weights: Array

    def __call__(self, values: Array) -> Array:
        """Interpolate values [S, ...] to [R, ...]."""
        extra = (1,) * (values.ndim - 1)
        weights = self.weights.reshape(*self.weights.shape, *extra)
        return (values[self.donors] * weights).sum(1)


class GraphArrays(NamedTuple):
    """Edges, interpolations and static features of one source, mesh and target.

    Attributes:
        encode, process, decode: the edge tables.
        to_mesh, to_target: bilinear interpolation of source values.
        target_statics: float [Nt, statics].
        around: int [Nt, K], the K mesh nodes nearest to each target node's nearest mesh node,
            nearest first.
    """

    encode: EdgeTable
    process: EdgeTable
    decode: EdgeTable
    to_mesh: Interpolation
    to_target: Interpolation
    target_statics: Array
    around: Array


def graph_arrays(
    graph: DownscalingGraph, target_statics: np.ndarray, around: int = 0
) -> GraphArrays:
    """Lay out a graph for the network; the source is padded to a bucket size.

    Args:
        graph: the downscaling graph with Ns source and Nt target nodes.
        target_statics: float [Nt, statics].
        around: how many mesh nodes around each target node to list.

    Raises:
        ExperimentError: the mesh has fewer nodes.
    """
    n_source, n_mesh, n_target = graph.source.size, graph.mesh.size, graph.target.size
    padded = bucket(n_source)
    encode = build_edge_table(
        *_edges(graph.encode), sizes=(n_source, n_mesh), padded_sizes=(padded, n_mesh)
    )
    return GraphArrays(
        encode,
        build_edge_table(*_edges(graph.process), sizes=(n_mesh, n_mesh)),
        build_edge_table(*_edges(graph.decode), sizes=(n_mesh, n_target)),
        _interpolation(graph.to_mesh),
        _interpolation(graph.to_target),
        jnp.asarray(target_statics, jnp.float32),
        _nearest_nodes(graph, around),
    )


def _nearest_nodes(graph: DownscalingGraph, count: int) -> Array:
    if count == 0:
        return jnp.zeros((graph.target.size, 0), jnp.int32)
    if count > graph.mesh.size:
        raise ExperimentError(
            f"'model.target_regression' asks for {count} mesh nodes, but the mesh has "
            f"{graph.mesh.size}; lower it, or raise 'graph.mesh_level' or 'graph.margin_km'."
        )
    mesh = cKDTree(graph.mesh.xyz)
    _, nearest = mesh.query(graph.target.xyz)
    around = np.asarray(mesh.query(graph.mesh.xyz, k=[*range(1, count + 1)])[1])
    return jnp.asarray(around[nearest], jnp.int32)


def with_spacing_offset(graph: GraphArrays, offset: Array) -> GraphArrays:
    """Return the graph with `offset` added to the log_spacing feature of its encode edges."""
    features = tuple(block.at[..., LOG_SPACING].add(offset) for block in graph.encode.features)
    return graph._replace(encode=graph.encode._replace(features=features))


def _edges(edges: EdgeSet) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    return edges.senders, edges.receivers, edges.features, edges.weights


def _interpolation(weights: SparseWeights) -> Interpolation:
    """Lay out sparse weights with the same, bucketed number of donors for every receiver."""
    degree = np.bincount(weights.rows, minlength=weights.shape[0])
    order = np.argsort(weights.rows, kind="stable")
    rows = weights.rows[order]
    rank = np.arange(len(rows)) - np.concatenate([[0], np.cumsum(degree)[:-1]])[rows]
    width = bucket(int(degree.max(initial=1)))
    donors = np.zeros((weights.shape[0], width), np.int32)
    values = np.zeros((weights.shape[0], width), np.float32)
    donors[rows, rank] = weights.cols[order]
    values[rows, rank] = weights.values[order]
    return Interpolation(jnp.asarray(donors), jnp.asarray(values))
