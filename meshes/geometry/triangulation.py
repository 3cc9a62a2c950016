"""Spherical Delaunay triangulation of points: covered region, location, polygons, cells.

The triangulation is the convex hull of the unit vectors (Brown 1979), so the normal of a facet is
the centre of its empty circle. Coincident points are merged first and the merged points sorted,
so nothing depends on the order of the points or on how often a point is repeated.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components
from scipy.spatial import ConvexHull, cKDTree

from meshes.geometry.neighbours import nearest_points
from meshes.geometry.sphere import angle_to_chord, chord_to_angle, normalise, polygon_area

COINCIDENT_RADIANS = 1e-7
BRIDGE_FACTOR = 3.0
MERGE_FRACTION = 0.1
MAX_STEPS = 5000


def merge_coincident(xyz: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Merge points closer than 1e-7 radian (0.6 m).

    Returns the distinct positions [U, 3] in an order that depends on the positions only, and the
    index [N] of each point's position.
    """
    pairs = cKDTree(xyz).query_pairs(COINCIDENT_RADIANS, output_type="ndarray")
    n = len(xyz)
    lowest = np.lexsort(xyz.T)
    rank = np.empty(n, dtype=np.intp)
    rank[lowest] = np.arange(n)
    if not len(pairs):
        return xyz[lowest], rank
    graph = coo_array((np.ones(len(pairs)), (pairs[:, 0], pairs[:, 1])), shape=(n, n))
    count, label = connected_components(graph, directed=False)
    representative = np.full(count, n)
    np.minimum.at(representative, label, rank)
    order = np.argsort(representative)
    position = np.empty(count, dtype=np.intp)
    position[order] = np.arange(count)
    return xyz[lowest[representative[order]]], position[label]


def _filler_points(xyz: np.ndarray) -> np.ndarray:
    """Return points far from all of xyz that close the hull of a region around the globe."""
    golden = (1.0 + 5.0**0.5) / 2.0
    signs = [(a, b) for a in (-1.0, 1.0) for b in (-golden, golden)]
    vertices = normalise(
        np.array(
            [(0.0, a, b) for a, b in signs]
            + [(a, b, 0.0) for a, b in signs]
            + [(b, 0.0, a) for a, b in signs]
        )
    )
    nearest = nearest_points(xyz, vertices)[0][:, 0]
    spacing = nearest_points(xyz, xyz, k=2)[0].max() if len(xyz) > 1 else 0.0
    clearance = float(angle_to_chord(2.0 * BRIDGE_FACTOR * chord_to_angle(spacing)))
    return vertices[nearest > min(max(clearance, 0.2), 1.5)]


@dataclass(frozen=True, eq=False)
class Triangulation:
    """Delaunay triangles of distinct unit vectors, and which of them belong to the region.

    Attributes:
        points: distinct unit vectors [U, 3], followed by filler points outside the region.
        size: U.
        triangles: vertex indices [T, 3], counter-clockwise seen from outside.
        neighbours: triangle across the edge opposite to each vertex [T, 3].
        normals: unit normals [T, 3], the centres of the empty circles.
        inside: bool [T], False where a triangle bridges a hole or leaves the region.
    """

    points: np.ndarray
    size: int
    triangles: np.ndarray
    neighbours: np.ndarray
    normals: np.ndarray
    inside: np.ndarray

    @classmethod
    def of(cls, points: np.ndarray) -> "Triangulation":
        """Triangulate distinct unit vectors [U, 3]."""
        size = len(points)
        points = np.concatenate([points, _filler_points(points)])
        hull = ConvexHull(points)
        triangles, neighbours = hull.simplices.copy(), hull.neighbors.copy()
        normals = hull.equations[:, :3]
        a, b, c = (points[triangles[:, i]] for i in range(3))
        flipped = np.sum(np.cross(b - a, c - a) * normals, axis=1) < 0
        triangles[flipped, 1:] = triangles[flipped, :0:-1]
        neighbours[flipped, 1:] = neighbours[flipped, :0:-1]
        inside = _inside(points, size, triangles, normals)
        return cls(points, size, triangles, neighbours, normals, inside)

    def locate(self, targets: np.ndarray, start: np.ndarray) -> np.ndarray:
        """Return the triangle [N] around each unit vector, walking from the vertices `start`.

        If rounding errors keep a walk among needle-like triangles, a full search replaces it.
        """
        found = self._incident[start]
        active = np.arange(len(targets))
        for _ in range(MAX_STEPS):
            corners = self.points[self.triangles[found[active]]]
            side = _edge_sides(corners, targets[active])
            worst = np.argmin(side, axis=1)
            moving = np.take_along_axis(side, worst[:, None], 1)[:, 0] < -1e-15
            active = active[moving]
            if not active.size:
                return found
            found[active] = self.neighbours[found[active], worst[moving]]
        for one in active:
            found[one] = self._pierced(targets[one])
        return found

    @cached_property
    def _incident(self) -> np.ndarray:
        """A triangle at each point."""
        incident = np.zeros(len(self.points), dtype=np.intp)
        incident[self.triangles.ravel()] = np.repeat(np.arange(len(self.triangles)), 3)
        return incident

    def _pierced(self, target: np.ndarray) -> int:
        """Return the triangle that the ray to a unit vector leaves the hull through."""
        height = np.sum(self.normals * self.points[self.triangles[:, 0]], axis=1)
        return int(np.argmax((self.normals @ target) / height))

    @cached_property
    def polygon_of_triangle(self) -> np.ndarray:
        """Label [T] of the polygon of each triangle: triangles with one circumcircle are one.

        Two triangles belong together where the centres of their circles lie closer than a tenth
        of the shorter of their edges; so the two halves of a grid cell make one quadrilateral,
        whichever diagonal was drawn.
        """
        first = np.repeat(np.arange(len(self.triangles)), 3)
        second = self.neighbours.ravel()
        apart = np.linalg.norm(self.normals[first] - self.normals[second], axis=1)
        corners = self.points[self.triangles]
        edges = np.linalg.norm(corners - np.roll(corners, 1, axis=1), axis=2)
        shortest = edges.min(axis=1)
        limit = MERGE_FRACTION * np.minimum(shortest[first], shortest[second])
        same = (self.inside[first] & self.inside[second]) & ((apart <= limit) | (apart <= 1e-13))
        n = len(self.triangles)
        graph = coo_array((np.ones(same.sum()), (first[same], second[same])), shape=(n, n))
        label = connected_components(graph, directed=False)[1]
        return self._split_bad_polygons(label)

    @cached_property
    def polygons(self) -> list[tuple[np.ndarray, np.ndarray]]:
        """The polygons with their vertices, see `polygons_by_size`."""
        return polygons_by_size(self.polygon_of_triangle, self.triangles)

    def _split_bad_polygons(self, label: np.ndarray) -> np.ndarray:
        """Give each triangle of a polygon that is not a convex disc its own label."""
        n_triangles = np.bincount(label)
        split = np.zeros(len(n_triangles), dtype=bool)
        for members, vertices in polygons_by_size(label, self.triangles):
            several = n_triangles[members] > 1
            members, vertices = members[several], vertices[several]
            disc = n_triangles[members] == vertices.shape[1] - 2
            split[members] = ~(disc & _convex(self.points[vertices]))
        loose = split[label]
        if not loose.any():
            return label
        label = label.copy()
        label[loose] = len(n_triangles) + np.arange(loose.sum())
        return np.unique(label, return_inverse=True)[1]

    def voronoi_corners(self) -> np.ndarray:
        """Return the Voronoi cell of each point as unit vectors [U, V, 3], counter-clockwise.

        Short cells repeat their last vertex. At the rim of the region, where a Voronoi cell would
        reach far out, its vertices are moved in to the size of the neighbouring cells.
        """
        owner = self.triangles.ravel()
        triangle = np.repeat(np.arange(len(self.triangles)), 3)
        real = owner < self.size
        owner, triangle = owner[real], triangle[real]
        centre, corner = self.points[owner], self.normals[triangle]
        corner = _drawn_in(centre, corner, self._reach()[owner], self.inside[triangle])
        offset = corner - centre
        reference = _any_tangent(centre)
        angle = np.arctan2(
            np.sum(offset * np.cross(centre, reference), axis=1), np.sum(offset * reference, axis=1)
        )
        order = np.lexsort((angle, owner))
        owner, corner = owner[order], corner[order]
        count = np.bincount(owner, minlength=self.size)
        begin = np.concatenate([[0], np.cumsum(count)[:-1]])
        slots = np.minimum(np.arange(count.max()), count[:, None] - 1)
        return corner[begin[:, None] + slots]

    def _reach(self) -> np.ndarray:
        """Return the radius [U] (radian) of the smallest circle around a triangle at each point."""
        radius = _circumradius(self.points, self.triangles, self.normals)
        usable = np.where(self.inside, radius, np.inf)
        reach = _least_by_vertex(usable, self.triangles, len(self.points))
        finite = np.isfinite(reach[: self.size])
        fallback = np.median(reach[: self.size][finite]) if finite.any() else 0.01
        return np.where(np.isfinite(reach), reach, fallback)


def _circumradius(points: np.ndarray, triangles: np.ndarray, normals: np.ndarray) -> np.ndarray:
    return chord_to_angle(np.linalg.norm(points[triangles[:, 0]] - normals, axis=1))


def _least_by_vertex(values: np.ndarray, triangles: np.ndarray, n: int) -> np.ndarray:
    least = np.full(n, np.inf)
    np.minimum.at(least, triangles.ravel(), np.repeat(values, 3))
    return least


def _inside(
    points: np.ndarray, size: int, triangles: np.ndarray, normals: np.ndarray
) -> np.ndarray:
    real = np.all(triangles < size, axis=1)
    radius = _circumradius(points, triangles, normals)
    usual = _least_by_vertex(np.where(real, radius, np.inf), triangles, len(points))
    return real & (radius <= BRIDGE_FACTOR * np.median(usual[triangles], axis=1))


def _edge_sides(corners: np.ndarray, targets: np.ndarray) -> np.ndarray:
    """Return [N, 3]: negative where a target lies beyond the edge opposite to that vertex."""
    relative = corners - targets[:, None, :]
    after, before = np.roll(relative, -1, axis=1), np.roll(relative, -2, axis=1)
    return np.sum(targets[:, None, :] * np.cross(after, before), axis=2)


def _any_tangent(xyz: np.ndarray) -> np.ndarray:
    axis = np.eye(3)[np.argmin(np.abs(xyz), axis=1)]
    return normalise(axis - xyz * np.sum(axis * xyz, axis=1, keepdims=True))


def _drawn_in(
    centre: np.ndarray, corner: np.ndarray, reach: np.ndarray, keep: np.ndarray
) -> np.ndarray:
    tangent = corner - centre * np.sum(corner * centre, axis=1, keepdims=True)
    length = np.linalg.norm(tangent, axis=1, keepdims=True)
    tangent = np.divide(tangent, length, out=np.zeros_like(tangent), where=length > 1e-12)
    near = centre * np.cos(reach)[:, None] + tangent * np.sin(reach)[:, None]
    far = chord_to_angle(np.linalg.norm(corner - centre, axis=1)) > reach
    return np.where((keep | ~far)[:, None], corner, near)


def _polygon_vertices(label: np.ndarray, triangles: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the distinct (polygon, vertex) pairs as two arrays, sorted by polygon."""
    n = triangles.max() + 1
    key = np.unique(np.repeat(label, 3).astype(np.int64) * n + triangles.ravel())
    return key // n, key % n


def polygons_by_size(
    label: np.ndarray, triangles: np.ndarray
) -> list[tuple[np.ndarray, np.ndarray]]:
    """Return (polygon labels [P], vertices [P, V] of each) for every number V of vertices.

    The vertices are not ordered around the polygon.
    """
    polygon, vertex = _polygon_vertices(label, triangles)
    count = np.bincount(polygon)
    begin = np.concatenate([[0], np.cumsum(count)[:-1]])
    groups = []
    for size in np.unique(count):
        members = np.flatnonzero(count == size)
        groups.append((members, vertex[begin[members][:, None] + np.arange(size)]))
    return groups


def gnomonic(vertices: np.ndarray, others: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Project polygons [P, V, 3] and a point each [P, 3] on the plane tangent at their centres.

    Returns the plane coordinates [P, V, 2] and [P, 2] in units of the polygon's size, and the
    order [P, V] that makes the vertices run counter-clockwise.
    """
    centre = normalise(vertices.sum(axis=1))
    e1 = _any_tangent(centre)
    frame = np.stack([e1, np.cross(centre, e1)], axis=1)

    def project(points: np.ndarray) -> np.ndarray:
        depth = np.sum(points * centre[:, None, :], axis=2, keepdims=True)
        # Subtracting the centre first keeps the small differences accurate.
        return np.einsum("pvk,pik->pvi", points - centre[:, None, :], frame) / depth

    plane, point = project(vertices), project(others[:, None, :])
    scale = np.abs(plane).max(axis=(1, 2), keepdims=True)
    order = np.argsort(np.arctan2(plane[..., 1], plane[..., 0]), axis=1)
    plane = np.take_along_axis(plane, order[..., None], axis=1)
    return plane / scale, (point / scale)[:, 0], order


def _convex(vertices: np.ndarray) -> np.ndarray:
    """Return which polygons [P, V, 3] are convex seen from their centres."""
    plane, _, _ = gnomonic(vertices, vertices[:, 0])
    before, after = np.roll(plane, 1, axis=1), np.roll(plane, -1, axis=1)
    return np.all(cross2(plane - before, after - plane) > 0.0, axis=1)


def cross2(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Return the cross product [...] of plane vectors [..., 2]."""
    return a[..., 0] * b[..., 1] - a[..., 1] * b[..., 0]


def voronoi_cells(xyz: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the Voronoi corners [N, V, 3] and the areas [N] (steradian) of any points [N, 3].

    Coincident points share one cell, each with its part of the area.
    """
    points, index = merge_coincident(xyz)
    corners = Triangulation.of(points).voronoi_corners()
    share = np.bincount(index)[index]
    return corners[index], polygon_area(corners)[index] / share
