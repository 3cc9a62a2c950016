"""DownscalingGraph: the graph from a source grid to a target grid, and every way to get one."""

from dataclasses import fields, replace
from pathlib import Path
from typing import Any, Self

import numpy as np

from meshes.geometry.icosahedron import Mesh
from meshes.geometry.row_blocks import blocks
from meshes.geometry.sphere import EARTH_RADIUS_KM, distance_km, tangent_frame
from meshes.graphs import edges
from meshes.graphs.base import DECODE_REACH, EdgeSet, GraphData, GraphSpec, spacing_km
from meshes.graphs.coverage import describe_extent, meets
from meshes.graphs.jraph import graph_to_jraph
from meshes.graphs.mesh import build_mesh
from meshes.graphs.neighbourhood import Neighbourhood
from meshes.graphs.storage import read_graph, save_graph
from meshes.graphs.validation import describe_graph, validate_graph
from meshes.grids.grid import Grid
from meshes.remapping.remap import interpolate

POSITION_FEATURES = ("east", "north", "up", "distance")
ENCODE_FEATURES = (*POSITION_FEATURES, "log_spacing")
SPACING_SCALE_KM = 100.0


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
    mesh = build_mesh(target, spec.mesh_level, spec.coarsest_level, spec.margin_km)
    near = Neighbourhood(source, mesh.xyz, spec.encode_radius_km)
    # Both at once: what a call costs however few points there are shows in small graphs.
    receivers = np.concatenate([target.xyz, mesh.xyz])
    sites, triangle = near.locate(receivers)
    if not sites.covers_any(triangle, np.flatnonzero(target.mask)) and not meets(source, target):
        raise ValueError(
            f"The source ({describe_extent(source)}) covers no point of the target "
            f"({describe_extent(target)}); take a source that reaches over the target."
        )
    to_target, to_mesh = interpolate(sites, receivers, triangle).split(target.size)
    encode = encode_edges if spec.encoder == "kernel" else graphcast_encode_edges
    return DownscalingGraph(
        source=source,
        target=target,
        mesh=mesh,
        spec=spec,
        encode=encode(source, mesh, spec.encode_radius_km, near),
        process=process_edges(mesh),
        decode=decode_edges(mesh, target, spec.decode_neighbours),
        to_target=to_target,
        to_mesh=to_mesh,
    )


def encode_edges(source: Grid, mesh: Mesh, radius_km: float, near: Neighbourhood) -> EdgeSet:
    """Link the used source points within a radius to the mesh nodes.

    The weight of source point j for node i is area_j * kernel(distance / radius_i), made to sum
    to 1; the radius of a node with few source points around it is enlarged. Features are in
    units of radius_km; log_spacing is log(sqrt(cell area) / 100 km).
    """
    used = near.points
    xyz = source.xyz[used]
    radius = edges.enlarged_radius_km(xyz, mesh.xyz, radius_km)
    if radius.max() > near.reach_km:
        used = np.flatnonzero(source.mask)
        xyz = source.xyz[used]
        radius = edges.enlarged_radius_km(xyz, mesh.xyz, radius_km)
    senders, receivers = edges.within_radius(xyz, mesh.xyz, radius)
    position, distance = relative_position(xyz[senders], mesh.xyz[receivers], radius_km)
    raw = source.area[used][senders] * kernel(distance * radius_km / radius[receivers])
    spacing = np.log(spacing_km(source, used) / SPACING_SCALE_KM)
    features = np.concatenate([position, spacing[senders, None]], axis=1)
    return _edge_set(used[senders], receivers, features, raw, ENCODE_FEATURES)


def graphcast_encode_edges(
    source: Grid, mesh: Mesh, radius_km: float, near: Neighbourhood
) -> EdgeSet:
    """Link the used source points within a radius to the mesh nodes as GraphCast does.

    Every weight is 1, so that a node takes the sum; features are in units of the longest edge, and
    a node without source points in its radius has no edge. log_spacing is 0: GraphCast has none.

    Raises:
        ValueError: no source point lies within the radius of any node.
    """
    xyz = source.xyz[near.points]
    radius = np.full(mesh.size, radius_km)
    senders, receivers = edges.within_radius(xyz, mesh.xyz, radius)
    if not len(senders):
        raise ValueError(
            f"No source point lies within {radius_km:g} km of a mesh node; raise encode_radius_km."
        )
    longest = distance_km(xyz[senders], mesh.xyz[receivers]).max()
    position, _ = relative_position(xyz[senders], mesh.xyz[receivers], longest)
    features = np.concatenate([position, np.zeros((len(senders), 1))], axis=1)
    ones = np.ones(len(senders), np.float32)
    return EdgeSet(
        near.points[senders].astype(np.int32),
        receivers.astype(np.int32),
        features.astype(np.float32),
        ones,
        ENCODE_FEATURES,
    )


def process_edges(mesh: Mesh) -> EdgeSet:
    """Link the mesh nodes along the edges of all levels, both ways, with equal weights.

    Features are in units of the finest level's nominal spacing; level is log2 of the level's
    nominal spacing in that unit.
    """
    senders, receivers, level = edges.mesh_links(mesh)
    position, _ = relative_position(mesh.xyz[senders], mesh.xyz[receivers], mesh.spacing_km)
    features = np.concatenate([position, (mesh.finest - level)[:, None]], axis=1)
    return _edge_set(
        senders, receivers, features, np.ones(len(senders)), (*POSITION_FEATURES, "level")
    )


def decode_edges(mesh: Mesh, target: Grid, neighbours: int) -> EdgeSet:
    """Link the nearest mesh nodes to every target point, used or not.

    Weights fall off with the distance in units of twice the finest level's nominal spacing;
    features are in units of that spacing.
    """
    parts = []
    for block in blocks(target.size):
        xyz = target.xyz[block]
        senders, receivers = edges.k_nearest(mesh.xyz, xyz, neighbours)
        position, distance = relative_position(mesh.xyz[senders], xyz[receivers], mesh.spacing_km)
        farthest = distance.reshape(-1, neighbours).max(axis=1).repeat(neighbours)
        raw = kernel(distance / np.maximum(DECODE_REACH, edges.ENLARGED * farthest))
        made = _edge_set(senders, receivers, position, raw, POSITION_FEATURES)
        parts.append(replace(made, receivers=made.receivers + np.int32(block.start)))
    names = ("senders", "receivers", "features", "weights")
    columns = {name: np.concatenate([getattr(part, name) for part in parts]) for name in names}
    return EdgeSet(**columns, feature_names=POSITION_FEATURES)


def kernel(x: np.ndarray) -> np.ndarray:
    """Return (1 - x^2)^2 for x below 1, else 0: smooth, 1 at 0."""
    return np.maximum(1.0 - x**2, 0.0) ** 2


def relative_position(
    senders: np.ndarray, receivers: np.ndarray, unit_km: float
) -> tuple[np.ndarray, np.ndarray]:
    """Return east, north, up and distance [E, 4] of senders seen from receivers, and distance [E].

    The frame is the receiver's tangent frame; east, north and up are components of the straight
    difference, distance is along the great circle; all in units of unit_km.
    """
    frame = tangent_frame(receivers)
    chord = np.einsum("eij,ej->ei", frame, senders - receivers) * (EARTH_RADIUS_KM / unit_km)
    distance = distance_km(senders, receivers) / unit_km
    return np.concatenate([chord, distance[:, None]], axis=1), distance


def _edge_set(
    senders: np.ndarray,
    receivers: np.ndarray,
    features: np.ndarray,
    raw: np.ndarray,
    names: tuple[str, ...],
) -> EdgeSet:
    total = np.bincount(receivers, raw)
    return EdgeSet(
        senders.astype(np.int32),
        receivers.astype(np.int32),
        features.astype(np.float32),
        (raw / total[receivers]).astype(np.float32),
        names,
    )
