"""Real processes that train and are killed: the same command ends as if nothing had been."""

import csv
import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import yaml

from graphdown.config.experiment_file import experiment_to_dict
from graphdown.emulator.storage import load

from ..conftest import COARSE, FINE, make_experiment, orography, source, truth

KILLED = """
import os, sys
from graphdown.cli import main
import graphdown.training.{module} as module

owner, name, calls = module.{owner}, "{name}", []
real = getattr(owner, name)

def struck(*arguments, **options):
    calls.append(1)
    if len(calls) == {call}:
        os.kill(os.getpid(), {signal})
    return real(*arguments, **options)

setattr(owner, name, struck)
main(sys.argv[1:])
"""
STRIKES = [
    ("trainer", "Trainer", "batch", 4, signal.SIGKILL, -9),
    ("run.checkpoint", "Checkpoints", "save", 1, signal.SIGKILL, -9),
    ("trainer", "Trainer", "keep", 1, signal.SIGKILL, -9),
    ("trainer", "Trainer", "batch", 9, signal.SIGUSR1, 128 + signal.SIGUSR1),
    ("trainer", "Trainer", "errors", 2, signal.SIGTERM, 143),
]


@pytest.fixture
def here(tmp_path, monkeypatch, data):
    """A folder with files to train on, and an experiment that names them."""
    monkeypatch.chdir(tmp_path)
    source(COARSE).to_netcdf("source.nc")
    truth().merge(orography(FINE)).to_netcdf("target.nc")
    raw = experiment_to_dict(make_experiment("unused", data))
    raw["data"]["target"]["files"] = ["target.nc"]
    raw["data"]["sources"][0]["files"] = ["source.nc"]
    Path("mine.yaml").write_text(yaml.safe_dump(raw), encoding="utf-8")
    kept = {"JAX_COMPILATION_CACHE_DIR": str(tmp_path / "jax"), "JAX_PLATFORMS": "cpu"}
    small_too = {"JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0"}
    return os.environ | kept | small_too


def training(environment, output, script="from graphdown.cli import main; main()"):
    words = ["train", "mine.yaml", "--set", f"output={output}"]
    command = [sys.executable, "-c", script, *words]
    return subprocess.run(command, env=environment, capture_output=True, text=True)


def rows(output):
    """What metrics.csv holds, times left out."""
    with open(Path(output) / "metrics.csv", encoding="utf-8", newline="") as file:
        return [{k: v for k, v in row.items() if k != "seconds"} for row in csv.DictReader(file)]


@pytest.mark.slow
def test_killed_processes_leave_what_the_same_command_finishes(here):
    assert training(here, "whole").returncode == 0
    for module, owner, name, call, number, status in STRIKES:
        script = KILLED.format(module=module, owner=owner, name=name, call=call, signal=int(number))
        struck = training(here, "killed", script)
        assert struck.returncode == status, struck.stderr
    done = training(here, "killed")
    assert done.returncode == 0, done.stderr
    whole, killed = load("whole"), load("killed")
    assert whole.sha256 == killed.sha256
    for name, value in whole.params.items():
        np.testing.assert_array_equal(killed.params[name], value)
    assert rows("killed") == rows("whole")
