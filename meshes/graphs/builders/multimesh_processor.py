"""Processor "multimesh": the edges of all levels of the mesh, as in GraphCast."""

import numpy as np

from meshes.geometry.icosahedron import nominal_spacing_km
from meshes.graphs.base import EdgeSet, GraphData, GraphNodes
from meshes.graphs.builder_registry import edge_builder
from meshes.graphs.edges import mesh_links
from meshes.graphs.features import LEVEL, PROCESS_FEATURES, relative_position
from meshes.graphs.validation import refuse

# Refinement makes edges near the middle of an icosahedron's face longer than the nominal ones.
LONGEST_TO_NOMINAL = 1.3


def check_lengths_by_level(graph: GraphData) -> None:
    """Refuse process edges that are longer than the edges of their level."""
    level = graph.mesh.finest - np.rint(graph.process.feature(LEVEL))
    limit = LONGEST_TO_NOMINAL * nominal_spacing_km(0) / 2.0**level
    refuse(
        graph.edge_lengths_km("process") > limit,
        "process: edge {} is longer than an edge of its level",
    )


@edge_builder("process", "multimesh", PROCESS_FEATURES, check=check_lengths_by_level)
def multimesh_edges(nodes: GraphNodes) -> EdgeSet:
    """Link the mesh nodes along the edges of all levels, both ways, with equal weights.

    Features are in units of the finest level's nominal spacing; level is log2 of the level's
    nominal spacing in that unit.
    """
    mesh = nodes.mesh
    senders, receivers, level = mesh_links(mesh)
    position, _ = relative_position(mesh.xyz[senders], mesh.xyz[receivers], mesh.spacing_km)
    features = np.concatenate([position, (mesh.finest - level)[:, None]], axis=1)
    weights = np.ones(len(senders))
    return EdgeSet.normalised(senders, receivers, features, weights, PROCESS_FEATURES)
