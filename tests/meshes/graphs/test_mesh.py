import numpy as np
import pytest

from meshes import EARTH_RADIUS_KM, Grid, build_mesh, icosphere
from meshes.geometry.icosahedron import nominal_spacing_km
from meshes.geometry.sphere import distance_km, polygon_area

TARGET = Grid.rotated(-162.0, 39.25, np.arange(-5.0, 5.1, 0.5), np.arange(-5.0, 5.1, 0.5))


@pytest.mark.parametrize("level", [0, 1, 3, 5])
def test_counts_follow_eulers_formula(level):
    mesh = icosphere(level)
    assert mesh.size == 10 * 4**level + 2
    for step, (faces, edges) in enumerate(zip(mesh.faces, mesh.edges, strict=True)):
        assert len(faces) == 20 * 4**step
        assert len(edges) == 30 * 4**step


def test_faces_tile_the_sphere_counter_clockwise():
    mesh = icosphere(3)
    for faces in mesh.faces:
        areas = polygon_area(mesh.xyz[faces])
        assert areas.min() > 0
        assert areas.sum() == pytest.approx(4 * np.pi)


def test_levels_are_nested_and_nodes_on_the_sphere():
    coarse, fine = icosphere(2), icosphere(4)
    np.testing.assert_array_equal(fine.xyz[: coarse.size], coarse.xyz)
    np.testing.assert_array_equal(np.flatnonzero(fine.level_of_node <= 2), np.arange(coarse.size))
    np.testing.assert_allclose(np.linalg.norm(fine.xyz, axis=1), 1.0)
    assert {90.0, -90.0} <= set(np.round(coarse.lat, 9))


def test_edges_are_about_as_long_as_stated():
    mesh = icosphere(5)
    for level, edges in enumerate(mesh.edges):
        length = distance_km(*mesh.xyz[edges.T]) / nominal_spacing_km(level)
        assert 0.8 < length.min() <= length.max() < 1.3
    assert nominal_spacing_km(6) == pytest.approx(110.2, abs=0.1)


def test_regional_mesh_keeps_exactly_the_nodes_within_the_margin():
    mesh, whole = build_mesh(TARGET, 5, 2, 300.0), icosphere(5)
    angle = np.arccos(np.clip(whole.xyz @ TARGET.xyz.T, -1, 1)).min(axis=1) * EARTH_RADIUS_KM
    np.testing.assert_allclose(mesh.xyz, whole.xyz[angle <= 300.0])
    assert mesh.coarsest == 2
    assert len(mesh.edges) == 4
    for edges in (*mesh.edges, *mesh.faces):
        assert edges.size == 0 or edges.max() < mesh.size


def test_masked_target_points_do_not_hold_the_mesh():
    half = Grid.from_dataset(TARGET.coords, (TARGET.lon < 18.0).reshape(TARGET.shape))
    assert build_mesh(half, 6, 3, 200.0).size < 0.8 * build_mesh(TARGET, 6, 3, 200.0).size


@pytest.mark.parametrize(
    ("level", "coarsest", "margin", "message"),
    [
        (3, 4, 100.0, "coarsest_level"),
        (11, 3, 100.0, "<= 10"),
        (5, 3, -1.0, "margin_km must not be negative"),
        (1, 0, 1.0, "raise margin_km or mesh_level"),
    ],
)
def test_impossible_meshes_are_refused(level, coarsest, margin, message):
    with pytest.raises(ValueError, match=message):
        build_mesh(TARGET, level, coarsest, margin)
