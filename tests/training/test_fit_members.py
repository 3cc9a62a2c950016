"""Dependence and calibration of a trained run: fitted once, kept with its emulator."""

import numpy as np
import pytest

from graphdown.emulator.dependence import Dependence
from graphdown.emulator.storage import load
from graphdown.training import train
from graphdown.training.fit_members import runs_of_days

from .conftest import COARSE, make_experiment, source

BOTH = {"fit_dependence": True, "calibrate": True}
HEADS = {"heads": {"pr": "bernoulli-egp", "tas": "censored-normal"}}


def test_days_come_in_runs_that_follow_each_other():
    days = runs_of_days(1000, 100)
    assert len(days) == 96 and days[0] == 0 and days[-1] == 999
    assert (np.diff(days) == 1).sum() == 93
    np.testing.assert_array_equal(runs_of_days(50, 64), np.arange(50))


@pytest.mark.slow
def test_a_run_fits_its_members_once_and_keeps_them(data, tmp_path):
    experiment = make_experiment(tmp_path / "run", data, HEADS, fits=BOTH)
    made = train(experiment, data)
    kept = load(tmp_path / "run")
    assert kept.dependence == made.dependence and kept.calibration == made.calibration
    fitted = made.dependence
    assert all(20 <= length <= 2000 for length in fitted.lengths_km) and len(fitted.decays) == 2
    assert -1 < fitted.between[0][1] == fitted.between[1][0] < 1
    assert len(made.calibration.corrections) == 2
    before = (tmp_path / "run" / "emulator" / "emulator.json").stat().st_mtime_ns
    train(experiment, data)
    assert (tmp_path / "run" / "emulator" / "emulator.json").stat().st_mtime_ns == before
    plain = make_experiment(tmp_path / "plain", data, HEADS)
    other, coarse = train(plain, data), source(COARSE).isel(time=slice(4))
    assert other.dependence == Dependence() and other.calibration is None
    for name, value in other.params.items():
        np.testing.assert_array_equal(value, made.params[name])
    pair = [e.downscale(coarse, members=2)["pr"] for e in (made, other)]
    assert (pair[0] != pair[1]).any() and float(pair[0].min()) >= 0


@pytest.mark.slow
def test_the_noise_of_a_network_gets_a_decay_of_its_own(data, tmp_path):
    crps = {"losses": {"pr": "crps", "tas": "crps"}, "fits": {"fit_dependence": True}}
    made = train(make_experiment(tmp_path / "run", data, {"noise": 3}, **crps), data)
    assert made.dependence.lengths_km == () and 0 <= made.dependence.noise_decay <= 0.95
    assert load(tmp_path / "run").dependence == made.dependence
