"""Estimates of memory and disk against what is stored and what a step takes."""

import ctypes
import sys
from dataclasses import replace
from pathlib import Path

import jax
import pytest

from graphdown.config.experiment_file import experiment_to_dict, parse_experiment
from graphdown.data.load import load_data, survey_data
from graphdown.data.sample_packing import value_bytes
from graphdown.training import estimate as estimates
from graphdown.training.estimate import estimate
from graphdown.training.parallel import DataParallel
from graphdown.training.step import initial_state

from .conftest import COARSE, FINE, OTHER, make_data, make_experiment, make_trainer, source, truth


@pytest.fixture(scope="module")
def experiment(tmp_path_factory):
    """An experiment of files, whose days are kept on disk."""
    folder = tmp_path_factory.mktemp("archive")
    files = {"fine": truth(), "a": source(COARSE), "b": source(OTHER)}
    for name, ds in files.items():
        ds.to_netcdf(folder / f"{name}.nc")
    raw = experiment_to_dict(make_experiment(folder / "run", make_data(), {"target_regression": 3}))
    raw["data"]["target"]["files"] = [str(folder / "fine.nc")]
    raw["data"]["sources"] = [{"name": n, "files": [str(folder / f"{n}.nc")]} for n in "ab"]
    raw["training"]["sample_storage"] = "disk"
    return parse_experiment(raw, "the test")


def test_what_is_stored_is_as_estimated(experiment, tmp_path):
    found = estimate(experiment, survey_data(experiment))
    load_data(experiment, tmp_path)
    written = sum(value_bytes(path) for path in tmp_path.glob("*.zarr"))
    assert abs(found.stored / written - 1) < 0.25
    assert found.cells == FINE.size and found.nodes == {"a": COARSE.size, "b": OTHER.size}
    assert found.days == {"train": 118, "validation": 28, "test": 34}
    assert found.predictions == 4 * FINE.size * 31 * 2
    assert found.step is None and found.on_disk


def peak():
    return 1024 * int(Path("/proc/self/status").read_text().split("VmHWM:")[1].split()[0])


def forget_peak():
    ctypes.CDLL("libc.so.6").malloc_trim(0)
    Path("/proc/self/clear_refs").write_text("5")
    return peak()


@pytest.mark.skipif(sys.platform != "linux", reason="memory is read from /proc")
def test_a_step_takes_the_memory_that_is_estimated():
    data = make_data()
    size = {"channels": 128, "target_channels": 128}
    trainer = make_trainer(data, size, batch_size=256)
    mapped = DataParallel(trainer.device_step(), "shard_map", 1)
    state = mapped.replicate(initial_state(trainer.params, trainer.optimiser))
    batch, constants = mapped.split(trainer.batch(0)[0]), trainer.replicated(mapped)[0]
    arguments = sum(leaf.nbytes for leaf in jax.tree.leaves((state, batch, constants)))
    found = estimate(trainer.experiment, data, compiled=True).step - arguments
    for _ in range(2):
        before = forget_peak()
        state, _ = jax.block_until_ready(mapped(state, batch, constants))
    taken = peak() - before
    assert taken > 200 * 2**20  # or what the process does beside would count
    assert abs(found / taken - 1) < 0.25


def test_what_does_not_fit_is_said_with_what_to_change(experiment, monkeypatch):
    data = survey_data(experiment)
    text = estimate(experiment, data).to_text()
    assert "144 target cells" in text and "Memory of the target regression" in text
    assert "To mend" not in text
    monkeypatch.setattr(estimates, "machine_memory", lambda: 2**20)
    text = estimate(experiment, data).to_text()
    assert "this machine has 1 MiB; lower 'model.target_regression'." in text
    in_memory = replace(experiment, training=replace(experiment.training, sample_storage="memory"))
    assert "set 'training.sample_storage: disk'." in estimate(in_memory, data).to_text()


def test_a_dry_run_prints_the_estimate_and_trains_nothing(experiment, tmp_path, capsys):
    import yaml

    from graphdown.cli import main

    file = tmp_path / "experiment.yaml"
    file.write_text(yaml.safe_dump(experiment_to_dict(experiment)))
    main(["train", str(file), "--dry-run"])
    assert "A training step takes" in capsys.readouterr().out
    main(["check", "--experiment", str(file)])
    assert "Estimate: 144 target cells" in capsys.readouterr().out
    assert not Path(experiment.output).exists()
