import numpy as np
import pandas as pd
import pytest
import xarray as xr

from graphdown.evaluation.evaluate import evaluate
from graphdown.evaluation.measures import MEASURES

from .conftest import daily

HOURLY = {"diurnal_cycle_rmse"}  # of series with several times a day


def test_a_perfect_prediction_scores_perfectly(truth):
    before = truth.map(lambda da: 0.9 * da, keep_attrs=True)
    scores = evaluate(truth, truth, reference=(before, before))
    assert {m.name for m in MEASURES.values()} == set(MEASURES) == {*scores} & {*MEASURES} | HOURLY
    for name, own in MEASURES.items():
        if name in scores and own.perfect is not None:
            present = scores[name].dropna("variable")
            assert present.size and np.allclose(present, own.perfect, atol=1e-6), name


def test_the_diurnal_cycle_is_scored_at_each_time_of_day(grid):
    time = pd.date_range("2001-03-01", periods=120, freq="6h")
    rng = np.random.default_rng(0)
    x, noise = rng.normal(280, 5, (2, 120, grid.size)).astype("float32")
    x[5:9, 3] = np.nan
    y = x + 0.1 * noise + np.tile([1.0, -2.0, 0.0, 3.0], 30)[:, None].astype("float32")
    sides = [daily(grid, time, tas=v) for v in (y, x)]
    scores = evaluate(*sides)
    error = [np.nanmean((y - x)[k::4], axis=0) for k in range(4)]
    expected = np.sqrt(np.average(np.square(error).mean(axis=0), weights=grid.area))
    assert float(scores.diurnal_cycle_rmse[0]) == pytest.approx(expected, rel=1e-5)
    assert float(evaluate(sides[1], sides[1]).diurnal_cycle_rmse[0]) == 0.0


def test_maps_are_reduced_with_the_area_of_the_cells(prediction, truth, grid):
    scores = evaluate(prediction, truth)
    error = (prediction - truth).mean("time").astype(float)
    weights = xr.DataArray(grid.area.reshape(grid.shape), dims=grid.dims)
    for v in ("tas", "pr"):
        own = scores.sel(variable=v)
        assert float(own.bias) == pytest.approx(float(abs(error[v]).weighted(weights).mean()), 1e-4)
        assert float(own.mean_bias) == pytest.approx(float(error[v].weighted(weights).mean()), 1e-4)
        assert np.allclose(own.bias_map, error[v], atol=1e-4)
        rmse = np.sqrt(((prediction - truth)[v].astype(float) ** 2).mean("time"))
        assert float(own.rmse) == pytest.approx(float(rmse.weighted(weights).mean()), rel=1e-5)


def test_missing_values_are_left_out_of_both_and_counted(gappy):
    y, x = gappy
    scores = evaluate(y, x)
    valid = y.notnull() & x.notnull()
    both = valid["tas"]
    assert int(scores.used.sel(variable="tas")) == int(both.sum())
    assert int(scores.missing.sel(variable="tas")) == int((~both).sum())
    filtered = evaluate(y.where(valid), x.where(valid))
    assert np.allclose(scores.rmse_map, filtered.rmse_map, equal_nan=True)
    assert np.isnan(scores.bias_map.sel(variable="tas")[0, 0])
    assert np.isfinite(scores.wasserstein1).all()
    assert np.isnan(scores.ralsd).all()


def test_only_common_days_are_compared(prediction, truth):
    shorter = prediction.isel(time=slice(100, 500))
    whole = evaluate(shorter, truth.isel(time=slice(100, 500)))
    xr.testing.assert_allclose(evaluate(shorter, truth), whole)
    shuffled = shorter.isel(time=np.random.default_rng(0).permutation(400))
    xr.testing.assert_allclose(evaluate(shuffled, truth), whole)


@pytest.mark.parametrize("calendar", ["noleap", "proleptic_gregorian"])
def test_days_are_paired_by_date_whatever_the_stamp_and_the_calendar(prediction, truth, calendar):
    other = prediction.assign_coords(time=prediction.time + np.timedelta64(12, "h"))
    other = other.convert_calendar(calendar, use_cftime=calendar == "noleap")
    xr.testing.assert_allclose(evaluate(other, truth), evaluate(prediction, truth))


def test_times_of_the_day_are_paired_as_they_are(truth):
    hours = truth.isel(time=slice(0, 8)).assign_coords(
        time=pd.date_range("2001-01-01", periods=8, freq="6h")
    )
    later = hours.assign_coords(time=hours.time + np.timedelta64(6, "h"))
    assert int(evaluate(later, hours).used[0]) == 7 * truth.lat.size * truth.lon.size


def test_signal_is_scored_against_the_truth_own_change(prediction, truth):
    warmer = prediction.assign(
        tas=(prediction.tas + 3).assign_attrs(units="K"),
        pr=(prediction.pr * 1.2).assign_attrs(units="mm day-1"),
    )
    true = truth.assign(
        tas=(truth.tas + 2.5).assign_attrs(units="K"),
        pr=(truth.pr * 1.1).assign_attrs(units="mm day-1"),
    )
    scores = evaluate(warmer, true, reference=(prediction, truth))
    tas, pr = (scores.sel(variable=v) for v in ("tas", "pr"))
    assert float(tas.signal_mean_bias) == pytest.approx(0.5, abs=1e-3)
    assert float(tas.signal_truth_mean) == pytest.approx(2.5, abs=1e-3)
    assert float(pr.signal_mean_bias) == pytest.approx(10, abs=1e-3)
    assert float(pr.signal_p98_truth_mean) == pytest.approx(10, abs=1e-3)
    assert np.allclose(tas.signal_prediction_map, 3, atol=1e-3)


def test_results_describe_themselves(prediction, truth, tmp_path):
    scores = evaluate(prediction, truth)
    for name, own in MEASURES.items():
        if name in scores:
            assert scores[name].attrs["definition"] == own.definition
    assert scores.units.values.tolist() == ["K", "mm day-1"]
    scores.to_netcdf(tmp_path / "scores.nc")
    assert np.isnan(scores.sdii_bias.sel(variable="tas"))
    assert np.isnan(scores.txx_bias.sel(variable="pr"))


def test_other_calendars_and_unstructured_grids_are_scored():
    cell = xr.Dataset(
        coords={
            "lat": ("cell", [40.0, 41.0, 42.0], {"units": "degrees_north"}),
            "lon": ("cell", [5.0, 6.5, 5.5], {"units": "degrees_east"}),
            "time": xr.date_range("2001-01-01", periods=720, calendar="360_day", use_cftime=True),
        }
    )
    values = 280 + np.random.default_rng(0).normal(size=(720, 3))
    x = cell.assign(tas=(("time", "cell"), values, {"units": "K"}))
    y = cell.assign(tas=(("time", "cell"), values + 1, {"units": "K"}))
    scores = evaluate(y, x)
    assert float(scores.bias[0]) == pytest.approx(1)
    assert "ralsd" not in scores


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda ds: ds.rename(tas="t2m", pr="rain"), "share no variable"),
        (
            lambda ds: ds.assign_coords(time=ds.time + np.timedelta64(9999, "D")),
            "no time in common",
        ),
        (lambda ds: ds.assign(tas=ds.tas.assign_attrs(units="degC")), "'degC', expected 'K'"),
        (lambda ds: ds.isel(lat=slice(1, None)), "'lat'"),
        (lambda ds: xr.concat([ds, ds.isel(time=[0])], "time"), "twice"),
        (lambda ds: ds.isel(time=[0, 1]).resample(time="6h").ffill(), "several times a day"),
        (lambda ds: ds.isel(time=0, drop=True), "no time coordinate"),
        (lambda ds: ds.expand_dims(member=2), "'member'"),
    ],
)
def test_wrong_input_is_refused_in_one_sentence(prediction, truth, change, message):
    with pytest.raises(ValueError, match=message):
        evaluate(change(prediction), truth)


def test_an_unknown_measure_is_refused():
    with pytest.raises(ValueError, match="'rsme' is no measure; did you mean 'rmse'"):
        MEASURES["rsme"]
    assert pd.notna(MEASURES["rmse"].perfect)
