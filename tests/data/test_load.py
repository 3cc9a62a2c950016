import numpy as np
import pytest
import xarray as xr

from graphdown.data.load import load_data, upscaled
from graphdown.errors import DataError
from graphdown.experiment import parse_experiment
from meshes import Grid


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
    coarse = upscaled(fine, xr.Dataset(), 2)
    raw = fine.tas.values
    expected = (
        raw[:, ::2, :-1:2] + raw[:, 1::2, :-1:2] + raw[:, ::2, 1::2] + raw[:, 1::2, 1::2]
    ) / 4
    np.testing.assert_allclose(coarse.tas.values, expected, rtol=1e-6)


def test_an_experiment_is_loaded_and_paired(tmp_path, fine):
    asked = experiment(tmp_path, fine)
    data = load_data(asked)
    coarse, truth = data.pair(asked, "up", "train")
    assert coarse.sizes["time"] == truth.sizes["time"] == 5


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
