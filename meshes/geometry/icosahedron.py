"""The icosahedron refined: nested levels of nodes, edges and faces, and geodesic points."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from meshes.geometry.sphere import EARTH_RADIUS_KM, normalise, xyz_to_lonlat

MAX_LEVEL = 10


@dataclass(frozen=True, eq=False)
class Mesh:
    """Nodes of an icosahedral mesh and the faces of each of its levels.

    Attributes:
        xyz: unit vectors [M, 3]; the nodes of a level come before those that the next one adds.
        level_of_node: level that added each node, int [M].
        faces: per level from coarsest to finest, the node indices [F, 3] of its triangles,
            counter-clockwise, those with all three nodes in the mesh.
        edges: per level from coarsest to finest, the node indices [E, 2] of its edges, each once
            with the lower index first.
        coarsest, finest: first and last level.
    """

    xyz: np.ndarray
    level_of_node: np.ndarray
    faces: tuple[np.ndarray, ...]
    edges: tuple[np.ndarray, ...]
    coarsest: int
    finest: int

    @property
    def size(self) -> int:
        """Number of nodes M."""
        return len(self.xyz)

    @cached_property
    def lon(self) -> np.ndarray:
        """Longitudes [M] in degrees, in [-180, 180)."""
        return xyz_to_lonlat(self.xyz)[0]

    @cached_property
    def lat(self) -> np.ndarray:
        """Latitudes [M] in degrees."""
        return xyz_to_lonlat(self.xyz)[1]

    @property
    def spacing_km(self) -> float:
        """Nominal edge length of the finest level in km."""
        return nominal_spacing_km(self.finest)


def nominal_spacing_km(level: int) -> float:
    """Return the edge of the icosahedron, arctan 2, halved level times, in km.

    The real edges of a level lie within about 20 % of it.
    """
    return float(EARTH_RADIUS_KM * np.arctan(2.0) / 2**level)


def icosphere(level: int, coarsest_level: int = 0) -> Mesh:
    """Return the global mesh of levels coarsest_level to level: 10 * 4**level + 2 nodes.

    Each level halves the edges of the one before and lifts the midpoints to the sphere. A vertex
    lies on each pole, so the mesh is symmetric about the Earth's axis.

    Raises:
        ValueError: the levels are not 0 <= coarsest_level <= level <= 10.
    """
    return refined(level, coarsest_level, lambda centres, step: np.ones(len(centres), dtype=bool))


def refined(
    level: int, coarsest_level: int, selection: Callable[[np.ndarray, int], np.ndarray]
) -> Mesh:
    """Return the part of `icosphere` that a selection of faces leaves, refined level by level.

    Nodes keep the order that they have in the global mesh.

    Args:
        level, coarsest_level: finest and coarsest level.
        selection: bool [F], the faces to keep, of their centres [F, 3] and their level.

    Raises:
        ValueError: the levels are not 0 <= coarsest_level <= level <= 10.
    """
    check_levels(level, coarsest_level)
    xyz, faces = _icosahedron()
    faces = faces[selection(normalise(xyz[faces].sum(axis=1)), 0)]
    ends, side = _edges(faces, len(xyz))
    levels, per_level, edges = [np.zeros(len(xyz), dtype=np.int32)], [faces], [ends]
    for step in range(1, level + 1):
        n = len(xyz)
        xyz, faces = _refine(xyz, faces, ends, side)
        faces = faces[selection(normalise(xyz[faces].sum(axis=1)), step)]
        ends, side = _edges(faces, len(xyz))
        levels.append(np.full(len(xyz) - n, step, dtype=np.int32))
        per_level.append(faces)
        edges.append(ends)
    kept = slice(coarsest_level, None)
    level_of_node = np.concatenate(levels)
    return Mesh(
        xyz, level_of_node, tuple(per_level[kept]), tuple(edges[kept]), coarsest_level, level
    )


def geodesic(parts: int) -> np.ndarray:
    """Return the 10 * parts**2 + 2 unit vectors of the icosahedron with edges cut into parts.

    Each face carries a triangular lattice, lifted to the sphere (the class I geodesic grid).
    """
    corners, faces = _icosahedron()
    a, b = np.meshgrid(np.arange(parts + 1), np.arange(parts + 1), indexing="ij")
    inside = a + b <= parts
    share = np.stack([a[inside], b[inside], parts - a[inside] - b[inside]], axis=1) / parts
    lattice = normalise(np.einsum("pk,fkc->fpc", share, corners[faces]).reshape(-1, 3))
    # Points on edges and corners come from several faces; 1e-9 is far below any spacing.
    _, first = np.unique(np.round(lattice, 9) + 0.0, axis=0, return_index=True)
    return lattice[np.sort(first)]


def check_levels(level: int, coarsest_level: int) -> None:
    """Refuse levels outside the range of meshes.

    Raises:
        ValueError: they are not between 0 and MAX_LEVEL, or in the wrong order.
    """
    if not 0 <= coarsest_level <= level <= MAX_LEVEL:
        raise ValueError(
            f"Mesh levels must satisfy 0 <= coarsest_level <= mesh_level <= {MAX_LEVEL}, "
            f"got {coarsest_level} and {level}."
        )


def _icosahedron() -> tuple[np.ndarray, np.ndarray]:
    """Return the 12 vertices with one on each pole, and the 20 faces."""
    turn = np.radians(72.0 * np.arange(5))
    z, r = 1 / np.sqrt(5.0), 2 / np.sqrt(5.0)
    upper = np.stack([r * np.cos(turn), r * np.sin(turn), np.full(5, z)], axis=1)
    half = turn + np.radians(36.0)
    lower = np.stack([r * np.cos(half), r * np.sin(half), np.full(5, -z)], axis=1)
    xyz = np.concatenate([[(0.0, 0.0, 1.0)], upper, lower, [(0.0, 0.0, -1.0)]])
    i = np.arange(5)
    up, next_up, low, next_low = 1 + i, 1 + (i + 1) % 5, 6 + i, 6 + (i + 1) % 5
    north, south = np.zeros(5, dtype=int), np.full(5, 11)
    blocks = [
        (north, up, next_up),
        (up, low, next_up),
        (low, next_low, next_up),
        (low, south, next_low),
    ]
    return xyz, np.concatenate([np.stack(block, axis=1) for block in blocks])


def _refine(
    xyz: np.ndarray, faces: np.ndarray, ends: np.ndarray, side: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Return the vertices with the edge midpoints added, and the four times as many faces.

    Args:
        xyz, faces: those of the level before.
        ends, side: its edges, as `_edges` gives them.
    """
    middle = len(xyz) + side
    v0, v1, v2 = faces.T
    m0, m1, m2 = middle.T
    children = np.stack([v0, m0, m2, v1, m1, m0, v2, m2, m1, m0, m1, m2], axis=1)
    added = normalise(xyz[ends[:, 0]] + xyz[ends[:, 1]])
    return np.concatenate([xyz, added]), children.reshape(-1, 3)


def _edges(faces: np.ndarray, n: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the edges [E, 2] of faces [F, 3], and which of them follows each vertex [F, 3].

    The edges are sorted, their lower vertex first; n is the number of vertices.
    """
    following = np.roll(faces, -1, axis=1)
    key = np.minimum(faces, following) * n + np.maximum(faces, following)
    unique, side = np.unique(key, return_inverse=True)
    return np.stack([unique // n, unique % n], axis=1), side.reshape(-1, 3)
