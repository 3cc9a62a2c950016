"""The data of a graph: its specification, its edges, and all of it together."""

from dataclasses import dataclass, replace
from functools import reduce
from typing import Literal, Self

import numpy as np

from meshes.geometry.icosahedron import Mesh, check_levels
from meshes.geometry.sphere import EARTH_RADIUS_KM
from meshes.geometry.triangulation import merge_coincident
from meshes.grids.grid import Grid
from meshes.remapping.weights import SparseWeights

ENCODERS = ("kernel", "graphcast")
DECODE_REACH = 2.0


@dataclass(frozen=True)
class GraphSpec:
    """How to build a graph.

    Attributes:
        mesh_level: finest level of the icosahedral mesh; 6 has nodes about 110 km apart.
        coarsest_level: coarsest level whose edges are kept.
        margin_km: mesh nodes farther than this from every target point are left out.
        encode_radius_km: source points within this distance of a mesh node feed it.
        decode_neighbours: mesh nodes that feed each target point.
        encoder: "kernel" weighs source points by area and distance and sums to 1; "graphcast",
            for comparison, sums over neighbours and measures lengths in the longest edge, as in
            GraphCast (Lam et al. 2023, Science 382), which ties weights to the training grid.
    """

    mesh_level: int = 6
    coarsest_level: int = 3
    margin_km: float = 400.0
    encode_radius_km: float = 350.0
    decode_neighbours: int = 4
    encoder: Literal["kernel", "graphcast"] = "kernel"

    def __post_init__(self) -> None:
        """Refuse levels that there are none of and lengths that are not positive."""
        check_levels(self.mesh_level, self.coarsest_level)
        if not 0 <= self.margin_km < np.inf:
            raise ValueError(f"margin_km must be finite and not negative, got {self.margin_km}.")
        if not self.encode_radius_km > 0:
            raise ValueError(f"encode_radius_km must be positive, got {self.encode_radius_km}.")
        if self.decode_neighbours < 1:
            raise ValueError(f"decode_neighbours must be at least 1, got {self.decode_neighbours}.")
        if self.encoder not in ENCODERS:
            raise ValueError(f"encoder must be one of {', '.join(ENCODERS)}, got {self.encoder!r}.")

    @property
    def lengths(self) -> dict[str, float]:
        """The lengths in km by name, as floats also where whole numbers were given."""
        return {name: float(getattr(self, name)) for name in ("margin_km", "encode_radius_km")}


@dataclass(frozen=True, eq=False)
class EdgeSet:
    """Edges from senders to receivers, sorted by receiver, then sender.

    Attributes:
        senders, receivers: node indices, int32 [E].
        features: float32 [E, F], named by feature_names.
        weights: float32 [E], summing to 1 per receiver (all 1 for GraphCast's encoder).
        feature_names: east, north and up of the sender seen from the receiver and the distance,
            in units of a fixed length; then what the edge set adds.
    """

    senders: np.ndarray
    receivers: np.ndarray
    features: np.ndarray
    weights: np.ndarray
    feature_names: tuple[str, ...]

    @property
    def size(self) -> int:
        """Number of edges."""
        return len(self.senders)


@dataclass(frozen=True, eq=False)
class GraphData:
    """Source grid, mesh and target grid with the edges between them.

    Storage, validation and exchange formats take this class; `meshes.DownscalingGraph`, which
    users get, adds them as methods and documents the attributes.
    """

    source: Grid
    target: Grid
    mesh: Mesh
    spec: GraphSpec
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

    def used_sources(self) -> np.ndarray:
        """Return the source points that an edge or a weight leaves, ascending [K]."""
        return reduce(np.union1d, (self.encode.senders, self.to_target.cols, self.to_mesh.cols))

    def of_sources(self, kept: np.ndarray) -> Self:
        """Return the graph from some of the source points.

        Args:
            kept: their indices, ascending; those of `used_sources` at least.
        """
        senders = np.searchsorted(kept, self.encode.senders).astype(np.int32)
        return replace(
            self,
            source=self.source.select(kept),
            encode=replace(self.encode, senders=senders),
            to_target=self.to_target.of_columns(kept),
            to_mesh=self.to_mesh.of_columns(kept),
        )


def spacing_km(source: Grid, used: np.ndarray) -> np.ndarray:
    """Return the root of the area at each used point [n] in km, coincident points together."""
    _, site = merge_coincident(source.xyz[used])
    return np.sqrt(np.bincount(site, source.area[used])[site]) * EARTH_RADIUS_KM
