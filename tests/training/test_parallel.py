"""One step, mapped over one device or several, by either backend."""

import os
import subprocess
import sys
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd
import pytest

from graphdown.errors import ExperimentError
from graphdown.training.parallel import AXIS, DataParallel

from ..invariants import SHARES

SCRIPT = Path(__file__).with_name("steps_on_devices.py")
PROCESS = Path(__file__).with_name("processes.py")
PLAIN = {**os.environ, "JAX_PLATFORMS": "cpu", "JAX_DISABLE_MOST_OPTIMIZATIONS": "1"}


@pytest.fixture(scope="module")
def simulated(tmp_path_factory):
    """What trainings on up to four simulated devices left in a folder."""
    folder = tmp_path_factory.mktemp("devices")
    environment = {**PLAIN, "XLA_FLAGS": "--xla_force_host_platform_device_count=4"}
    subprocess.run([sys.executable, SCRIPT, folder], env=environment, check=True, timeout=600)
    return folder


@pytest.fixture(scope="module")
def processes(tmp_path_factory):
    """What trainings of one process and of two left in folders of these names."""
    folder = tmp_path_factory.mktemp("processes")
    started = []
    for count in (1, 2):
        (folder / str(count)).mkdir()
        slurm = {"SLURM_JOB_ID": "7", "SLURM_STEP_NODELIST": "localhost"}
        slurm |= {"SLURM_STEP_NUM_NODES": "1", "XLA_FLAGS": ""}
        slurm |= dict.fromkeys(("SLURM_NTASKS", "SLURM_STEP_NUM_TASKS"), str(count))
        for number in range(count):
            own = dict.fromkeys(("SLURM_PROCID", "SLURM_LOCALID"), str(number))
            command = [sys.executable, PROCESS, folder / str(count)]
            started.append(subprocess.Popen(command, env={**PLAIN, **slurm, **own}))
    try:
        assert [process.wait(timeout=300) for process in started] == [0, 0, 0]
    finally:
        for process in started:
            process.kill()
    return folder


def difference(folder, a, b):
    """Norm of the difference of two trainings in each array, relative to the array's."""
    with np.load(folder / f"{a}.npz") as first, np.load(folder / f"{b}.npz") as second:
        assert set(first.files) == set(second.files)
        names = [name for name in first.files if name != "decoder"]
        norms = {n: (np.linalg.norm(first[n] - second[n]), first[n]) for n in names}
    return {n: d / max(np.linalg.norm(v), 1e-12) for n, (d, v) in norms.items()}


@pytest.mark.slow
def test_four_devices_do_what_one_does(simulated):
    worst = difference(simulated, "shard_map_1", "shard_map_4")
    assert max(worst.values()) < SHARES, worst


@pytest.mark.slow
@pytest.mark.parametrize("name", ["graph_2", "data_2_graph_2"])
def test_devices_that_share_the_target_do_what_one_does(simulated, name):
    worst = difference(simulated, "shard_map_1", name)
    assert max(worst.values()) < SHARES, worst
    with np.load(simulated / "shard_map_1.npz") as one, np.load(simulated / f"{name}.npz") as two:
        assert two["decoder"] < 0.6 * one["decoder"]


@pytest.mark.slow
def test_both_backends_do_the_same(simulated):
    worst = difference(simulated, "pmap_4", "shard_map_4")
    assert max(worst.values()) < 1e-6, worst


@pytest.mark.slow
def test_a_run_begun_on_four_devices_goes_on_on_one(simulated):
    worst = difference(simulated, "stayed/emulator/parameters", "moved/emulator/parameters")
    assert max(worst.values()) < SHARES, worst


@pytest.mark.slow
def test_two_processes_do_what_one_does(processes):
    assert sorted(path.name for path in (processes / "2").iterdir()) == ["0.npz", "1.npz", "run"]
    for process in (0, 1):
        worst = difference(processes, "1/0", f"2/{process}")
        assert max(worst.values()) < SHARES, worst
    worst = difference(processes, *(f"{n}/run/emulator/parameters" for n in (1, 2)))
    assert max(worst.values()) < SHARES, worst
    one, two = (pd.read_csv(processes / f"{n}/run/metrics.csv") for n in (1, 2))
    pd.testing.assert_frame_equal(one.drop(columns="seconds"), two.drop(columns="seconds"))


@pytest.mark.slow
def test_a_batch_that_the_devices_cannot_share_is_refused(simulated):
    assert (simulated / "refusal.txt").read_text(encoding="utf-8") == (
        "'training.batch_size' is 6, which 4 devices cannot share evenly; make it a multiple."
    )


@pytest.mark.parametrize("backend", ["pmap", "shard_map"])
def test_more_devices_than_there_are_is_refused(backend):
    with pytest.raises(ExperimentError, match=r"'training.devices' asks for 999 .* there are \d+."):
        DataParallel(toy_step, backend, 999)


@pytest.mark.parametrize(("backend", "shards"), [("pmap", 2), ("shard_map", 999)])
def test_shards_that_the_devices_cannot_be_split_into_are_refused(backend, shards):
    with pytest.raises(ExperimentError, match=f"'training.target_shards' is {shards}, which needs"):
        DataParallel(toy_step, backend, shards=shards, specs=lambda tree: tree)


def toy_step(state, batch, constants):
    total = jax.lax.psum((batch["x"] * constants).sum(), AXIS)
    return state + total, {"loss": total, "largest": jax.lax.pmax(batch["x"].max(), AXIS)}


@pytest.mark.parametrize("backend", ["pmap", "shard_map"])
def test_state_is_carried_on_and_metrics_are_single_numbers(backend):
    mapped = DataParallel(toy_step, backend)
    count = len(mapped.devices)
    assert count == len(jax.local_devices())
    state, constants = mapped.replicate(jnp.asarray(2.0)), mapped.replicate(jnp.asarray([1.0, 3.0]))
    batch = {"x": np.arange(4.0 * count, dtype=np.float32).reshape(-1, 2)}
    for _ in range(3):
        state, metrics = mapped(state, mapped.split(batch), constants)
    total = float((batch["x"] * [1.0, 3.0]).sum())
    assert metrics["loss"].shape == () and float(metrics["loss"]) == total
    assert float(metrics["largest"]) == 4.0 * count - 1
    assert float(mapped.one(state)) == 2.0 + 3 * total


@pytest.mark.parametrize("backend", ["pmap", "shard_map"])
def test_the_step_is_compiled_once(backend, caplog):
    mapped = DataParallel(toy_step, backend)
    state, constants = mapped.replicate(jnp.zeros(())), mapped.replicate(jnp.ones(2))
    batch = mapped.split({"x": np.ones((4 * len(mapped.devices), 2), np.float32)})
    with jax.log_compiles(), caplog.at_level("WARNING"):
        for _ in range(3):
            state, _ = mapped(state, batch, constants)
    compiled = [m for m in caplog.messages if m.startswith("Finished XLA compilation of")]
    assert len(compiled) == 1
