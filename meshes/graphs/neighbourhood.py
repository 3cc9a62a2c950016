"""The part of a large source grid around a region, with the same results as the whole grid."""

import numpy as np
from scipy.spatial import cKDTree

from meshes.geometry.sphere import EARTH_RADIUS_KM, angle_to_chord, chord_to_angle, in_cap
from meshes.grids.grid import Grid
from meshes.remapping.sites import Sites

# Fewer points are not worth a cut. Neighbours in a triangulation lie within a few cells.
WORTH_A_CUT = 5000
LARGEST_SHARE = 0.7
CELLS_AROUND = 4.0
# Points of one polygon lie on a circle to within a tenth of an edge.
CIRCLE_SLACK = 1.5


class Neighbourhood:
    """The used points of a source that are within `reach_km` of a mesh node.

    Attributes:
        reach_km: every used point closer than this to a node is among the points; infinite if
            all used points are.
        points: indices into the source.
    """

    def __init__(self, source: Grid, nodes: np.ndarray, radius_km: float):
        """Choose the points within radius_km or a few cells of nodes [M, 3], whichever is more."""
        self._source, self._nodes = source, cKDTree(nodes)
        used = np.count_nonzero(source.mask)
        reach_km = max(radius_km, CELLS_AROUND * source.spacing_km)
        if used > WORTH_A_CUT and reach_km < EARTH_RADIUS_KM:
            chord = float(angle_to_chord(reach_km / EARTH_RADIUS_KM))
            close = in_cap(source.xyz, nodes, reach_km / EARTH_RADIUS_KM)
            close = close[source.mask[close]]
            near = self._nodes.query(source.xyz[close], distance_upper_bound=chord)[0]
            kept = close[np.isfinite(near)]
            if 0 < kept.size < LARGEST_SHARE * used:
                self.points, self.reach_km = kept, reach_km
                return
        self.points, self.reach_km = np.flatnonzero(source.mask), np.inf

    def locate(self, xyz: np.ndarray) -> tuple[Sites, np.ndarray | None]:
        """Return sites of the source, and the triangles [N] around unit vectors [N, 3].

        The triangles are numbered as in `Sites.locate` of the sites returned.
        """
        sites = Sites.of(self._source, self.points)
        triangle = sites.locate(xyz)
        if np.isfinite(self.reach_km) and not self._unaffected(sites, triangle):
            sites = Sites.of(self._source)
            triangle = sites.locate(xyz)
        return sites, triangle

    def _unaffected(self, sites: Sites, triangle: np.ndarray | None) -> bool:
        """Whether the triangles are also triangles of the whole source.

        They are if no point lies in their circles; all points in a circle are known if it lies
        within the reach of a node. Whether a triangle belongs to the covered region depends on
        the triangles around its vertices.
        """
        mesh = sites.triangulation
        if mesh is None or triangle is None:
            return False
        located = np.zeros(len(mesh.triangles), dtype=bool)
        located[triangle] = True
        if not mesh.inside[located].all():
            return False
        radius = np.linalg.norm(mesh.points[mesh.triangles[:, 0]] - mesh.normals, axis=1)
        distance = chord_to_angle(self._nodes.query(mesh.normals)[0])
        outer = (distance + CIRCLE_SLACK * chord_to_angle(radius)) * EARTH_RADIUS_KM
        around = np.zeros(len(mesh.points))
        np.maximum.at(around, mesh.triangles.ravel(), np.repeat(outer, 3))
        return bool(around[mesh.triangles[located]].max() <= self.reach_km)
