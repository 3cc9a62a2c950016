"""Encoder "kernel": a mean over the source points in a radius, weighted by area and distance."""

import numpy as np

from meshes.graphs.base import EdgeSet, GraphData, GraphNodes
from meshes.graphs.builder_registry import edge_builder
from meshes.graphs.edges import enlarged_radius_km, kernel, within_radius
from meshes.graphs.features import ENCODE_FEATURES, relative_position, spacing_km
from meshes.graphs.validation import refuse

SPACING_SCALE_KM = 100.0


def check_radius(graph: GraphData) -> None:
    """Refuse encode edges that are longer than the radius of their mesh node."""
    radius = _used_and_radius(graph)[1]
    limit = radius[graph.encode.receivers] * (1.0 + 1e-6)
    refuse(
        graph.edge_lengths_km("encode") > limit, "encode: edge {} is longer than its node's radius"
    )


def _used_and_radius(nodes: GraphNodes) -> tuple[np.ndarray, np.ndarray]:
    """Return the used source points around the mesh, and the radius of each mesh node in km."""
    used = nodes.neighbourhood.points
    radius_km = nodes.spec.encode_radius_km
    radius = enlarged_radius_km(nodes.source.xyz[used], nodes.mesh.xyz, radius_km)
    if radius.max() > nodes.neighbourhood.reach_km:
        used = np.flatnonzero(nodes.source.mask)
        radius = enlarged_radius_km(nodes.source.xyz[used], nodes.mesh.xyz, radius_km)
    return used, radius


@edge_builder("encode", "kernel", ENCODE_FEATURES, check=check_radius)
def kernel_edges(nodes: GraphNodes) -> EdgeSet:
    """Link the used source points within a radius to the mesh nodes.

    The weight of source point j for node i is area_j * kernel(distance / radius_i), made to sum
    to 1; the radius of a node with few source points around it is enlarged. Features are in
    units of the radius; log_spacing is log(sqrt(cell area) / 100 km).
    """
    source, mesh, radius_km = nodes.source, nodes.mesh, nodes.spec.encode_radius_km
    used, radius = _used_and_radius(nodes)
    xyz = source.xyz[used]
    senders, receivers = within_radius(xyz, mesh.xyz, radius)
    position, distance = relative_position(xyz[senders], mesh.xyz[receivers], radius_km)
    weights = source.area[used][senders] * kernel(distance * radius_km / radius[receivers])
    spacing = np.log(spacing_km(source, used) / SPACING_SCALE_KM)
    features = np.concatenate([position, spacing[senders, None]], axis=1)
    return EdgeSet.normalised(used[senders], receivers, features, weights, ENCODE_FEATURES)
