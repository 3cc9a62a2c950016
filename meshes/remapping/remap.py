"""Weights from any grid to any other: nearest, bilinear and conservative."""

import numpy as np
from scipy.spatial import cKDTree

from meshes.geometry.neighbours import nearest_points
from meshes.geometry.row_blocks import blocks
from meshes.geometry.sphere import normalise
from meshes.geometry.triangulation import Triangulation, cross2, gnomonic, merge_coincident
from meshes.grids.grid import Grid
from meshes.remapping.overlap import overlap_areas
from meshes.remapping.sites import Sites
from meshes.remapping.weights import SparseWeights

NEGLIGIBLE = 1e-9


def nearest(source: Grid, target: Grid) -> SparseWeights:
    """Return weights that give each target point the value of the nearest used source point.

    Coincident source points share the weight by area. Equally near points are chosen by their
    position, not by their order.
    """
    sites = Sites.of(source)
    chosen = sites.nearest(target.xyz)
    return sites.spread(np.arange(target.size), chosen, np.ones(target.size), target.size)


def bilinear(source: Grid, target: Grid) -> SparseWeights:
    """Return interpolation weights, one method for every kind of source grid.

    The used source points are triangulated on the sphere; triangles with a common circumcircle
    make one polygon, so the cells of longitude-latitude and rotated-pole grids are
    quadrilaterals. Inside a polygon the weights are Wachspress coordinates in the gnomonic plane
    (Wachspress 1975; Meyer et al. 2002, J. Graphics Tools 7), which are bilinear on a rectangle
    and reproduce linear functions on any polygon. A target outside the covered region, or in a
    hole much larger than the spacing around it, takes the value at the nearest point of the
    region's rim. Coincident points act as one, their values averaged by area.
    """
    return bilinear_to_points(source, target.xyz)


def bilinear_to_points(source: Grid, xyz: np.ndarray) -> SparseWeights:
    """Return `bilinear` weights to unit vectors [N, 3]."""
    sites = Sites.of(source)
    return interpolate(sites, xyz, sites.locate(xyz))


def conservative(source: Grid, target: Grid, min_fraction: float = 1e-6) -> SparseWeights:
    """Return first-order conservative weights: overlaps of cells, divided by the covered area.

    A target value times the target cell's covered area sums to the source values times their
    cells' areas, as far as targets cover them. A partly covered target takes the mean over its
    covered part. Masked source cells are left out; for values that are NaN at some times see
    `SparseWeights.apply` with min_valid.

    Args:
        source: grid with the values; masked cells take no part.
        target: grid to fill.
        min_fraction: target cells of which used source cells cover a smaller fraction get no
            weights, and so NaN.

    Raises:
        ValueError: min_fraction is not in [0, 1].
    """
    return cell_means(source, target, min_fraction)[0]


def cell_means(
    source: Grid, target: Grid, min_fraction: float = 1e-6
) -> tuple[SparseWeights, np.ndarray]:
    """Return `conservative` weights, and the share of each target cell that the source covers.

    Points at the same place share one cell, by their areas.

    Returns:
        The weights, and the shares [target], 0 for cells without weights.
    """
    if not 0.0 <= min_fraction <= 1.0:
        raise ValueError(f"min_fraction must lie between 0 and 1, not be {min_fraction}.")
    rows, cols, areas = overlap_areas(source, target)
    used = source.mask[cols]
    rows, cols, areas = rows[used], cols[used], areas[used]
    covered = np.bincount(rows, areas, minlength=target.size)
    enough = covered >= max(min_fraction, 1e-12) * target.area
    keep = enough[rows]
    rows, cols, areas = rows[keep], cols[keep], areas[keep]
    shape = target.size, source.size
    # Coincident points share one cell.
    _, site = merge_coincident(target.xyz)
    whole = np.bincount(site, target.area)[site]
    share = np.where(enough, np.minimum(covered / whole, 1.0), 0.0)
    return SparseWeights.collect(rows, cols, areas / covered[rows], shape), share


_Entries = tuple[np.ndarray, np.ndarray, np.ndarray]


def interpolate(sites: Sites, xyz: np.ndarray, triangle: np.ndarray | None) -> SparseWeights:
    """Return `bilinear` weights to unit vectors [N, 3] in the triangles [N] that `locate` gave."""
    if triangle is None:
        chosen = nearest_points(sites.points, xyz)[1][:, 0]
        return sites.spread(np.arange(len(xyz)), chosen, np.ones(len(xyz)), len(xyz))
    mesh = sites.triangulation
    assert mesh is not None
    rim = None if mesh.inside[triangle].all() else _Rim(mesh)
    weights = []
    for block in blocks(len(xyz)):
        around, points = triangle[block], xyz[block]
        inside = mesh.inside[around]
        parts = [_within(mesh, around, points, np.flatnonzero(inside))]
        outside = np.flatnonzero(~inside)
        if rim is not None and outside.size:
            parts.append(rim.entries(points, outside))
        rows, cols, values = (np.concatenate(column) for column in zip(*parts, strict=True))
        weights.append(sites.spread(rows, cols, values, len(points)))
    return SparseWeights.stacked(weights)


def _within(
    mesh: Triangulation, triangle: np.ndarray, xyz: np.ndarray, targets: np.ndarray
) -> _Entries:
    label = mesh.polygon_of_triangle
    of_target = label[triangle[targets]]
    rows, cols, values = [], [], []
    slot = np.full(label.max() + 1, -1)
    for members, vertices in mesh.polygons:
        slot[:] = -1
        slot[members] = np.arange(len(members))
        inside = np.flatnonzero(slot[of_target] >= 0)
        if not inside.size:
            continue
        chosen = vertices[slot[of_target[inside]]]
        plane, point, order = gnomonic(mesh.points[chosen], xyz[targets[inside]])
        rows.append(np.repeat(targets[inside], chosen.shape[1]))
        cols.append(np.take_along_axis(chosen, order, axis=1).ravel())
        values.append(wachspress(plane, point).ravel())
    if not rows:
        empty = np.zeros(0, dtype=np.intp)
        return empty, empty, np.zeros(0)
    return np.concatenate(rows), np.concatenate(cols), np.concatenate(values)


def wachspress(polygon: np.ndarray, point: np.ndarray) -> np.ndarray:
    """Return Wachspress coordinates [P, V] of points [P, 2] in convex polygons [P, V, 2].

    The vertices run counter-clockwise. Coordinate i is proportional to the area of the triangle
    of vertices i-1, i, i+1 times the areas that the point spans with all edges not at vertex i;
    logarithms keep the product of many edges in range. A point slightly outside gets
    coordinates of the polygon's edge.
    """
    before, after = np.roll(polygon, 1, axis=1), np.roll(polygon, -1, axis=1)
    ear = cross2(polygon - before, after - polygon)
    edge = cross2(polygon - point[:, None, :], after - point[:, None, :])
    log_edge = np.log(np.maximum(edge / edge.max(axis=1, keepdims=True), 1e-14))
    exponent = log_edge.sum(axis=1, keepdims=True) - log_edge - np.roll(log_edge, 1, axis=1)
    weights = ear * np.exp(exponent - exponent.max(axis=1, keepdims=True))
    weights /= weights.sum(axis=1, keepdims=True)
    weights[weights < NEGLIGIBLE] = 0.0
    return weights / weights.sum(axis=1, keepdims=True)


class _Rim:
    """Edges of a triangulation's region, and points that are in no triangle of it."""

    def __init__(self, mesh: Triangulation) -> None:
        self._points = mesh.points
        a, b = _rim(mesh)
        lone = np.setdiff1d(np.arange(mesh.size), mesh.triangles[mesh.inside])
        self._a, self._b = np.concatenate([a, lone]), np.concatenate([b, lone])
        ends = self._points[self._a], self._points[self._b]
        self._tree = cKDTree(np.concatenate([*ends, normalise(ends[0] + ends[1])]))

    def entries(self, xyz: np.ndarray, targets: np.ndarray) -> _Entries:
        """Interpolate linearly at the nearest point of the rim (or a lone point)."""
        a, b, position = self._a, self._b, xyz[targets]
        candidates = self._candidates(position)
        along = self._points[b[candidates]] - self._points[a[candidates]]
        offset = position[:, None, :] - self._points[a[candidates]]
        length = np.sum(along**2, axis=2)
        share = np.sum(offset * along, axis=2) / np.where(length > 0, length, 1.0)
        share = np.clip(share, 0.0, 1.0)
        foot = self._points[a[candidates]] + share[..., None] * along
        best = np.linalg.norm(position[:, None, :] - normalise(foot), axis=2).argmin(axis=1)
        edge, share = candidates[np.arange(len(best)), best], share[np.arange(len(best)), best]
        return (
            np.concatenate([targets, targets]),
            np.concatenate([a[edge], b[edge]]),
            np.concatenate([1.0 - share, share]),
        )

    def _candidates(self, position: np.ndarray) -> np.ndarray:
        """Return the edges [N, k] with the nearest ends or middles; the nearest is one of them."""
        edge = np.tile(np.arange(len(self._a)), 3)
        return edge[nearest_points(self._tree, position, min(8, len(edge)))[1]]


def _rim(mesh: Triangulation) -> tuple[np.ndarray, np.ndarray]:
    """Return the two vertices of each edge between a triangle of the region and one outside."""
    triangle, opposite = np.nonzero(mesh.inside[:, None] & ~mesh.inside[mesh.neighbours])
    corners = mesh.triangles[triangle]
    rows = np.arange(len(triangle))
    return corners[rows, (opposite + 1) % 3], corners[rows, (opposite + 2) % 3]
