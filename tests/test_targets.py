"""An emulator of wind speed, sunlight and humidity, from files in other units to its report."""

from dataclasses import replace

import numpy as np
import pytest
import xarray as xr

from graphdown.comparison import evaluate_run, fit_baselines
from graphdown.config.experiment_file import parse_experiment
from graphdown.data.load import load_data
from graphdown.emulator.storage import load
from graphdown.output.writer import write
from graphdown.training import train
from meshes import Grid

from .output.test_writer import complaints

pytestmark = pytest.mark.usefixtures("compiled_in_haste")
FINE = Grid.regular(1.0, 1.0, (0.0, 40.0, 6.0, 46.0))
COARSE = Grid.regular(2.0, 2.0, (-6.0, 34.0, 12.0, 52.0))
DAYS = 59
TARGETS = ("sfcWind", "rsds", "hurs")
BOUNDS = {"sfcWind": (0.0, np.inf), "rsds": (0.0, np.inf), "hurs": (0.0, 1.0)}
# Units of the source and of the target, and how many of them make a canonical one.
SOURCE_UNITS = {"sfcWind": ("km h-1", 3.6), "rsds": ("J m-2", 86400.0), "hurs": ("%", 100.0)}
TARGET_UNITS = {"sfcWind": ("knot", 3600 / 1852), "rsds": ("W m-2", 1.0), "hurs": ("%", 100.0)}
CANONICAL = {"sfcWind": "m s-1", "rsds": "W m-2", "hurs": "1"}
PERIODS = {
    "train": ["2001-01-01", "2001-02-09"],
    "validation": ["2001-02-10", "2001-02-19"],
    "test": ["2001-02-20", "2001-02-28"],
}


def weather(grid):
    """Fields [DAYS, N] in canonical units that are often calm, dark or saturated."""
    amplitude = np.random.default_rng(0).normal(size=(DAYS, 3))
    x, y = np.radians(50 * grid.lon), np.radians(40 * grid.lat)
    wave = amplitude @ np.stack([np.ones_like(x), np.sin(x), np.cos(y)])
    return {
        "sfcWind": np.maximum(2 + 3 * wave, 0.0),
        "rsds": np.maximum(60 + 90 * wave, 0.0),
        "hurs": np.clip(0.85 + 0.2 * wave, 0.05, 1.0),
    }


def written(path, grid, units):
    """Write the weather to a file in some units."""
    time = {"time": xr.date_range("2001-01-01T12", periods=DAYS)}
    fields = {}
    for name, values in weather(grid).items():
        of_file, factor = units[name]
        attrs = {"units": of_file}
        if of_file == "J m-2":
            attrs["cell_methods"] = "time: sum"
        values = (factor * values).astype(np.float32)
        fields[name] = grid.dataarray(values, name, ("time",), time, attrs)
    xr.Dataset(fields).to_netcdf(path)
    return str(path)


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """The folder of a short training on files, the experiment and its data."""
    folder = tmp_path_factory.mktemp("targets")
    source = written(folder / "source.nc", COARSE, SOURCE_UNITS)
    target = written(folder / "target.nc", FINE, TARGET_UNITS)
    raw = {
        "name": "Wind, sun and humidity",
        "output": str(folder / "run"),
        "predictors": list(TARGETS),
        "targets": list(TARGETS),
        "data": {"target": {"files": [target]}, "sources": [{"name": "gcm", "files": [source]}]},
        "periods": PERIODS,
        "graph": {"mesh_level": 4, "encode_radius_km": 500},
        "model": {"channels": 4, "rounds": 1, "target_channels": 4, "noise": 2},
        "training": {
            "steps": 4,
            "batch_size": 4,
            "validate_every": 4,
            "members": 2,
            "losses": dict.fromkeys(TARGETS, "crps"),
            "devices": 1,
        },
    }
    experiment = parse_experiment(raw, "the test")
    data = load_data(experiment)
    train(experiment, data)
    return folder / "run", experiment, data


@pytest.fixture(scope="module")
def coarse(run):
    return xr.open_dataset(run[0].parent / "source.nc", decode_timedelta=False)


def beyond_bounds(emulator):
    """The emulator with a correction that takes every value far beyond a bound."""
    bias = np.asarray([-1e4, -1e4, 1e4], np.float32)
    return replace(emulator, params={**emulator.params, "head.bias": bias})


def check_within_bounds(fields):
    for name, (low, high) in BOUNDS.items():
        values = fields[name].values[np.isfinite(fields[name].values)]
        assert values.size and values.min() >= low and values.max() <= high


def test_units_of_files_become_canonical(run):
    _, experiment, data = run
    coarse, fine = data.pair(experiment, "gcm", "train")
    for grid, fields in ((COARSE, coarse), (FINE, fine)):
        for name, expected in weather(grid).items():
            assert fields[name].attrs["units"] == CANONICAL[name]
            made = grid.values(fields[name])
            np.testing.assert_allclose(made, expected[: len(made)], rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("members", [0, 3])
def test_bounds_hold_in_single_fields_and_in_members(run, coarse, members):
    emulator = load(run[0])
    check_within_bounds(emulator.downscale(coarse, members=members))
    cut = beyond_bounds(emulator).downscale(coarse, members=members)
    assert (cut.sfcWind == 0.0).all() and (cut.rsds == 0.0).all() and (cut.hurs == 1.0).all()


def test_bounds_hold_in_every_baseline(run):
    _, experiment, data = run
    coarse, _ = data.pair(experiment, "gcm", "test")
    methods = fit_baselines(experiment, data).methods("gcm")
    assert {"bilinear", "ridge", "quantile mapping"} <= set(methods)
    # Days beyond those of the fit: calmer, darker and more humid.
    beyond = coarse * 0.5
    beyond["hurs"] = coarse["hurs"] + 0.3
    beyond["sfcWind"] = coarse["sfcWind"] - 3.0
    for name in TARGETS:
        beyond[name].attrs = coarse[name].attrs
    for predict in methods.values():
        check_within_bounds(predict(coarse))
        check_within_bounds(predict(beyond))


@pytest.mark.parametrize("members", [0, 2])
def test_attributes_are_whole_by_the_cf_checker(run, coarse, members, tmp_path):
    fine = load(run[0]).downscale(coarse, members=members)
    write(fine, tmp_path / "fine.nc", "graphdown downscale")
    assert complaints(tmp_path / "fine.nc") == []
    standard_names = {
        "sfcWind": "wind_speed",
        "rsds": "surface_downwelling_shortwave_flux_in_air",
        "hurs": "relative_humidity",
    }
    with xr.open_dataset(tmp_path / "fine.nc") as ds:
        for name, standard_name in standard_names.items():
            assert ds[name].attrs["units"] == CANONICAL[name]
            assert ds[name].attrs["standard_name"] == standard_name
            assert ds[name].attrs["cell_methods"] == "time: mean"
        assert ds.rsds.attrs["long_name"] == "Surface downwelling shortwave radiation"
        assert ds.sfcWind.attrs["long_name"] == "Daily mean near-surface wind speed"
        assert ds.hurs.attrs["long_name"] == "Near-surface relative humidity"


def test_the_report_has_the_titles_and_units_of_the_variables(run):
    folder, _, data = run
    scores, page = evaluate_run(folder, data)
    text = page.read_text(encoding="utf-8")
    for title in (
        "Ordinary day, 2001-02-",
        "near-surface wind speed",
        "surface downwelling shortwave radiation",
        "near-surface relative humidity",
        "Surface downwelling shortwave radiation: quantiles",
        "sfcWind [m/s]",
        "rsds [W m-2]",
    ):
        assert title in text
    assert "Wettest day" not in text and 'class="first top">hurs</th>' in text
    units = scores[scores["measure"] == "rmse"].set_index("variable")["units"]
    assert {name: units[name].iloc[0] for name in TARGETS} == CANONICAL
    assert not set(scores["measure"]) & {"r01_bias", "txx_bias"}
