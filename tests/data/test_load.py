import contextlib
import gc
import logging
import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import xarray as xr

from graphdown.config.experiment_file import load_experiment, parse_experiment
from graphdown.data.load import LoadRequest, load_data, source_arrays, upscaled
from graphdown.data.reading.horizontal import horizontal_grid
from graphdown.errors import DataError
from graphdown.training.paired_days import training_days
from meshes import Grid, RandomGrids

from .files import make


@pytest.fixture
def fine():
    axis = 0.5 * np.arange(7)
    grid = Grid.rotated(-162.0, 39.25, axis, axis[:6])
    time = xr.date_range("2000-01-01", periods=9)
    values = np.random.default_rng(0).normal(280.0, 5.0, (9, grid.size))
    return grid.dataarray(values, "tas", ("time",), {"time": time}, {"units": "K"}).to_dataset()


def experiment(tmp_path, fine, **changes):
    fine.to_netcdf(tmp_path / "fine.nc")
    target = {"files": [str(tmp_path / "fine.nc")], **changes.pop("target", {})}
    source = {"name": "up", "upscale": 2, **changes.pop("source", {})}
    raw = {
        "name": "x",
        "output": "x",
        "predictors": ["tas"],
        "targets": ["tas"],
        "data": {"target": target, "sources": [source]},
        "periods": {
            "train": ["2000-01-01", "2000-01-05"],
            "validation": ["2000-01-06", "2000-01-07"],
            "test": ["2000-01-08", "2000-01-09"],
        },
    }
    return parse_experiment({**raw, **changes}, "x.yaml")


def test_block_means_equal_a_hand_computation(fine):
    coarse = upscaled(fine, 2)
    raw = fine.tas.values
    expected = (
        raw[:, ::2, :-1:2] + raw[:, 1::2, :-1:2] + raw[:, ::2, 1::2] + raw[:, 1::2, 1::2]
    ) / 4
    np.testing.assert_allclose(coarse.tas.values, expected, rtol=1e-6)


def test_what_is_loaded_does_not_depend_on_the_network(tmp_path, fine):
    asked = experiment(tmp_path, fine)
    other = experiment(tmp_path, fine, model={"channels": 8}, training={"steps": 3}, seed=5)
    assert other != asked and LoadRequest.of(other) == LoadRequest.of(asked)


def test_an_experiment_is_loaded_and_paired(tmp_path, fine):
    asked = experiment(tmp_path, fine)
    data = load_data(asked)
    coarse, truth = data.pair(asked, "up", "train")
    assert coarse.sizes["time"] == truth.sizes["time"] == 5


@pytest.mark.parametrize("kept", ["memory", "disk"])
@pytest.mark.parametrize("upscale", [1, 2])
def test_a_source_has_the_truth_of_its_own_files(tmp_path, fine, kept, upscale):
    """As GCMs do that each drive the regional model: other weather, same grid."""
    other = fine + 7.0
    other["tas"].attrs = fine["tas"].attrs
    other.to_netcdf(tmp_path / "other.nc")
    asked = experiment(tmp_path, fine)
    (first,) = asked.data.sources
    grids = RandomGrids(count=2, spacing=(1.0, 2.0)) if upscale == 1 else None
    second = replace(
        first,
        name="other",
        target_files=(str(tmp_path / "other.nc"),),
        upscale=upscale,
        grids=grids,
    )
    asked = replace(asked, data=replace(asked.data, sources=(first, second)))
    data = load_data(asked, tmp_path / "store" if kept == "disk" else None)
    _, truth = data.fields(asked, "up", "train")
    coarse, theirs = data.fields(asked, "other", "train")
    np.testing.assert_allclose(theirs["tas"], truth["tas"] + 7.0, rtol=1e-6)
    np.testing.assert_array_equal(truth["tas"], fine["tas"].isel(time=slice(5)).astype("f4"))
    means = upscaled(theirs[["tas"]], 2) if upscale == 2 else theirs
    np.testing.assert_allclose(coarse["tas"], means["tas"], rtol=1e-6)
    grid = horizontal_grid(data.fine, ["tas"], "the target")
    for name, own in (("up", truth), ("other", theirs)):
        days = training_days(data, asked, name, grid)
        np.testing.assert_array_equal(days.fine[:][..., 0], grid.values(own["tas"]))


def test_a_truth_on_another_grid_is_refused(tmp_path, fine):
    fine.isel(rlon=slice(1, None)).to_netcdf(tmp_path / "other.nc")
    asked = experiment(tmp_path, fine, source={"target_files": [str(tmp_path / "other.nc")]})
    with pytest.raises(DataError, match="the target of the source 'up' is on another grid"):
        load_data(asked)


def test_an_unseen_source_needs_no_truth_of_the_training(tmp_path, fine):
    fine.isel(time=slice(5, None)).to_netcdf(tmp_path / "other.nc")
    asked = experiment(tmp_path, fine)
    files = (str(tmp_path / "other.nc"),)
    later = replace(asked.data.sources[0], name="later", target_files=files)
    loaded = load_data(replace(asked, data=replace(asked.data, unseen=(later,))))
    assert loaded.pair(asked, "later", "test")[1].sizes["time"] == 2
    with pytest.raises(DataError, match="'periods.train' of the target of the source 'later'"):
        load_data(replace(asked, data=replace(asked.data, sources=(later,))))


WRONG = {
    "outside": (
        {
            "periods": {
                "train": ["1990", "1991"],
                "validation": ["2000", "2000"],
                "test": ["2000", "2000"],
            }
        },
        "'periods.train' of the target.*choose a period within",
    ),
    "cut": ({"target": {"cut": {"rlon": [0, 99]}}}, "'data.target.cut'.*choose first and end"),
    "absent": ({"targets": ["pr"]}, "'data.target'.*'pr' is absent.*correct the name"),
    "file": ({"target": {"files": ["none*.nc"]}}, "'data.target'.*'none\\*.nc'; check the path"),
    "source file": (
        {"source": {"upscale": None, "files": ["none.nc"]}},
        "the source 'up'.*'none.nc'; check the path",
    ),
    "upscale": ({"source": {"upscale": 50}}, "'upscale: 50' cannot be done"),
}


@pytest.mark.parametrize("case", WRONG)
def test_wrong_data_is_answered_by_one_sentence(case, tmp_path, fine):
    changes, pattern = WRONG[case]
    with pytest.raises(DataError, match=pattern):
        load_data(experiment(tmp_path, fine, **changes))


LON, LAT = np.arange(-20.0, 16.0, 2.0), np.arange(30.0, 52.0, 2.0)


def pair_of(tmp_path, coarse, fine=None, predictors=("tas",), source=None, days=10):
    """Return an experiment of two files: a 2 degree source around a 1 degree target."""
    inner = {"lon": np.arange(-8.0, 4.0), "lat": np.arange(38.0, 44.0)}
    fine = make(**inner, days=days) if fine is None else fine
    coarse.to_netcdf(tmp_path / "coarse.nc")
    fine.to_netcdf(tmp_path / "fine.nc")
    given = {"name": "gcm", "files": [str(tmp_path / "coarse.nc")], **(source or {})}
    raw = {
        "name": "x",
        "output": "x",
        "predictors": list(predictors),
        "targets": ["tas"],
        "data": {"target": {"files": [str(tmp_path / "fine.nc")]}, "sources": [given]},
        "periods": {
            "train": ["2000-01-01", "2000-01-05"],
            "validation": ["2000-01-06", "2000-01-07"],
            "test": ["2000-01-08", "2000-01-09"],
        },
    }
    return parse_experiment(raw, "x.yaml")


def wide(*names, **options):
    return make(*names, lon=LON, lat=LAT, **options)


def late_error():
    coarse = wide(days=9)
    coarse.tas[1, 2, 3] = 20.0
    return coarse


def units_missing():
    coarse = wide()
    del coarse.tas.attrs["units"]
    return coarse


def notes_of(data):
    return {note.rule: note.text for note in data.understood["gcm"].notes}


def test_only_the_periods_are_kept_and_days_without_partner_are_counted_and_logged(
    tmp_path, caplog
):
    coarse = wide(days=366, calendar="noleap").isel(time=[i for i in range(366) if i != 3])
    with caplog.at_level(logging.INFO, "graphdown"):
        data = load_data(pair_of(tmp_path, coarse))
    assert data.sources["gcm"].sizes["time"] == 8 and data.fine.sizes["time"] == 9
    assert notes_of(data)["unpaired"] == "0 days of the source and 1 of the target have no partner"
    assert sum("have no partner" in line for line in caplog.messages) == 1


def test_sea_cells_of_the_target_are_masked_and_its_empty_days_left_out(tmp_path):
    fine = make(lon=np.arange(-8.0, 4.0), lat=np.arange(38.0, 44.0))
    fine["tas"] = fine.tas.where(fine.lon > -6).where(fine.time != fine.time[2])
    fine.tas.attrs["units"] = "K"
    data = load_data(pair_of(tmp_path, wide(), fine))
    assert data.fine.sizes["time"] == 8
    assert "empty-days-dropped" in {n.rule for n in data.understood["target"].notes}
    assert np.isnan(data.fine.tas.values).any()
    from graphdown.data.reading.horizontal import horizontal_grid

    mask = horizontal_grid(data.fine, ["tas"], "here").mask.reshape(6, 12)
    assert not mask[:, :3].any() and mask[:, 3:].all()


def test_points_below_ground_take_the_nearest_value_of_the_day(tmp_path):
    coarse = wide("tas", "ta").rename(ta="ta850")
    hidden = coarse.ta850.values.copy()
    hidden[0, 4, 5] = hidden[:, 6, 7] = np.nan
    coarse["ta850"] = coarse.ta850.copy(data=hidden)
    data = load_data(pair_of(tmp_path, coarse, predictors=("tas", "ta850")))
    filled = data.sources["gcm"].ta850.values
    assert np.isfinite(filled).all()
    assert filled[0, 4, 5] in (hidden[0, 4, 4], hidden[0, 4, 6])  # closer along the parallel
    assert notes_of(data)["below-ground-filled"].startswith("10 values below ground")


def test_a_day_without_a_predictor_is_left_out(tmp_path):
    coarse = wide("tas", "psl")
    coarse["psl"] = coarse.psl.where(coarse.time != coarse.time[4])
    coarse.psl.attrs["units"] = "Pa"
    data = load_data(pair_of(tmp_path, coarse, predictors=("tas", "psl")))
    assert "1 day without values" in notes_of(data)["empty-days-dropped"]


def test_a_missing_value_of_the_surface_is_refused(tmp_path):
    coarse = wide("tas", "psl")
    coarse.psl[0, 4, 5] = np.nan
    ds = load_data(pair_of(tmp_path, coarse, predictors=("tas", "psl"))).sources["gcm"]
    with pytest.raises(DataError, match="gcm: 1 value is missing, the first in 'psl'; fill"):
        source_arrays(ds, ("tas", "psl"), "gcm")


def test_source_points_that_never_have_a_value_are_masked(tmp_path):
    coarse = wide()
    coarse["tas"] = coarse.tas.where(coarse.lon > -18)
    coarse.tas.attrs["units"] = "K"
    ds = load_data(pair_of(tmp_path, coarse)).sources["gcm"]
    grid, values = source_arrays(ds, ("tas",), "gcm")
    assert (~grid.mask).sum() == 2 * len(LAT) and np.isfinite(values).all()


@pytest.mark.parametrize("coarse", [wide, late_error, units_missing], ids=lambda b: b.__name__)
def test_files_are_closed_when_their_values_are_read_or_refused(coarse, tmp_path):
    gc.disable()
    try:
        with contextlib.suppress(DataError):
            load_data(pair_of(tmp_path, coarse()))
        for name in ("fine.nc", "coarse.nc"):  # HDF5 refuses to write a file that is open
            wide().to_netcdf(tmp_path / name)
    finally:
        gc.enable()


def test_a_source_that_ends_in_the_margin_is_noticed(tmp_path):
    inner = make(lon=np.arange(-8.0, 6.0, 2.0), lat=np.arange(38.0, 46.0, 2.0))
    assert "400 km" in notes_of(load_data(pair_of(tmp_path, inner)))["margin"]


def test_a_source_that_reaches_over_the_margin_is_not(tmp_path):
    assert "margin" not in notes_of(load_data(pair_of(tmp_path, wide())))


def away():
    return make(lon=LON + 100.0, lat=LAT)


def half():
    return make(lon=np.arange(-20.0, -4.0, 2.0), lat=LAT)


def swapped():
    return make(lon=np.arange(30.0, 50.0, 2.0), lat=np.arange(-12.0, 8.0, 2.0))


def monthly():
    return wide(freq="MS", days=24)


def sub_daily():
    return wide(freq="6h", days=60)


REFUSED = {
    away: ("outside", "the source 'gcm': it .lat 30.0 to .* covers 0 % of the target .*; choose a"),
    half: ("outside", "covers 33.3 % of the target .*; choose a source around the target"),
    swapped: ("outside", "with latitude and longitude exchanged it would cover .*exchange their"),
    monthly: ("not-daily", "gcm.*the values are monthly, but daily ones are needed; give daily"),
    sub_daily: ("sub-daily", "gcm.*the values are 6-hourly.*add 'daily: mean' beside the files"),
    late_error: ("out-of-range", "coarse.nc on 2000-01-02: 'tas' has values of 20"),
}


@pytest.mark.parametrize("build", REFUSED, ids=lambda build: build.__name__)
def test_a_source_that_does_not_serve_is_refused(build, tmp_path):
    rule, pattern = REFUSED[build]
    with pytest.raises(DataError, match=pattern) as caught:
        load_data(pair_of(tmp_path, build()))
    assert caught.value.rule == rule


def test_the_refused_sub_daily_source_is_taken_as_daily_means(tmp_path):
    data = load_data(pair_of(tmp_path, sub_daily(), source={"daily": "mean"}))
    assert data.sources["gcm"].sizes["time"] == 9
    np.testing.assert_allclose(
        data.sources["gcm"].tas[0], sub_daily().tas[:4].mean("time"), rtol=1e-6
    )


@pytest.mark.skipif("GRAPHDOWN_DATA" not in os.environ, reason="GRAPHDOWN_DATA names no folder")
def test_ncep_to_eobs_loads_from_two_grids_and_keeps_the_sea_masked():
    configs = Path(__file__).parents[2] / "configs"
    asked = load_experiment(configs / "iberia_observed.yaml")
    data = load_data(asked)
    coarse, fine = data.pair(asked, "NCEP", "test")
    assert coarse.sizes["time"] == fine.sizes["time"] == 180
    regridded = [n.variable for n in data.understood["NCEP"].notes if n.rule == "regridded"]
    assert regridded == ["psl", "ta850", "hus850"]
    grid, values = source_arrays(coarse, asked.predictors, "NCEP")
    assert values.shape == (180, 48, 5) and np.isfinite(values).all()
    from graphdown.data.reading.horizontal import horizontal_grid

    mask = horizontal_grid(data.fine, ["tas", "pr"], "E-OBS").mask
    assert mask.sum() == np.isfinite(data.fine.pr.values).any(0).sum() == 328
    assert np.isfinite(data.statics.orog.values).all()
