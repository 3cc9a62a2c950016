"""Train on simulated devices, in a process of its own: python steps_on_devices.py FOLDER."""

import os
import sys
from contextlib import suppress
from copy import copy
from dataclasses import replace
from pathlib import Path

import jax
import numpy as np
from conftest import make_data, make_experiment, make_trainer, truth

from graphdown.errors import ExperimentError
from graphdown.model.parameters import named_values
from graphdown.training import train
from graphdown.training.parallel import DataParallel, axes_of
from graphdown.training.shards import specs_of
from graphdown.training.step import initial_state, make_step

CASES = {"shard_map": (1, 4), "pmap": (4,)}
SHARDED = {"graph_2": (2, 2), "data_2_graph_2": (4, 2)}  # devices, shards of the target
STEPS = 4


def gappy():
    """Data whose targets are missing unevenly, so that devices see different weights."""
    fine = truth()
    fine["tas"][::3, :6] = np.nan
    fine["pr"][:20, 3, 4] = np.nan
    return make_data(fine)


def trainer_on(data):
    return make_trainer(
        data,
        {"target_embedding": 2},
        batch_size=8,
        warmup_steps=0,
        learning_rate=1e-3,
        warming_offset=[-1, 3],
        smoothing_km=250.0,
        mean_shift=0.2,
        noise=0.1,
    )


def trained(trainer, backend, devices, steps=STEPS):
    spec = trainer.experiment.training
    parts = trainer.graphdef, trainer.optimiser, 0.9, None, trainer.augment
    step = make_step(*parts, axes=axes_of(spec))
    mapped = DataParallel(step, backend, devices, spec.target_shards, specs_of)
    constants = mapped.lay(trainer.constants_of(trainer.samples[0]))
    state = initial_state(jax.tree.map(np.asarray, trainer.params), trainer.optimiser)
    state, losses = mapped.replicate(state), []
    share = mapped.share(trainer.experiment.training.batch_size)
    for number in range(steps):
        state, metrics = mapped(state, mapped.split(trainer.batch(number, share)[0]), constants)
        losses.append(metrics["loss"])
    # pmap shows each process what is on its own devices.
    shown = devices * (1 if backend == "pmap" else jax.process_count())
    assert len(jax.tree.leaves(state)[0].sharding.device_set) == shown
    decoder = jax.tree.leaves(constants.graph.decode) if backend == "shard_map" else []
    held = sum(array.addressable_data(0).nbytes for array in decoder)
    made = {"losses": np.asarray(losses), "decoder": np.asarray(held)}
    return {**named_values(mapped.one(state)._asdict()), **made}


def sharing(trainer, shards):
    """The trainer with devices that share the target."""
    spec = replace(trainer.experiment.training, target_shards=shards)
    other = copy(trainer)
    other.experiment = replace(trainer.experiment, training=spec)
    return other


def refusal(folder, data):
    try:
        train(make_experiment(folder, data, batch_size=6, devices=4), data)
    except ExperimentError as error:
        return str(error)
    return "none"


def moved(folder, data):
    """Train to the end on one device, and another run that begins on four and ends on one."""

    def on(name, devices):
        settings = {"batch_size": 8, "steps": 4, "validate_every": 2, "devices": devices}
        return make_experiment(folder / name, data, **settings)

    train(on("stayed", 1), data)
    real, calls = DataParallel.__call__, []

    def interrupted(*arguments):
        calls.append(1)
        if len(calls) == 4:
            raise KeyboardInterrupt
        return real(*arguments)

    DataParallel.__call__ = interrupted
    with suppress(KeyboardInterrupt):
        train(on("moved", 4), data)
    DataParallel.__call__ = real
    assert sorted(os.listdir(folder / "moved" / "checkpoints")) == ["2"]
    train(on("moved", 1), data)


def main(folder):
    data = gappy()
    trainer = trainer_on(data)
    for backend, counts in CASES.items():
        for devices in counts:
            np.savez(folder / f"{backend}_{devices}.npz", **trained(trainer, backend, devices))
    for name, (devices, shards) in SHARDED.items():
        made = trained(sharing(trainer, shards), "shard_map", devices)
        np.savez(folder / f"{name}.npz", **made)
    moved(folder, data)
    (folder / "refusal.txt").write_text(refusal(folder / "run", data), encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
