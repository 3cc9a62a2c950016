"""Encoder "graphcast": a sum over the source points in a radius, for comparison."""

import numpy as np

from meshes.geometry.sphere import distance_km
from meshes.graphs.base import EdgeSet, GraphNodes
from meshes.graphs.builder_registry import edge_builder
from meshes.graphs.builders.kernel_encoder import check_radius
from meshes.graphs.edges import within_radius
from meshes.graphs.features import ENCODE_FEATURES, relative_position


@edge_builder("encode", "graphcast", ENCODE_FEATURES, normalised=False, check=check_radius)
def graphcast_edges(nodes: GraphNodes) -> EdgeSet:
    """Link the used source points within a radius to the mesh nodes as GraphCast does.

    Every weight is 1, so that a node takes the sum; features are in units of the longest edge, and
    a node without source points in its radius has no edge. log_spacing is 0: GraphCast has none.
    Lam et al. (2023), Science 382, 1416-1421.

    Raises:
        ValueError: no source point lies within the radius of any node.
    """
    mesh, points = nodes.mesh, nodes.neighbourhood.points
    xyz, radius_km = nodes.source.xyz[points], nodes.spec.encode_radius_km
    senders, receivers = within_radius(xyz, mesh.xyz, np.full(mesh.size, radius_km))
    if not len(senders):
        raise ValueError(
            f"No source point lies within {radius_km:g} km of a mesh node; raise encode_radius_km."
        )
    longest = distance_km(xyz[senders], mesh.xyz[receivers]).max()
    position, _ = relative_position(xyz[senders], mesh.xyz[receivers], longest)
    features = np.concatenate([position, np.zeros((len(senders), 1))], axis=1)
    return EdgeSet(
        points[senders].astype(np.int32),
        receivers.astype(np.int32),
        features.astype(np.float32),
        np.ones(len(senders), np.float32),
        ENCODE_FEATURES,
    )
