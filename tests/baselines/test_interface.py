"""What holds for every method."""

import numpy as np
import pytest
import xarray as xr

from graphdown.baselines import Bilinear, LapseRate, MeanBias, Ridge, make_baselines
from meshes import Grid

from .conftest import block_means

NAMES = [
    "nearest",
    "bilinear",
    "lapse rate",
    "mean bias",
    "quantile mapping",
    "scaled delta",
    "ridge",
]


@pytest.fixture(params=NAMES)
def baseline(request, statics):
    (method,) = make_baselines([request.param], statics)
    return method


def test_make_baselines_leaves_out_what_cannot_be_applied(statics):
    assert [b.name for b in make_baselines(statics=statics)] == NAMES
    without = [name for name in NAMES if name != "lapse rate"]
    assert [b.name for b in make_baselines()] == without
    assert [b.name for b in make_baselines(statics=xr.Dataset())] == without
    networks = ["DeepESD", "U-Net", "error-predicting CNN"]
    assert [b.name for b in make_baselines(networks, statics)] == networks
    with pytest.raises(ValueError, match="'unet' is no baseline; there are nearest, .*U-Net"):
        make_baselines(["unet"])


def test_prediction_is_canonical_on_the_target_grid(baseline, coarse, fine, fine_grid, statics):
    fine = fine.assign(fine_grid.coords.coords)
    days = coarse.isel(time=slice(7, 19))
    result = baseline.fit([(coarse, fine)], statics).predict(days)
    assert list(result.data_vars) == ["tas", "pr"]
    assert result.indexes["time"].equals(days.indexes["time"])
    for name in result:
        assert result[name].dims == ("time", "lat", "lon")
        assert result[name].dtype == np.float32
        assert result[name].attrs["units"] == fine[name].attrs["units"]
        assert np.isfinite(result[name]).all()
    assert result["pr"].min() >= 0
    for name in ("lat", "lon", "lat_bnds", "lon_bnds"):
        xr.testing.assert_equal(result[name].variable, fine_grid.coords[name].variable)


def test_grid_mapping_of_the_target_is_kept(baseline):
    grid = Grid.rotated(-162.0, 39.25, np.arange(-3, 3) * 0.5, np.arange(-3, 3) * 0.5)
    time = xr.date_range("2001-01-01", periods=20)
    values = np.random.default_rng(2).normal(280, 3, (20, grid.size)).astype("float32")
    fine = xr.Dataset({"tas": grid.dataarray(values, dims=("time",), coords={"time": time})})
    coarse = block_means(fine.assign(tas=fine.tas.assign_attrs(units="K")), 3)
    height = xr.Dataset({"orog": grid.dataarray(np.zeros(grid.size))})
    result = baseline.fit([(coarse, fine)], height).predict(coarse)
    mapping = result[result["tas"].attrs["grid_mapping"]].attrs
    assert mapping["grid_mapping_name"] == "rotated_latitude_longitude"
    assert mapping["grid_north_pole_longitude"] == pytest.approx(-162.0)
    assert result["rlat"].equals(fine["rlat"])


def test_another_source_grid_is_accepted(baseline, coarse, fine, statics):
    baseline.fit([(coarse, fine)], statics)
    finer = block_means(fine, 2)
    assert finer.sizes["lat"] != coarse.sizes["lat"]
    result = baseline.predict(finer)
    assert result.sizes["lat"] == fine.sizes["lat"]
    assert np.isfinite(result["tas"]).all()


def test_days_are_matched_by_time(baseline, coarse, fine, statics):
    days = coarse.isel(time=slice(10, 90))
    expected = baseline.fit([(days, fine)], statics).predict(days)
    shuffled = coarse.isel(time=np.random.default_rng(3).permutation(np.arange(10, 90)))
    result = baseline.fit([(shuffled, fine.isel(time=slice(0, 150)))], statics).predict(days)
    xr.testing.assert_identical(result, expected)


def test_order_of_dimensions_does_not_matter(baseline, coarse, fine, statics):
    expected = baseline.fit([(coarse, fine)], statics).predict(coarse)
    turned = baseline.fit([(coarse.transpose("lon", "time", "lat"), fine)], statics)
    result = turned.predict(coarse.transpose("lat", "lon", "time"))
    for name in ("tas", "pr"):
        assert result[name].dims == expected[name].dims
        # Rounding may lift a value over a threshold here and there.
        assert float(np.abs(result[name] - expected[name]).mean()) < 1e-4


def test_predicting_before_fitting_is_refused(baseline, coarse):
    with pytest.raises(ValueError, match="not fitted"):
        baseline.predict(coarse)


def test_days_without_a_partner_are_refused(baseline, coarse, fine, statics):
    later = fine.assign_coords(time=fine["time"] + np.timedelta64(3650, "D"))
    with pytest.raises(ValueError, match="no time in common .* choose the same days"):
        baseline.fit([(coarse, later)], statics)
    noon = fine.assign_coords(time=fine["time"] + np.timedelta64(12, "h"))
    with pytest.raises(ValueError, match="no time in common"):
        baseline.fit([(coarse, fine)], statics, validation=[(coarse, noon)])


def test_a_day_given_twice_is_refused(baseline, coarse, fine, statics):
    twice = coarse.isel(time=[0, 1, 1, 2])
    with pytest.raises(ValueError, match="coarse data hold the time 2001-01-02 .* twice"):
        baseline.fit([(twice, fine)], statics)


def test_several_sources_are_learned_from_or_refused(baseline, coarse, fine, statics):
    expected = baseline.fit([(coarse, fine)], statics).predict(coarse)
    pairs = [(coarse, fine), (block_means(fine, 2), fine)]
    if baseline.source_bound:
        with pytest.raises(ValueError, match="bound to one source, but 2 pairs were given; fit"):
            baseline.fit(pairs, statics)
    else:
        xr.testing.assert_identical(baseline.fit(pairs, statics).predict(coarse), expected)
    with pytest.raises(ValueError, match="needs a pair"):
        baseline.fit([], statics)


def test_sources_must_share_the_target(coarse, fine):
    with pytest.raises(ValueError, match="'pr' is to be predicted, but the fine data lack it"):
        Bilinear().fit([(coarse, fine), (coarse, fine[["tas"]])])
    with pytest.raises(ValueError, match="other values of 'lon' than the grid"):
        Bilinear().fit([(coarse, fine), (coarse, fine.assign_coords(lon=fine["lon"] + 1))])


def test_other_units_are_refused(baseline, coarse, fine, statics):
    celsius = coarse.assign(tas=(coarse.tas - 273.15).assign_attrs(units="degC"))
    with pytest.raises(ValueError, match="'tas' is in 'degC' in the coarse data and in 'K'"):
        baseline.fit([(celsius, fine)], statics)


def test_a_variable_missing_at_prediction_is_named(baseline, coarse, fine, statics):
    baseline.fit([(coarse, fine)], statics)
    with pytest.raises(ValueError, match="'pr' is not in the dataset"):
        baseline.predict(coarse[["tas"]])


def test_a_failed_fit_keeps_the_earlier_one(coarse, fine, statics):
    baseline = MeanBias().fit([(coarse, fine)])
    expected = baseline.predict(coarse)
    with pytest.raises(ValueError, match="lack"):
        baseline.fit([(coarse[["tas"]], fine.rename(pr="prsn"))])
    xr.testing.assert_identical(baseline.predict(coarse), expected)


@pytest.mark.parametrize("wrong", [None, xr.Dataset()])
def test_lapse_rate_needs_the_height(coarse, fine, wrong):
    with pytest.raises(ValueError, match="needs the target's height"):
        LapseRate().fit([(coarse, fine)], wrong)


def test_fine_data_without_fields_are_refused(coarse, fine):
    with pytest.raises(ValueError, match="no variable with time and horizontal dimensions"):
        Ridge().fit([(coarse, fine.drop_vars(["tas", "pr"]))])
