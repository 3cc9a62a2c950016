"""DownscalingGraph: the graph from a source grid to a target grid, and every way to get one."""

from dataclasses import fields
from pathlib import Path
from typing import Any, Self

import numpy as np

from meshes.graphs import builders
from meshes.graphs.base import GraphData, GraphNodes, GraphSpec
from meshes.graphs.builder_registry import MESH_BUILDERS, import_modules
from meshes.graphs.coverage import describe_extent, meets
from meshes.graphs.jraph import graph_to_jraph
from meshes.graphs.storage import read_graph, save_graph
from meshes.graphs.validation import describe_graph, validate_graph
from meshes.grids.grid import Grid
from meshes.remapping.remap import interpolate
from meshes.remapping.weights import SparseWeights

import_modules(builders)


class DownscalingGraph(GraphData):
    """The graph from a source grid over the mesh to a target grid.

    Attributes:
        source, target: the two grids.
        mesh: the icosahedral mesh between them.
        spec: how the graph was built.
        encode, process, decode: edges source -> mesh, mesh -> mesh, mesh -> target. `decode` has
            exactly spec.decode_neighbours edges per target point, in the order of the targets.
        to_target, to_mesh: bilinear weights from the source.
    """

    @classmethod
    def from_data(cls, data: GraphData) -> Self:
        """Return the graph of data that a reader returned."""
        return cls(**{field.name: getattr(data, field.name) for field in fields(GraphData)})

    def validate(self) -> None:
        """Check that the graph is whole.

        Raises:
            ValueError: a mesh or target node lacks its edges, weights do not sum to 1, or an
                edge is longer than the specification allows.
        """
        validate_graph(self)

    def describe(self) -> str:
        """Return a few lines about the grids, the mesh, the edges and their lengths."""
        return describe_graph(self)

    def save(self, path: str | Path) -> None:
        """Write the graph to an .npz file without pickle; `load_graph` reads it."""
        save_graph(self, path)

    def to_jraph(self) -> dict[str, Any]:
        """Return {"encode", "process", "decode"}: a jraph.GraphsTuple each.

        The nodes of a bipartite edge set are its senders' nodes followed by its receivers'; the
        node features are their unit vectors, the edges hold "features" and "weights".
        """
        return graph_to_jraph(self)


def load_graph(path: str | Path) -> DownscalingGraph:
    """Return the graph that `DownscalingGraph.save` wrote.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: the file is no graph, or one of a newer version.
    """
    return DownscalingGraph.from_data(read_graph(path))


def build_graph(source: Grid, target: Grid, spec: GraphSpec | None = None) -> DownscalingGraph:
    """Return the graph from source to target.

    Raises:
        ValueError: a grid without used points, a source that covers none of the target (see
            `coverage` for how much it covers), or a specification that gives no mesh.
    """
    spec = spec or GraphSpec()
    for name, grid in (("source", source), ("target", target)):
        if not grid.mask.any():
            raise ValueError(f"The {name} grid has no used point: its mask is False everywhere.")
    nodes = GraphNodes(source, target, MESH_BUILDERS[spec.mesh](target, spec), spec)
    to_target, to_mesh = _interpolation(nodes)
    return DownscalingGraph(
        source=source,
        target=target,
        mesh=nodes.mesh,
        spec=spec,
        encode=nodes.build_edges("encode"),
        process=nodes.build_edges("process"),
        decode=nodes.build_edges("decode"),
        to_target=to_target,
        to_mesh=to_mesh,
    )


def _interpolation(nodes: GraphNodes) -> tuple[SparseWeights, SparseWeights]:
    """Return bilinear weights from the source to the target and to the mesh."""
    source, target = nodes.source, nodes.target
    # Both in one call: its fixed cost shows in small graphs.
    receivers = np.concatenate([target.xyz, nodes.mesh.xyz])
    sites, triangle = nodes.neighbourhood.locate(receivers)
    if not sites.covers_any(triangle, np.flatnonzero(target.mask)) and not meets(source, target):
        raise ValueError(
            f"The source ({describe_extent(source)}) covers no point of the target "
            f"({describe_extent(target)}); take a source that reaches over the target."
        )
    return interpolate(sites, receivers, triangle).split(target.size)
