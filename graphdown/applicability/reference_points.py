"""Points over a target at which fields of all grids are compared, as means of one width."""

from contextlib import suppress
from dataclasses import dataclass

import numpy as np
from scipy.sparse import csr_array
from scipy.spatial import cKDTree

from meshes import EARTH_RADIUS_KM, Grid, build_mesh
from meshes.geometry.icosahedron import MAX_LEVEL, nominal_spacing_km
from meshes.geometry.neighbours import nearest_points
from meshes.geometry.sphere import angle_to_chord, chord_to_angle

FEWEST, USUAL, MOST = 20, 50, 100
WIDER = 2.0  # radius of the wider means


@dataclass(frozen=True, eq=False)
class ReferencePoints:
    """Points spread evenly over a target.

    Attributes:
        xyz: unit vectors [P, 3].
        radius_km: of the means, that of the emulator's encoder: wide against the cells of a source,
            so that the means depend on its fields and hardly on its grid.
    """

    xyz: np.ndarray
    radius_km: float

    @classmethod
    def over(cls, target: Grid, radius_km: float) -> "ReferencePoints":
        """Nodes of an icosahedral mesh in a target; some of its own points if it is too narrow."""
        size_km = np.sqrt(target.area[target.mask].sum()) * EARTH_RADIUS_KM
        wanted = size_km / np.sqrt(USUAL)
        levels = range(MAX_LEVEL)
        level = next((n for n in levels if nominal_spacing_km(n) <= wanted), MAX_LEVEL)
        xyz = target.xyz[target.mask]
        with suppress(ValueError):
            nodes = build_mesh(target, level, level, 0.0).xyz
            xyz = nodes if len(nodes) >= FEWEST else xyz
        chosen = np.unique(np.linspace(0, len(xyz) - 1, MOST).astype(int))
        return cls(xyz[chosen].astype(np.float64), float(radius_km))

    @property
    def spacing_km(self) -> float:
        """Largest distance of a point from the nearest other one."""
        chord, _ = nearest_points(self.xyz, self.xyz, 2)
        return float(chord_to_angle(chord[:, 1]).max() * EARTH_RADIUS_KM)

    def means(self, xyz: np.ndarray, area: np.ndarray, wider: float = 1.0) -> csr_array:
        """Matrix [P, N] of area means around the points, weighted by (1 - (d / radius)^2)^2.

        Args:
            xyz: unit vectors [N, 3] of a source's nodes.
            area: of its cells [N], 0 for those that do not count.
            wider: factor of the radius. A point without nodes within takes the nearest one.
        """
        tree = cKDTree(xyz[area > 0])
        used = np.flatnonzero(area > 0)
        angle = wider * self.radius_km / EARTH_RADIUS_KM
        reach = float(angle_to_chord(min(angle, np.pi)))
        rows, columns, weights = [], [], []
        for row, near in enumerate(tree.query_ball_point(self.xyz, reach)):
            near = near or [int(tree.query(self.xyz[row])[1])]
            nodes = used[near]
            chord = np.linalg.norm(xyz[nodes] - self.xyz[row], axis=1)
            weight = area[nodes] * np.maximum(1.0 - (chord / reach) ** 2, 1e-6) ** 2
            rows.append(np.full(len(nodes), row))
            columns.append(nodes)
            weights.append(weight / weight.sum())
        places = (np.concatenate(rows), np.concatenate(columns))
        shape = (len(self.xyz), len(xyz))
        return csr_array((np.concatenate(weights).astype(np.float32), places), shape=shape)
