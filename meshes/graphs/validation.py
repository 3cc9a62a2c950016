"""Checks of a graph, and its description."""

import numpy as np

from meshes.graphs.base import GraphData
from meshes.graphs.builder_registry import EDGE_KINDS, EdgeKind
from meshes.grids.grid import Grid

TOLERANCE = 1e-4
RECEIVERS = {"encode": "mesh node", "process": "mesh node", "decode": "target point"}


def validate_graph(graph: GraphData) -> None:
    """Raise ValueError unless the graph is whole (see `DownscalingGraph.validate`)."""
    for kind in EDGE_KINDS:
        _check_edges(graph, kind)
        if graph.spec.edge_builder(kind).normalised:
            _check_weights(graph, kind)
    _check_decode_layout(graph)
    for kind in EDGE_KINDS:
        check = graph.spec.edge_builder(kind).check
        if check is not None:
            check(graph)
    for name, weights in (("to_target", graph.to_target), ("to_mesh", graph.to_mesh)):
        sums = np.bincount(weights.rows, weights.values, minlength=weights.shape[0])
        refuse(np.abs(sums - 1.0) > TOLERANCE, f"{name}: the weights of row {{}} do not sum to 1")


def refuse(wrong: np.ndarray, sentence: str) -> None:
    """Raise ValueError if anything is wrong.

    Args:
        wrong: bool [N].
        sentence: the fault, with {} for the index of the first one.
    """
    if wrong.any():
        first = int(np.flatnonzero(wrong)[0])
        raise ValueError(f"{sentence.format(first)} ({int(wrong.sum())} in all).")


def _check_edges(graph: GraphData, kind: EdgeKind) -> None:
    edges, (senders, receivers) = graph.edges(kind), map(len, graph.ends(kind))
    outside = (edges.senders < 0) | (edges.senders >= senders) | (edges.receivers >= receivers)
    refuse(outside, f"{kind}: edge {{}} points outside the nodes")
    order = edges.receivers.astype(np.int64) * senders + edges.senders
    refuse(np.diff(order) <= 0, f"{kind}: edge {{}} is repeated or out of order")
    refuse(
        ~np.isfinite(edges.features).all(axis=1),
        f"{kind}: edge {{}} has features that are not finite",
    )


def _check_weights(graph: GraphData, kind: EdgeKind) -> None:
    edges, what = graph.edges(kind), RECEIVERS[kind]
    count = len(graph.ends(kind)[1])
    degree = np.bincount(edges.receivers, minlength=count)
    refuse(degree == 0, f"{kind}: {what} {{}} receives no edge; raise margin_km or mesh_level")
    sums = np.bincount(edges.receivers, edges.weights, minlength=count)
    refuse(np.abs(sums - 1.0) > TOLERANCE, f"{kind}: the weights of {what} {{}} do not sum to 1")


def _check_decode_layout(graph: GraphData) -> None:
    expected = np.repeat(np.arange(graph.target.size), graph.spec.decode_neighbours)
    if not np.array_equal(graph.decode.receivers, expected):
        raise ValueError(
            f"decode: not every target point has exactly {graph.spec.decode_neighbours} edges."
        )


def describe_graph(graph: GraphData) -> str:
    """Return a description of the graph (see `DownscalingGraph.describe`)."""
    mesh = graph.mesh
    lines = [
        f"source   {describe_grid(graph.source)}",
        f"mesh     {mesh.size} nodes, levels {mesh.coarsest} to {mesh.finest}, "
        f"about {mesh.spacing_km:.0f} km apart",
        f"target   {describe_grid(graph.target)}",
    ]
    for kind in EDGE_KINDS:
        edges, length = graph.edges(kind), graph.edge_lengths_km(kind)
        degree = np.bincount(edges.receivers, minlength=len(graph.ends(kind)[1]))
        lines.append(
            f"{kind:8} {edges.size} edges, {degree.min()} to {degree.max()} per receiver, "
            f"{length.min():.0f} to {length.max():.0f} km long"
        )
    return "\n".join(lines)


def describe_grid(grid: Grid) -> str:
    """Return one line about a grid."""
    sizes = " x ".join(f"{n} {d}" for d, n in zip(grid.dims, grid.shape, strict=True))
    masked = grid.size - int(grid.mask.sum())
    return (
        f"{grid.kind}, {sizes} = {grid.size} points"
        + (f" ({masked} masked)" if masked else "")
        + f", about {grid.spacing_km:.0f} km apart, "
        + f"lat {grid.lat.min():.2f} to {grid.lat.max():.2f}"
    )
