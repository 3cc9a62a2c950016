"""Days of an input that are wrong or far from the training: refused or noticed, never silent."""

import dataclasses

import numpy as np
import pytest
import xarray as xr

from graphdown.cli import main
from graphdown.data.normalise import Normaliser
from graphdown.emulator.domain import TargetDomain
from graphdown.emulator.storage import save
from graphdown.errors import DataError
from graphdown.model import ModelSpec
from meshes import GraphSpec, Grid
from tests.emulators import random_emulator

pytestmark = pytest.mark.usefixtures("compiled_in_haste")

MODEL = ModelSpec(channels=4, rounds=1, target_channels=4)
NORMALISER = Normaliser(
    ("tas", "siconc"),
    ("tas",),
    (280, 0.5),
    (2, 0.1),
    (0,),
    (1,),
    least=(275, 0.0),
    greatest=(285, 0.2),
)
TARGET = Grid.regular(0.5, 0.5, (-1.0, 43.0, 2.0, 45.5))
GRID = Grid.regular(4.0, 4.0, (-12.0, 34.0, 12.0, 54.0))
TIME = xr.date_range("2050-01-01", periods=40)
NEAR = int(np.argmin(np.hypot(GRID.lon, GRID.lat - 44.0)))


def source(**changes):
    values = {"tas": np.full((40, GRID.size), 280.0), "siconc": np.full((40, GRID.size), 0.1)}
    for name, (day, value) in changes.items():
        values[name][day, NEAR] = value
    fields = {
        name: GRID.dataarray(
            values[name].astype(np.float32), name, ("time",), {"time": TIME}, {"units": units}
        )
        for name, units in (("tas", "K"), ("siconc", "1"))
    }
    return xr.Dataset(fields)


@pytest.fixture(scope="module")
def emulator():
    domain = TargetDomain(TARGET, xr.Dataset(), GraphSpec(mesh_level=5, encode_radius_km=600.0))
    return random_emulator(MODEL, NORMALISER, domain)


def test_a_day_in_other_units_is_refused_and_nothing_is_written(emulator, tmp_path, capsys):
    save(emulator, tmp_path / "run" / "emulator")
    source(tas=(8, 6.0)).to_netcdf(tmp_path / "in.nc")
    for output in ("out.nc", "out.zarr"):
        with pytest.raises(SystemExit):
            main(
                [
                    *("downscale", str(tmp_path / "run"), str(tmp_path / "in.nc")),
                    *("-o", str(tmp_path / output)),
                ]
            )
        assert "in.nc on 2050-01-09: 'tas' has values of 6" in capsys.readouterr().err
        assert not (tmp_path / output).exists()


def test_predictors_far_from_the_training_are_noticed_once(emulator, caplog):
    emulator.downscale(source(siconc=(33, 0.9)))
    (sentence,) = [r.getMessage() for r in caplog.records if "far outside" in r.getMessage()]
    assert "'siconc' on 1 time, the most on 2050-02-03 (7 standard deviations" in sentence


def test_or_refused(emulator):
    with pytest.raises(DataError, match="'siconc' on 1 time, the most on 2050-02-03"):
        emulator.downscale(source(siconc=(33, 0.9)), refuse_beyond=True)


def test_predictors_near_the_training_are_not_noticed(emulator, caplog):
    emulator.downscale(source(siconc=(33, 0.3), tas=(2, 290.0)), refuse_beyond=True)
    assert not caplog.records


def test_outputs_that_cannot_be_are_noticed(emulator, caplog):
    wild = dataclasses.replace(emulator.normaliser, scale=(1e4,))
    dataclasses.replace(emulator, normaliser=wild).downscale(source())
    assert "'tas' is outside 160 to 345 K on 40 times" in caplog.text
