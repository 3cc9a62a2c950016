"""Data of graphs: specification, nodes and edges."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property, reduce
from typing import Self

import numpy as np

from meshes.geometry.icosahedron import Mesh, check_levels
from meshes.geometry.sphere import distance_km
from meshes.geometry.triangulation import merge_coincident
from meshes.graphs.builder_registry import (
    EDGE_BUILDERS,
    EDGE_KINDS,
    MESH_BUILDERS,
    EdgeBuilder,
    EdgeKind,
)
from meshes.graphs.features import spacing_km
from meshes.graphs.neighbourhood import Neighbourhood
from meshes.grids.grid import Grid
from meshes.remapping.weights import SparseWeights


@dataclass(frozen=True, eq=False)
class EdgeSet:
    """Edges from senders to receivers, sorted by receiver, then sender.

    Attributes:
        senders, receivers: node indices, int32 [E].
        features: float32 [E, F], named by feature_names.
        weights: float32 [E], summing to 1 per receiver (all 1 for GraphCast's encoder).
        feature_names: names of the columns of features.
    """

    senders: np.ndarray
    receivers: np.ndarray
    features: np.ndarray
    weights: np.ndarray
    feature_names: tuple[str, ...]

    @classmethod
    def normalised(
        cls,
        senders: np.ndarray,
        receivers: np.ndarray,
        features: np.ndarray,
        weights: np.ndarray,
        feature_names: Sequence[str],
    ) -> Self:
        """Return edges whose weights, all positive before, sum to 1 at every receiver."""
        total = np.bincount(receivers, weights)
        return cls(
            senders.astype(np.int32),
            receivers.astype(np.int32),
            features.astype(np.float32),
            (weights / total[receivers]).astype(np.float32),
            tuple(feature_names),
        )

    @property
    def size(self) -> int:
        """Number of edges."""
        return len(self.senders)

    def feature(self, name: str) -> np.ndarray:
        """Return one feature [E] of every edge.

        Raises:
            ValueError: the edges have no such feature.
        """
        if name not in self.feature_names:
            raise ValueError(
                f"The edges have no feature {name!r}, only {', '.join(self.feature_names)}."
            )
        return self.features[:, self.feature_names.index(name)]


@dataclass(frozen=True)
class GraphSpec:
    """How to build a graph.

    Attributes:
        mesh_level: finest level of the icosahedral mesh; 6 has nodes about 110 km apart.
        coarsest_level: coarsest level whose edges are kept.
        margin_km: mesh nodes farther than this from every target point are left out.
        encode_radius_km: source points within this distance of a mesh node feed it.
        decode_neighbours: mesh nodes that feed each target point.
        encoder: edges from source to mesh. "kernel" weighs source points by area and distance and
            sums to 1; "graphcast", for comparison, sums over neighbours and measures lengths in
            the longest edge, as in GraphCast (Lam et al. 2023, Science 382), which ties weights to
            the training grid.
        processor: edges along the mesh. "multimesh" has those of all levels.
        decoder: edges from mesh to target. "nearest" links the nearest mesh nodes.
        mesh: nodes between source and target. "icosahedral" refines the icosahedron.

    The last four name builders, of which users may add their own (see `meshes.edge_builder` and
    `meshes.mesh_builder`).
    """

    mesh_level: int = 6
    coarsest_level: int = 3
    margin_km: float = 400.0
    encode_radius_km: float = 350.0
    decode_neighbours: int = 4
    encoder: str = "kernel"
    processor: str = "multimesh"
    decoder: str = "nearest"
    mesh: str = "icosahedral"

    def __post_init__(self) -> None:
        """Refuse unknown builders, levels outside the range, and lengths that are not positive."""
        check_levels(self.mesh_level, self.coarsest_level)
        if not 0 <= self.margin_km < np.inf:
            raise ValueError(f"margin_km must be finite and not negative, got {self.margin_km}.")
        if not self.encode_radius_km > 0:
            raise ValueError(f"encode_radius_km must be positive, got {self.encode_radius_km}.")
        if self.decode_neighbours < 1:
            raise ValueError(f"decode_neighbours must be at least 1, got {self.decode_neighbours}.")
        MESH_BUILDERS[self.mesh]
        for kind in EDGE_KINDS:
            self.edge_builder(kind)

    @property
    def lengths(self) -> dict[str, float]:
        """Lengths in km by name, as floats even if the fields hold integers."""
        return {name: float(getattr(self, name)) for name in ("margin_km", "encode_radius_km")}

    def edge_builder(self, kind: EdgeKind) -> EdgeBuilder:
        """Return the builder of one kind of edges.

        Raises:
            ValueError: no builder of that name is registered.
        """
        registry = EDGE_BUILDERS[kind]
        return registry[getattr(self, registry.setting)]

    @property
    def feature_counts(self) -> tuple[int, int, int]:
        """Numbers of features of the encode, process and decode edges."""
        encode, process, decode = (len(self.edge_builder(kind).features) for kind in EDGE_KINDS)
        return encode, process, decode


@dataclass(frozen=True, eq=False)
class GraphNodes:
    """Source, mesh and target, which edges are built between.

    Attributes:
        source, target: the two grids.
        mesh: the mesh between them.
        spec: how the graph is built.
    """

    source: Grid
    target: Grid
    mesh: Mesh
    spec: GraphSpec

    @cached_property
    def neighbourhood(self) -> Neighbourhood:
        """The used source points around the mesh, which encode edges leave."""
        return Neighbourhood(self.source, self.mesh.xyz, self.spec.encode_radius_km)

    def ends(self, kind: EdgeKind) -> tuple[np.ndarray, np.ndarray]:
        """Return the unit vectors of all senders and of all receivers of one kind of edges."""
        source, mesh, target = self.source.xyz, self.mesh.xyz, self.target.xyz
        return {"encode": (source, mesh), "process": (mesh, mesh), "decode": (mesh, target)}[kind]

    def build_edges(self, kind: EdgeKind) -> EdgeSet:
        """Return one kind of edges, built as the specification says.

        Raises:
            ValueError: they cannot be built, or have other features than registered.
        """
        builder = self.spec.edge_builder(kind)
        edges: EdgeSet = builder.build(self)
        columns = edges.features.shape[1]
        if tuple(edges.feature_names) != builder.features or columns != len(builder.features):
            setting = EDGE_BUILDERS[kind].setting
            raise ValueError(
                f"The {setting} {getattr(self.spec, setting)!r} is registered with the features "
                f"{', '.join(builder.features)}, but its edges have "
                f"{', '.join(edges.feature_names)} in {columns} columns; make them agree."
            )
        return edges


@dataclass(frozen=True, eq=False)
class GraphData(GraphNodes):
    """Source, mesh and target with the edges between them.

    Storage, validation and exchange formats take this class; `meshes.DownscalingGraph`, which
    users get, adds them as methods and documents the attributes.
    """

    encode: EdgeSet
    process: EdgeSet
    decode: EdgeSet
    to_target: SparseWeights
    to_mesh: SparseWeights

    @property
    def source_spacing_km(self) -> float:
        """Median spacing of the source points that feed the mesh, coincident ones as one."""
        used = np.unique(self.encode.senders)
        _, first = np.unique(merge_coincident(self.source.xyz[used])[1], return_index=True)
        return float(np.median(spacing_km(self.source, used)[first]))

    def edges(self, kind: EdgeKind) -> EdgeSet:
        """Return one kind of edges."""
        return {"encode": self.encode, "process": self.process, "decode": self.decode}[kind]

    def edge_lengths_km(self, kind: EdgeKind) -> np.ndarray:
        """Return the great-circle lengths [E] of one kind of edges in km."""
        (senders, receivers), edges = self.ends(kind), self.edges(kind)
        return distance_km(senders[edges.senders], receivers[edges.receivers])

    def used_sources(self) -> np.ndarray:
        """Return the source points with an edge or a weight, ascending [K]."""
        return reduce(np.union1d, (self.encode.senders, self.to_target.cols, self.to_mesh.cols))

    def of_sources(self, kept: np.ndarray) -> Self:
        """Return the graph from some of the source points.

        Args:
            kept: their indices, ascending, which include `used_sources`.
        """
        senders = np.searchsorted(kept, self.encode.senders).astype(np.int32)
        return replace(
            self,
            source=self.source.select(kept),
            encode=replace(self.encode, senders=senders),
            to_target=self.to_target.of_columns(kept),
            to_mesh=self.to_mesh.of_columns(kept),
        )
