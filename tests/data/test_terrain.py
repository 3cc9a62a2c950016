import numpy as np
import pytest
import xarray as xr

from graphdown.data import terrain
from graphdown.data.terrain import (
    AT_ONCE,
    Ground,
    TerrainFeatures,
    slopes,
    smoothed,
    static_names,
)
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


@pytest.mark.parametrize("length_km", [40.0, 120.0])
def test_smoothing_takes_means_by_area_and_distance(length_km, monkeypatch):
    monkeypatch.setattr(terrain, "MOST_NEAR", 50)
    fields = np.random.default_rng(0).normal(size=(2, GRID.size))
    apart = np.linalg.norm(GRID.xyz[:, None] - GRID.xyz, axis=-1) * EARTH_RADIUS_KM
    kernel = np.maximum(1.0 - (apart / (2.0 * length_km)) ** 2, 0.0) ** 2 * GRID.area
    expected = fields @ kernel.T / kernel.sum(axis=1)
    assert GRID.size > 2 * AT_ONCE
    np.testing.assert_allclose(smoothed(GRID, GRID, fields, length_km), expected, atol=1e-12)


def test_a_point_with_nothing_in_reach_takes_the_nearest():
    heights = np.arange(GRID.size)[None].astype(float)
    far = Grid.from_points([40.0], [GRID.lat.mean()])
    nearest = np.argmax(GRID.xyz @ far.xyz[0])
    np.testing.assert_array_equal(smoothed(far, GRID, heights, 40.0), heights[:, [nearest]])


def test_neighbours_that_are_equally_near_are_not_chosen_by_rounding():
    grid = Grid.regular(0.1, 0.1, (-3.0, 42.0, -1.0, 44.0))
    height = np.random.default_rng(0).uniform(0.0, 2000.0, grid.size)
    expected = slopes(grid, grid, height)
    for degrees in (360.0, 17.3, 131.0):
        turned = Grid.from_points(grid.lon + degrees, grid.lat, grid.area)
        np.testing.assert_allclose(slopes(turned, turned, height), expected, atol=1e-9)


def test_smoothing_keeps_a_constant():
    constant = np.full((1, GRID.size), 7.0)
    np.testing.assert_allclose(smoothed(GRID, GRID, constant, 40.0), constant)


def test_flat_terrain_has_no_features():
    statics = xr.Dataset({"orog": GRID.dataarray(np.zeros(GRID.size), "orog")})
    features = TerrainFeatures(Ground(GRID, statics)).for_source(150.0, None)
    assert features.shape == (GRID.size, len(static_names(statics)))
    np.testing.assert_allclose(features, 0.0, atol=1e-6)


def test_missing_heights_are_refused():
    values = np.where(np.arange(GRID.size) == 3, np.nan, 1.0)
    with pytest.raises(DataError, match="'orog' is missing at 1 target points"):
        Ground(GRID, xr.Dataset({"orog": GRID.dataarray(values, "orog")}))
