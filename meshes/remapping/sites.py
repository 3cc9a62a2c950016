"""Sites: the distinct positions of a grid's used points, triangulated once."""

from functools import cached_property

import numpy as np
from scipy.spatial import QhullError, cKDTree

from meshes.geometry.neighbours import nearest_points
from meshes.geometry.row_blocks import blocks
from meshes.geometry.triangulation import Triangulation, merge_coincident
from meshes.grids.grid import Grid
from meshes.remapping.weights import SparseWeights


class Sites:
    """Distinct positions of a grid's used points, and the shares of the points at each."""

    def __init__(self, points: np.ndarray, used: np.ndarray, site: np.ndarray, area: np.ndarray):
        self.points = points
        self._n_source = len(area)
        total = np.bincount(site, area[used])
        order = np.argsort(site, kind="stable")
        self._member = used[order]
        self._share = (area[used] / total[site])[order]
        self._count = np.bincount(site)
        self._begin = np.concatenate([[0], np.cumsum(self._count)[:-1]])

    @classmethod
    def of(cls, grid: Grid, among: np.ndarray | None = None) -> "Sites":
        """Return the sites of a grid's used points, or of those `among` them (indices)."""
        used = np.flatnonzero(grid.mask) if among is None else among
        if not used.size:
            raise ValueError("The source grid has no used point: its mask is False everywhere.")
        points, site = merge_coincident(grid.xyz[used])
        return cls(points, used, site, grid.area)

    def shares(self) -> np.ndarray:
        """Return each point's part [N of the grid] of the area at its position, 0 if not used."""
        shares = np.zeros(self._n_source)
        shares[self._member] = self._share
        return shares

    @cached_property
    def triangulation(self) -> Triangulation | None:
        """Triangles of the positions; None if they span no area."""
        try:
            return Triangulation.of(self.points)
        except QhullError:
            return None

    @cached_property
    def _tree(self) -> cKDTree:
        return cKDTree(self.points)

    def locate(self, xyz: np.ndarray) -> np.ndarray | None:
        """Return the triangle [N] around each unit vector [N, 3], None without triangles."""
        if self.triangulation is None:
            return None
        found = np.empty(len(xyz), dtype=np.intp)
        for block in blocks(len(xyz)):
            # The walk may start at a rough neighbour, which is much faster to find far away.
            start = nearest_points(self._tree, xyz[block], eps=1.0)[1][:, 0]
            found[block] = self.triangulation.locate(xyz[block], start)
        return found

    def covers_any(self, triangle: np.ndarray | None, among: np.ndarray) -> bool:
        """Whether any of the points `among` (indices) lies in the region, by its triangle."""
        mesh = self.triangulation
        if mesh is None or triangle is None:
            return False
        return bool(mesh.inside[triangle[among]].any())

    def nearest(self, xyz: np.ndarray) -> np.ndarray:
        """Return the index [N] of the nearest position; ties go to the lowest index."""
        k = min(4, len(self.points))
        distance, index = nearest_points(self._tree, xyz, k)
        tied = distance <= distance[:, :1] + 1e-12
        return np.where(tied, index, len(self.points)).min(axis=1)

    def spread(
        self, rows: np.ndarray, cols: np.ndarray, values: np.ndarray, n_target: int
    ) -> SparseWeights:
        """Return weights on the grid's points from weights on the distinct positions."""
        count = self._count[cols]
        entry = np.repeat(np.arange(len(cols)), count)
        within = np.arange(len(entry)) - np.repeat(np.cumsum(count) - count, count)
        member = self._begin[cols[entry]] + within
        return SparseWeights.collect(
            rows[entry],
            self._member[member],
            values[entry] * self._share[member],
            (n_target, self._n_source),
        )
