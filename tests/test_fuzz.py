"""A few of the cases of benchmarks/fuzz.py: one sentence for whatever is broken."""

import os
from pathlib import Path

import numpy as np
import pytest

BENCHMARKS = Path(__file__).resolve().parents[1] / "benchmarks"


@pytest.fixture
def fuzz(monkeypatch):
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    monkeypatch.chdir(os.getcwd())  # which is restored
    import fuzz

    return fuzz


def failed(told):
    return [case for case in told if case["outcome"] == "broken"]


@pytest.mark.filterwarnings("ignore")
def test_broken_experiments_and_headers_are_told_in_one_sentence(fuzz, tmp_path):
    place = fuzz.Place(tmp_path, trained=False)
    outcomes = []
    for number in range(24):
        random, folder = np.random.default_rng([9, number]), place.fresh()
        if number % 2:
            fuzz.change_experiment(folder / "e.yaml", random)
            outcomes.append(fuzz.call(["check", "--experiment", "e.yaml"]))
        else:
            fuzz.change_netcdf(folder / "source.nc", random)
            outcomes.append(fuzz.call(["check", "source.nc"]))
    assert not [said for outcome, said in outcomes if outcome == "broken"]


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
@pytest.mark.usefixtures("compiled_in_haste")
def test_broken_emulators_and_checkpoints_are_told_in_one_sentence(fuzz, tmp_path):
    place = fuzz.Place(tmp_path)
    told = [fuzz.play(place, number, 9, list(fuzz.CASES)) for number in range(8)]
    assert failed(told) == []
