"""Check a DownscalingGraph and put it into words."""

import numpy as np

from meshes.geometry.icosahedron import nominal_spacing_km
from meshes.geometry.sphere import distance_km
from meshes.graphs.base import DECODE_REACH, EdgeSet, GraphData
from meshes.graphs.edges import enlarged_radius_km
from meshes.grids.grid import Grid

# Refinement makes edges near the middle of an icosahedron's face longer than the nominal ones.
LONGEST_TO_NOMINAL = 1.3
TOLERANCE = 1e-4


def validate_graph(graph: GraphData) -> None:
    """Raise ValueError unless the graph is whole (see `DownscalingGraph.validate`)."""
    source, mesh, target = graph.source.size, graph.mesh.size, graph.target.size
    _check_edges("encode", graph.encode, source, mesh)
    if graph.spec.encoder == "kernel":
        _check_weights("encode", graph.encode, mesh, "mesh node")
    for name, edges, receivers, what in (
        ("process", graph.process, mesh, "mesh node"),
        ("decode", graph.decode, target, "target point"),
    ):
        _check_edges(name, edges, mesh, receivers)
        _check_weights(name, edges, receivers, what)
    _check_decode_layout(graph)
    _check_lengths(graph)
    for name, weights in (("to_target", graph.to_target), ("to_mesh", graph.to_mesh)):
        sums = np.bincount(weights.rows, weights.values, minlength=weights.shape[0])
        _refuse(np.abs(sums - 1.0) > TOLERANCE, f"{name}: the weights of row {{}} do not sum to 1")


def _refuse(wrong: np.ndarray, sentence: str) -> None:
    if wrong.any():
        first = int(np.flatnonzero(wrong)[0])
        raise ValueError(f"{sentence.format(first)} ({int(wrong.sum())} in all).")


def _check_edges(name: str, edges: EdgeSet, senders: int, receivers: int) -> None:
    outside = (edges.senders < 0) | (edges.senders >= senders) | (edges.receivers >= receivers)
    _refuse(outside, f"{name}: edge {{}} points outside the nodes")
    order = edges.receivers.astype(np.int64) * senders + edges.senders
    _refuse(np.diff(order) <= 0, f"{name}: edge {{}} is repeated or out of order")
    _refuse(
        ~np.isfinite(edges.features).all(axis=1),
        f"{name}: edge {{}} has features that are not finite",
    )


def _check_weights(name: str, edges: EdgeSet, receivers: int, what: str) -> None:
    degree = np.bincount(edges.receivers, minlength=receivers)
    _refuse(degree == 0, f"{name}: {what} {{}} receives no edge; raise margin_km or mesh_level")
    sums = np.bincount(edges.receivers, edges.weights, minlength=receivers)
    _refuse(np.abs(sums - 1.0) > TOLERANCE, f"{name}: the weights of {what} {{}} do not sum to 1")


def _check_decode_layout(graph: GraphData) -> None:
    expected = np.repeat(np.arange(graph.target.size), graph.spec.decode_neighbours)
    if not np.array_equal(graph.decode.receivers, expected):
        raise ValueError(
            f"decode: not every target point has exactly {graph.spec.decode_neighbours} edges."
        )


def _check_lengths(graph: GraphData) -> None:
    mesh, slack = graph.mesh, 1.0 + 1e-6
    length = edge_lengths_km(graph)
    used = graph.source.xyz[graph.source.mask]
    radius = enlarged_radius_km(used, mesh.xyz, graph.spec.encode_radius_km)
    limit = radius[graph.encode.receivers] * slack
    _refuse(length["encode"] > limit, "encode: edge {} is longer than its node's radius")
    level = mesh.finest - np.rint(graph.process.features[:, -1])
    limit = LONGEST_TO_NOMINAL * nominal_spacing_km(0) / 2.0**level
    _refuse(length["process"] > limit, "process: edge {} is longer than an edge of its level")
    far = length["decode"] > DECODE_REACH * mesh.spacing_km * slack
    far &= graph.target.mask[graph.decode.receivers]
    _refuse(
        far,
        f"decode: edge {{}} is longer than {DECODE_REACH:g} mesh spacings "
        f"({DECODE_REACH * mesh.spacing_km:.0f} km); raise margin_km or lower decode_neighbours",
    )


def edge_lengths_km(graph: GraphData) -> dict[str, np.ndarray]:
    """Return the great-circle lengths (km) of the encode, process and decode edges."""
    nodes = {
        "encode": (graph.source.xyz, graph.mesh.xyz, graph.encode),
        "process": (graph.mesh.xyz, graph.mesh.xyz, graph.process),
        "decode": (graph.mesh.xyz, graph.target.xyz, graph.decode),
    }
    return {
        name: distance_km(senders[edges.senders], receivers[edges.receivers])
        for name, (senders, receivers, edges) in nodes.items()
    }


def describe_graph(graph: GraphData) -> str:
    """Return a description of the graph (see `DownscalingGraph.describe`)."""
    mesh = graph.mesh
    lines = [
        f"source   {describe_grid(graph.source)}",
        f"mesh     {mesh.size} nodes, levels {mesh.coarsest} to {mesh.finest}, "
        f"about {mesh.spacing_km:.0f} km apart",
        f"target   {describe_grid(graph.target)}",
    ]
    sizes = {"encode": mesh.size, "process": mesh.size, "decode": graph.target.size}
    for name, length in edge_lengths_km(graph).items():
        edges: EdgeSet = getattr(graph, name)
        degree = np.bincount(edges.receivers, minlength=sizes[name])
        lines.append(
            f"{name:8} {edges.size} edges, {degree.min()} to {degree.max()} per receiver, "
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
