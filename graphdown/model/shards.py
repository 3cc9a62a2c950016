"""Share the target nodes, and the edges that reach them, among devices."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jax.sharding import PartitionSpec

from graphdown.model.arrays import GraphArrays, SourceArrays
from graphdown.model.edge_tables import EdgeTable, Inverse, Table, bucket, inverse_table

GRAPH = "graph"
WHOLE, ROWS, COLUMNS = PartitionSpec(), PartitionSpec(GRAPH), PartitionSpec(None, GRAPH)


def padded_size(nodes: int, shards: int) -> int:
    """Return the number of nodes, rounded up to a multiple of the shards."""
    return -(-nodes // shards) * shards


def padded(values: Any, shards: int, axis: int = 0, fill: float = 0) -> Any:
    """Return values whose axis of target nodes is padded to a multiple of the shards."""
    nodes = values.shape[axis]
    pads = [(0, 0)] * values.ndim
    pads[axis] = (0, padded_size(nodes, shards) - nodes)
    pad = np.pad if isinstance(values, np.ndarray) else jnp.pad
    return pad(values, pads, constant_values=fill)


def shard_graph(graph: GraphArrays, shards: int) -> GraphArrays:
    """Return a graph whose target nodes are laid out for a number of devices.

    Each device gets the same number of nodes, the last of them padded with nodes that no edge
    reaches. `graph_specs` says which arrays are then to be split.

    Args:
        graph: the arrays for one device.
        shards: the number of devices.
    """
    size = padded_size(len(graph.target_statics), shards)
    nodes = jnp.minimum(jnp.arange(size), len(graph.target_statics) - 1)
    patterns = graph.patterns
    if patterns is not None:
        patterns = patterns._replace(
            patterns=padded(patterns.patterns, shards, 1), mean=padded(patterns.mean, shards)
        )
    return graph._replace(
        to_target=jax.tree.map(lambda values: padded(values, shards), graph.to_target),
        target_statics=padded(graph.target_statics, shards),
        around=padded(graph.around, shards),
        target_axes=padded(graph.target_axes, shards),
        decode=_shard_edges(graph.decode, len(graph.process.outgoing.row), shards),
        patterns=patterns,
        nodes=nodes,
    )


def shard_sources(sources: SourceArrays, shards: int) -> SourceArrays:
    """Return the source parts of a bank's graphs, stacked, laid out likewise."""
    return sources._replace(
        to_target=jax.tree.map(lambda values: padded(values, shards, 1), sources.to_target),
        target_statics=padded(sources.target_statics, shards, 1),
    )


def graph_specs(graph: GraphArrays) -> Any:
    """Return how the arrays of a graph of `shard_graph` are split."""
    specs: Any = jax.tree.map(lambda _: WHOLE, graph)
    if graph.patterns is not None:
        specs = specs._replace(patterns=specs.patterns._replace(patterns=COLUMNS, mean=ROWS))
    to_target, decode = jax.tree.map(lambda _: ROWS, (graph.to_target, graph.decode))
    rows = dict.fromkeys(("target_statics", "around", "target_axes", "nodes"), ROWS)
    return specs._replace(to_target=to_target, decode=decode, **rows)


def source_specs(sources: SourceArrays) -> Any:
    """Return how the arrays of `shard_sources` are split."""
    specs: Any = jax.tree.map(lambda _: WHOLE, sources)
    columns = jax.tree.map(lambda _: COLUMNS, sources.to_target)
    return specs._replace(to_target=columns, target_statics=COLUMNS)


def _shard_edges(table: EdgeTable, senders: int, shards: int) -> EdgeTable:
    """Return edges with one block, in which the senders' lists of edges are those of each shard."""
    width = max(block.shape[1] for block in table.senders.blocks)

    def joined(blocks: tuple[Array, ...], fill: float) -> np.ndarray:
        wide = [
            np.pad(
                np.asarray(block),
                [(0, 0), (0, width - block.shape[1]), *[(0, 0)] * (block.ndim - 2)],
                constant_values=fill,
            )
            for block in blocks
        ]
        return padded(np.concatenate(wide), shards, 0, fill)

    index = joined(table.senders.blocks, senders)
    parts = index.reshape(shards, -1)
    most = max(int(np.bincount(p[p < senders], minlength=1).max()) for p in parts)
    inverses = [inverse_table(own, senders, bucket(most)) for own in parts]
    return EdgeTable(
        Table((jnp.asarray(index),)),
        Inverse(
            (jnp.concatenate([inverse.blocks[0] for inverse in inverses]),),
            jnp.concatenate([inverse.row for inverse in inverses]),
        ),
        (jnp.asarray(joined(table.features, 0)),),
        (jnp.asarray(joined(table.weights, 0)),),
        table.names,
    )
