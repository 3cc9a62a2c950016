import numpy as np
import pytest
import xarray as xr

from graphdown.data import terrain
from graphdown.data.terrain import Ground, TerrainFeatures, slopes, smoothed, static_names
from graphdown.errors import DataError
from meshes import EARTH_RADIUS_KM, Grid

AXIS = np.arange(-2.0, 2.1, 0.25)
GRID = Grid.rotated(-162.0, 39.25, AXIS, AXIS)


def test_the_slope_of_a_plane_in_latitude_points_north():
    metres = np.radians(GRID.lat) * EARTH_RADIUS_KM * 1000.0
    east, north = slopes(GRID, GRID, 0.01 * metres)
    np.testing.assert_allclose(north, 0.01, rtol=2e-3)
    np.testing.assert_allclose(east, 0.0, atol=1e-4)  # one-sided at the edges


def test_the_slope_of_a_tilted_plane_has_its_east_and_north_parts():
    middle = GRID.size // 2
    x = np.radians(GRID.lon - GRID.lon[middle]) * np.cos(np.radians(GRID.lat[middle]))
    y = np.radians(GRID.lat - GRID.lat[middle])
    height = (0.02 * x - 0.03 * y) * EARTH_RADIUS_KM * 1000.0
    np.testing.assert_allclose(slopes(GRID, GRID, height)[:, middle], [0.02, -0.03], rtol=5e-3)


def test_smoothing_keeps_a_constant():
    np.testing.assert_allclose(smoothed(GRID, GRID, np.full((1, GRID.size), 7.0), 40.0), 7.0)


def test_smoothing_is_the_same_in_parts_and_takes_the_nearest_far_away(monkeypatch):
    values = np.random.default_rng(0).normal(size=(2, GRID.size))
    whole = smoothed(GRID, GRID, values, 60.0)
    distance = EARTH_RADIUS_KM * np.linalg.norm(GRID.xyz[:, None] - GRID.xyz, axis=2)
    kernel = np.maximum(1.0 - (distance / 120.0) ** 2, 0.0) ** 2 * GRID.area
    np.testing.assert_allclose(whole, values @ kernel.T / kernel.sum(axis=1))
    monkeypatch.setattr(terrain, "PAIRS_AT_ONCE", 500)
    np.testing.assert_array_equal(smoothed(GRID, GRID, values, 60.0), whole)
    far = Grid.from_points(GRID.lon[[3]] + 40.0, GRID.lat[[3]])
    nearest = np.argmax(GRID.xyz @ far.xyz[0])
    assert list(smoothed(far, GRID, values, 60.0)[:, 0]) == list(values[:, nearest])


def test_flat_terrain_has_no_features():
    statics = xr.Dataset({"orog": GRID.dataarray(np.zeros(GRID.size), "orog")})
    features = TerrainFeatures(Ground(GRID, statics)).for_source(150.0, None)
    assert features.shape == (GRID.size, len(static_names(statics)))
    np.testing.assert_allclose(features, 0.0, atol=1e-6)


def test_missing_heights_are_refused():
    values = np.where(np.arange(GRID.size) == 3, np.nan, 1.0)
    with pytest.raises(DataError, match="'orog' is missing at 1 target points"):
        Ground(GRID, xr.Dataset({"orog": GRID.dataarray(values, "orog")}))
