import numpy as np
import pytest

from meshes.geometry import sphere


def random_xyz(n, seed=0):
    return sphere.normalise(np.random.default_rng(seed).normal(size=(n, 3)))


def test_lonlat_round_trip():
    lon, lat = sphere.xyz_to_lonlat(random_xyz(100))
    again = sphere.xyz_to_lonlat(sphere.lonlat_to_xyz(lon, lat))
    np.testing.assert_allclose(again, (lon, lat), atol=1e-12)


def test_wrapped_longitudes_lie_in_the_half_open_range():
    lon = np.array([-540.0, -180.0, 180.0, 359.0, 720.5, -180.0 - 1e-14])
    wrapped = sphere.wrap_longitude(lon)
    assert wrapped.min() >= -180.0
    assert wrapped.max() < 180.0
    np.testing.assert_allclose(wrapped[:5], [-180.0, -180.0, -180.0, -1.0, 0.5])


@pytest.mark.parametrize("angle", [0.01, 0.3, 3.2])
@pytest.mark.parametrize("spread", [0.0, 0.1, 1.0, 9.0])
def test_a_cap_holds_all_points_close_to_one_of_several(spread, angle):
    points = random_xyz(400)
    xyz = sphere.normalise(np.array([0.0, 0.6, 0.8]) + spread * random_xyz(20, seed=1))
    held = sphere.in_cap(points, xyz, angle)
    nearest = np.arccos(np.clip(points @ xyz.T, -1.0, 1.0)).min(axis=1)
    assert set(np.flatnonzero(nearest < angle)) <= set(held)
    if spread <= 0.1 and angle <= 0.3:
        assert len(held) < 0.1 * len(points)
    opposite = np.concatenate([xyz, -xyz])
    assert len(sphere.in_cap(points, opposite, angle)) == len(points)


def test_distance_of_a_degree_along_the_equator():
    a, b = sphere.lonlat_to_xyz([0.0, 1.0], [0.0, 0.0])
    assert sphere.distance_km(a, b) == pytest.approx(111.19493, rel=1e-6)


def test_known_azimuths_give_the_known_frame():
    centre = sphere.lonlat_to_xyz(10.0, 50.0)
    frame = sphere.tangent_frame(centre)
    north = frame @ (sphere.lonlat_to_xyz(10.0, 50.001) - centre)
    east = frame @ (sphere.lonlat_to_xyz(10.001, 50.0) - centre)
    step = np.radians(0.001)
    np.testing.assert_allclose(north, [0.0, step, -(step**2) / 2], atol=1e-12)
    np.testing.assert_allclose(east[0], step * np.cos(np.radians(50.0)), rtol=1e-6)


@pytest.mark.parametrize("lat", [90.0, -90.0])
def test_frame_at_the_poles_is_orthonormal(lat):
    frame = sphere.tangent_frame(sphere.lonlat_to_xyz(123.0, lat))
    np.testing.assert_allclose(frame @ frame.T, np.eye(3), atol=1e-12)


def test_octant_has_an_eighth_of_the_sphere():
    x, y, z = np.eye(3)
    assert sphere.triangle_area(x, y, z) == pytest.approx(np.pi / 2)
    assert sphere.polygon_area(np.stack([x, z, y])) == pytest.approx(-np.pi / 2)


def test_repeated_vertices_add_no_area():
    x, y, z = np.eye(3)
    assert sphere.polygon_area(np.stack([x, y, z, z, z])) == pytest.approx(np.pi / 2)


def test_small_triangles_keep_their_precision():
    step = 1e-6
    corners = [sphere.lonlat_to_xyz(*np.degrees(p)) for p in ((0, 0), (step, 0), (0, step))]
    assert sphere.triangle_area(*corners) == pytest.approx(step**2 / 2, rel=1e-9)


def test_rotated_pole_matrix_follows_spherical_trigonometry():
    """Sides and angles of the triangle of the two poles and the point, pole at (-162, 39.25)."""
    lon, lat, pole = np.array([5.0, -10.0, 30.0]), np.array([45.0, 60.0, 38.0]), np.radians(39.25)
    hour, phi = np.radians(lon + 162.0), np.radians(lat)
    rlat = np.degrees(
        np.arcsin(np.sin(pole) * np.sin(phi) + np.cos(pole) * np.cos(phi) * np.cos(hour))
    )
    rlon = np.degrees(
        np.arctan2(
            -np.cos(phi) * np.sin(hour),
            np.cos(pole) * np.sin(phi) - np.sin(pole) * np.cos(phi) * np.cos(hour),
        )
    )
    xyz = sphere.lonlat_to_xyz(rlon, rlat) @ sphere.rotated_pole_matrix(-162.0, 39.25).T
    np.testing.assert_allclose(sphere.xyz_to_lonlat(xyz), (lon, lat), atol=1e-9)


@pytest.mark.parametrize("pole", [(-162.0, 39.25, 0.0), (20.0, 5.0, 33.0), (83.0, -42.5, -170.0)])
def test_rotated_pole_is_recovered_from_its_matrix(pole):
    matrix = sphere.rotated_pole_matrix(*pole)
    np.testing.assert_allclose(sphere.rotated_pole_of_matrix(matrix), pole, atol=1e-9)


def test_coinciding_poles_give_the_identity():
    np.testing.assert_allclose(sphere.rotated_pole_matrix(180.0, 90.0), np.eye(3), atol=1e-15)
    turned = sphere.rotated_pole_of_matrix(sphere.rotated_pole_matrix(0.0, 90.0, 40.0))
    again = sphere.rotated_pole_matrix(*turned)
    np.testing.assert_allclose(again, sphere.rotated_pole_matrix(0.0, 90.0, 40.0), atol=1e-12)


def test_north_pole_grid_longitude_is_the_rotated_longitude_of_the_north_pole():
    matrix = sphere.rotated_pole_matrix(20.0, 30.0, 25.0)
    lon, lat = sphere.xyz_to_lonlat(np.array([0.0, 0.0, 1.0]) @ matrix)
    assert lon == pytest.approx(25.0)
    assert lat == pytest.approx(30.0)


def test_fitted_rotation_is_the_rotation():
    points, matrix = random_xyz(50), sphere.rotated_pole_matrix(100.0, 20.0, 7.0)
    np.testing.assert_allclose(sphere.fit_rotation(points, points @ matrix.T), matrix, atol=1e-12)
