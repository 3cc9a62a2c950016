"""Decoder "nearest": the nearest mesh nodes of every target point, weighted by distance."""

from dataclasses import replace

import numpy as np

from meshes.geometry.row_blocks import blocks
from meshes.graphs.base import EdgeSet, GraphData, GraphNodes
from meshes.graphs.builder_registry import edge_builder
from meshes.graphs.edges import ENLARGED, k_nearest, kernel
from meshes.graphs.features import DECODE_FEATURES, relative_position
from meshes.graphs.validation import refuse

DECODE_REACH = 2.0  # in mesh spacings


def check_reach(graph: GraphData) -> None:
    """Refuse decode edges to used target points that are longer than a few mesh spacings."""
    reach_km = DECODE_REACH * graph.mesh.spacing_km
    far = graph.edge_lengths_km("decode") > reach_km * (1.0 + 1e-6)
    refuse(
        far & graph.target.mask[graph.decode.receivers],
        f"decode: edge {{}} is longer than {DECODE_REACH:g} mesh spacings "
        f"({reach_km:.0f} km); raise margin_km or lower decode_neighbours",
    )


@edge_builder("decode", "nearest", DECODE_FEATURES, check=check_reach)
def nearest_edges(nodes: GraphNodes) -> EdgeSet:
    """Link the nearest mesh nodes to every target point, used or not.

    Weights fall off with the distance in units of twice the finest level's nominal spacing;
    features are in units of that spacing.
    """
    mesh, target, neighbours = nodes.mesh, nodes.target, nodes.spec.decode_neighbours
    parts = []
    for block in blocks(target.size):
        xyz = target.xyz[block]
        senders, receivers = k_nearest(mesh.xyz, xyz, neighbours)
        position, distance = relative_position(mesh.xyz[senders], xyz[receivers], mesh.spacing_km)
        farthest = distance.reshape(-1, neighbours).max(axis=1).repeat(neighbours)
        weights = kernel(distance / np.maximum(DECODE_REACH, ENLARGED * farthest))
        part = EdgeSet.normalised(senders, receivers, position, weights, DECODE_FEATURES)
        parts.append(replace(part, receivers=part.receivers + np.int32(block.start)))
    names = ("senders", "receivers", "features", "weights")
    columns = {name: np.concatenate([getattr(part, name) for part in parts]) for name in names}
    return EdgeSet(**columns, feature_names=DECODE_FEATURES)
