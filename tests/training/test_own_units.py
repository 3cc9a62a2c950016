"""Variables outside the catalogue: one unit in training, conversion to it, their own attributes."""

import numpy as np
import pytest

from graphdown.comparison import evaluate_run
from graphdown.config.experiment_file import parse_experiment
from graphdown.data.load import load_data
from graphdown.emulator.storage import load
from graphdown.errors import DataError
from graphdown.training import train

from .conftest import COARSE, FINE, OTHER, TIME, source, truth

LINE = {
    "units": "m",
    "standard_name": "height_above_sea_level",
    "long_name": "Height of the snow line",
    "cell_methods": "area: mean time: mean",
}


def with_line(ds, grid, factor, attrs):
    """Dataset with a variable that the catalogue lacks, in some units, and a long name of tas."""
    values = factor * 100.0 * (grid.values(ds.tas) - 270.0)
    line = grid.dataarray(values.astype("f4"), "snowline", ("time",), {"time": TIME}, attrs)
    tas = ds.tas.assign_attrs(long_name="2 metre temperature", cell_methods="time: mean")
    return ds.assign(snowline=line, tas=tas)


def asked(folder, sources="ab", **changes):
    """An experiment on the files of a folder."""
    raw = {
        "name": "tiny",
        "output": str(folder / "run"),
        "predictors": ["tas", "snowline"],
        "targets": ["tas", "snowline"],
        "data": {
            "target": {"files": [str(folder / "fine.nc")]},
            "sources": [{"name": n, "files": [str(folder / f"{n}.nc")]} for n in sources],
        },
        "periods": {
            "train": ["2001-01-01", "2001-02-28"],
            "validation": ["2001-03-01", "2001-03-14"],
            "test": ["2001-03-15", "2001-03-31"],
        },
        "graph": {"mesh_level": 4, "encode_radius_km": 400},
        "model": {"channels": 4, "rounds": 1, "target_channels": 4},
        "training": {"steps": 2, "batch_size": 4, "validate_every": 2, "devices": 1},
        "baselines": ["bilinear"],
    }
    return parse_experiment(raw | changes, "the test")


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A run on a target in m and sources in km and cm, all made of the same weather."""
    folder = tmp_path_factory.mktemp("units")
    with_line(truth(), FINE, 1.0, LINE).to_netcdf(folder / "fine.nc")
    with_line(source(COARSE), COARSE, 1e-3, {"units": "km"}).to_netcdf(folder / "a.nc")
    with_line(source(OTHER), OTHER, 1e2, {"units": "cm"}).to_netcdf(folder / "b.nc")
    experiment = asked(folder)
    return folder, experiment, load_data(experiment), train(experiment)


def test_sources_are_converted_to_the_units_of_the_target(run):
    _, experiment, data, emulator = run
    assert emulator.normaliser.known_units == {"snowline": "m"}
    for grid, name in ((COARSE, "a"), (OTHER, "b")):
        line, tas = (grid.values(data.sources[name][n]) for n in ("snowline", "tas"))
        np.testing.assert_allclose(line, 100.0 * (tas - 270.0), rtol=1e-4, atol=0.1)
        assert data.sources[name].snowline.attrs["units"] == "m"
    in_km = load_data(experiment, known_units={"snowline": "km"})
    np.testing.assert_allclose(in_km.fine.snowline, 1e-3 * data.fine.snowline, rtol=1e-5)
    assert in_km.sources["b"].snowline.attrs["units"] == "km"


@pytest.mark.parametrize(("units", "factor"), [("km", 1e-3), ("cm", 1e2), ("feet", 1 / 0.3048)])
def test_inputs_are_converted_to_the_units_of_the_training(run, units, factor):
    emulator = run[3]
    expected = emulator.downscale(with_line(source(COARSE), COARSE, 1.0, {"units": "m"}))
    made = emulator.downscale(with_line(source(COARSE), COARSE, factor, {"units": units}))
    for name in ("tas", "snowline"):
        np.testing.assert_allclose(made[name], expected[name], rtol=1e-4, atol=0.02)


@pytest.mark.parametrize(
    ("attrs", "rule"), [({"units": "K"}, "units-unknown"), ({}, "units-missing")]
)
def test_inputs_of_another_kind_or_of_none_are_refused(run, attrs, rule):
    with pytest.raises(DataError, match="'snowline'") as caught:
        run[3].downscale(with_line(source(COARSE), COARSE, 1.0, attrs))
    assert caught.value.rule == rule


def test_outputs_have_the_attributes_of_the_target(run):
    folder, _, _, emulator = run
    for used in (emulator, load(folder / "run")):
        out = used.downscale(with_line(source(COARSE), COARSE, 1e-3, {"units": "km"}))
        assert {key: out.snowline.attrs[key] for key in LINE} == LINE
        assert out.tas.attrs["long_name"] == "2 metre temperature"
        assert out.tas.attrs["standard_name"] == "air_temperature" and out.tas.units == "K"


def test_a_run_with_a_variable_of_its_own_is_evaluated(run):
    scores, _ = evaluate_run(run[0] / "run")
    of_line = scores[scores["variable"] == "snowline"]
    assert {"graphdown", "bilinear"} <= set(of_line["method"])
    assert "m" in set(of_line["units"])


def test_a_target_of_tiny_numbers_is_learned_like_one_of_large_ones(tmp_path):
    made = []
    for units, factor in (("m", 1.0), ("Gm", 1e-9)):
        folder = tmp_path / units
        folder.mkdir()
        with_line(truth(), FINE, factor, {"units": units}).to_netcdf(folder / "fine.nc")
        source(COARSE).to_netcdf(folder / "a.nc")
        training = {"steps": 10, "batch_size": 4, "validate_every": 10, "devices": 1}
        changes = {"predictors": ["tas"], "targets": ["snowline"], "baselines": ["ridge"]}
        emulator = train(asked(folder, "a", training=training, **changes))
        made.append(emulator.downscale(source(COARSE)).snowline / factor)
    spread = float(made[0].std())
    np.testing.assert_allclose(made[1], made[0], atol=1e-3 * spread)
