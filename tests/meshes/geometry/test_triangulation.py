import numpy as np
import pytest

from meshes import Grid, icosphere
from meshes.geometry import triangulation
from meshes.geometry.sphere import normalise
from meshes.geometry.triangulation import Triangulation, merge_coincident

POINTS = Grid.regular(10.0, 10.0, (0.0, 0.0, 80.0, 60.0))


def test_coincident_points_merge_whatever_their_order():
    xyz = icosphere(1).xyz
    twice = np.concatenate([xyz, xyz + 1e-9])
    order = np.random.default_rng(0).permutation(len(twice))
    points, index = merge_coincident(twice)
    shuffled, shuffled_index = merge_coincident(twice[order])
    assert len(points) == len(xyz)
    np.testing.assert_allclose(shuffled, points, atol=1e-8)
    np.testing.assert_array_equal(shuffled_index, index[order])


def test_triangles_are_delaunay_and_counter_clockwise():
    mesh = Triangulation.of(normalise(np.random.default_rng(2).normal(size=(300, 3))))
    corners = mesh.points[mesh.triangles]
    radius = np.sum(mesh.normals * corners[:, 0], axis=1)
    assert (mesh.normals @ mesh.points.T).max(axis=1) == pytest.approx(radius)
    assert np.linalg.det(corners).min() > 0


def test_cells_of_a_grid_are_one_polygon_each():
    mesh = Triangulation.of(merge_coincident(POINTS.xyz)[0])
    assert mesh.inside.sum() == 2 * 7 * 5
    assert len(np.unique(mesh.polygon_of_triangle[mesh.inside])) == 7 * 5


def test_the_walk_ends_where_the_search_does(monkeypatch):
    mesh = Triangulation.of(merge_coincident(POINTS.xyz)[0])
    targets = normalise(np.random.default_rng(3).normal(size=(200, 3)))
    walked = mesh.locate(targets, np.zeros(200, dtype=int))
    monkeypatch.setattr(triangulation, "MAX_STEPS", 0)
    searched = mesh.locate(targets, np.zeros(200, dtype=int))
    label = mesh.polygon_of_triangle
    np.testing.assert_array_equal(mesh.inside[walked], mesh.inside[searched])
    same = mesh.inside[walked]
    np.testing.assert_array_equal(label[walked[same]], label[searched[same]])
