"""Nearest, bilinear, lapse rate and mean bias against computations by hand and by scipy."""

import numpy as np
import pytest
import xarray as xr
from scipy.interpolate import RegularGridInterpolator
from scipy.spatial import cKDTree

from graphdown.baselines import Bilinear, LapseRate, MeanBias, Nearest
from meshes import Grid, conservative

from .conftest import dataset


def interior(fine):
    """Cells inside the outermost coarse points."""
    return fine.isel(lat=slice(1, -1), lon=slice(1, -1))


def test_nearest_takes_the_closest_coarse_point(coarse, fine):
    source, target = Grid.from_dataset(coarse), Grid.from_dataset(fine)
    closest = cKDTree(source.xyz).query(target.xyz)[1]
    result = Nearest().fit([(coarse, fine)]).predict(coarse)
    expected = source.values(coarse["tas"])[:, closest]
    np.testing.assert_array_equal(target.values(result["tas"]), expected)


def test_bilinear_agrees_with_scipy_between_the_coarse_points(coarse, fine):
    result = interior(Bilinear().fit([(coarse, fine)]).predict(coarse))
    lat, lon = np.meshgrid(result["lat"], result["lon"], indexing="ij")
    for name in ("tas", "pr"):
        values = np.moveaxis(coarse[name].values.astype(np.float64), 0, -1)
        scipy = RegularGridInterpolator((coarse["lat"], coarse["lon"]), values)((lat, lon))
        difference = np.moveaxis(scipy, -1, 0) - result[name].values
        # On the sphere a longitude-latitude cell is a slight trapezium.
        assert np.abs(difference).max() < 0.01 * np.ptp(coarse[name].values)


def test_points_without_a_value_take_no_part(coarse, fine):
    hole = coarse.copy(deep=True)
    hole["tas"][:, 0, 0] = np.nan
    result = Bilinear().fit([(hole, fine)]).predict(hole)
    assert np.isfinite(result["tas"]).all()
    one_day = coarse.copy(deep=True)
    one_day["tas"][5, 0, 0] = np.nan
    result = Bilinear().fit([(coarse, fine)]).predict(one_day)
    assert np.isnan(result["tas"][5, 0, 0])
    assert np.isfinite(result["tas"].drop_isel(time=5)).all()


def test_a_variable_without_any_value_is_refused(coarse, fine):
    empty = coarse.assign(tas=coarse["tas"] * np.nan)
    with pytest.raises(ValueError, match="'tas' is missing everywhere"):
        Bilinear().fit([(coarse, fine)]).predict(empty)


def test_variables_on_two_grids_in_one_file(fine, coarse):
    other = coarse["pr"].rename(lat="lat25", lon="lon25")
    both = xr.Dataset({"tas": coarse["tas"], "pr": other})
    result = Bilinear().fit([(both, fine)]).predict(both)
    xr.testing.assert_allclose(result, Bilinear().fit([(coarse, fine)]).predict(coarse))


def test_mean_bias_adds_the_mean_difference(coarse, fine):
    train, test = slice(0, 150), slice(150, None)
    plain = Bilinear().fit([(coarse, fine)])
    past, future = (plain.predict(coarse.isel(time=t)) for t in (train, test))
    result = MeanBias().fit([(coarse.isel(time=train), fine)]).predict(coarse.isel(time=test))
    for name in ("tas", "pr"):
        correction = fine[name].values[train].mean(axis=0) - past[name].values.mean(axis=0)
        expected = future[name].values + correction
        expected = np.maximum(expected, 0) if name == "pr" else expected
        np.testing.assert_allclose(result[name].values, expected, atol=2e-4)


def test_mean_bias_uses_the_days_that_a_cell_has(coarse, fine):
    gappy = fine.copy(deep=True)
    gappy["tas"][100:, 2, 3] = np.nan
    gappy["tas"][:, 4, 4] = np.nan
    result = MeanBias().fit([(coarse, gappy)]).predict(coarse)["tas"]
    first = MeanBias().fit([(coarse.isel(time=slice(100)), fine)]).predict(coarse)["tas"]
    np.testing.assert_allclose(result[:, 2, 3], first[:, 2, 3], atol=1e-4)
    assert np.isnan(result[:, 4, 4]).all()
    assert int(np.isnan(result).sum()) == result.sizes["time"]


def test_lapse_rate_with_the_height_of_the_coarse_model(coarse, fine, statics, orog):
    grid = Grid.from_dataset(coarse)
    with_height = coarse.assign(orog=grid.dataarray(np.full(grid.size, 400.0)))
    plain = Bilinear().fit([(coarse, fine)]).predict(coarse)
    result = LapseRate().fit([(coarse, fine)], statics).predict(with_height)
    expected = plain["tas"].values - 0.0065 * (orog.reshape(12, 12) - 400.0)
    np.testing.assert_allclose(result["tas"].values, expected, atol=1e-3)
    xr.testing.assert_equal(result["pr"], plain["pr"])


def test_lapse_rate_without_it_averages_the_target_over_the_coarse_cells(
    coarse, fine, statics, orog
):
    result = LapseRate().fit([(coarse, fine)], statics).predict(coarse)
    plain = Bilinear().fit([(coarse, fine)]).predict(coarse)
    source, target = Grid.from_dataset(coarse), Grid.from_dataset(fine)
    area = target.area.reshape(4, 3, 4, 3)
    height = (orog.reshape(4, 3, 4, 3) * area).sum(axis=(1, 3)) / area.sum(axis=(1, 3))
    heights = dataset(source, fine.indexes["time"][:1], orog=height.reshape(1, -1))
    carried = (
        Bilinear()
        .fit([(heights, dataset(target, fine.indexes["time"][:1], orog=orog[None]))])
        .predict(heights)["orog"]
    )
    expected = plain["tas"].values - 0.0065 * (orog.reshape(12, 12) - carried.values)
    np.testing.assert_allclose(result["tas"].values, expected, atol=2e-3)


def test_lapse_rate_on_a_source_that_reaches_beyond_the_target(fine, statics):
    source = Grid.regular(2.0, 2.0, (-5.0, 35.0, 11.0, 51.0))
    covered = np.isfinite(
        conservative(source=Grid.from_dataset(fine), target=source).apply(
            np.ones(fine.sizes["lat"] * fine.sizes["lon"])
        )
    )
    assert not covered.all()
    days = fine.indexes["time"]
    values = np.full((len(days), source.size), 280.0)
    coarse = dataset(source, days, tas=values, pr=values)
    result = LapseRate().fit([(coarse, fine)], statics).predict(coarse)["tas"]
    assert np.isfinite(result).all()
    # Mountains above, valleys below what the coarse cells show: no drift on the whole.
    assert float(result.mean()) == pytest.approx(280.0, abs=0.6)
    assert float(result.std("time").max()) == pytest.approx(0.0, abs=1e-3)


def test_missing_heights_count_as_sea_level(coarse, fine, statics):
    sea = statics.copy(deep=True)
    sea["orog"][:6] = np.nan
    zero = sea.fillna(0.0)
    results = [LapseRate().fit([(coarse, fine)], s).predict(coarse) for s in (sea, zero)]
    xr.testing.assert_identical(*results)
