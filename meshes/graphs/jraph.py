"""Graphs as jraph's GraphsTuple, the exchange format of graph networks in JAX."""

from typing import Any

import numpy as np

from meshes.graphs.base import EdgeSet, GraphData


def graph_to_jraph(graph: GraphData) -> dict[str, Any]:
    """Return the three edge sets as jraph.GraphsTuple (see `DownscalingGraph.to_jraph`).

    Raises:
        ImportError: jraph is not installed.
    """
    return {
        "encode": _bipartite(graph.source.xyz, graph.mesh.xyz, graph.encode),
        "process": _tuple(graph.mesh.xyz, graph.process, offset=0),
        "decode": _bipartite(graph.mesh.xyz, graph.target.xyz, graph.decode),
    }


def _bipartite(senders: np.ndarray, receivers: np.ndarray, edges: EdgeSet) -> Any:
    return _tuple(np.concatenate([senders, receivers]), edges, offset=len(senders))


def _tuple(nodes: np.ndarray, edges: EdgeSet, offset: int) -> Any:
    import jraph

    return jraph.GraphsTuple(
        nodes=nodes.astype(np.float32),
        edges={"features": edges.features, "weights": edges.weights},
        senders=edges.senders,
        receivers=edges.receivers + np.int32(offset),
        globals=None,
        n_node=np.array([len(nodes)], dtype=np.int32),
        n_edge=np.array([edges.size], dtype=np.int32),
    )
