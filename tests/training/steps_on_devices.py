"""Train on simulated devices, in a process of its own: python steps_on_devices.py FOLDER."""

import sys
from pathlib import Path

import jax
import numpy as np
from conftest import make_data, make_experiment, make_trainer, truth

from graphdown.emulator import named_values
from graphdown.errors import ExperimentError
from graphdown.training import train
from graphdown.training.parallel import DataParallel
from graphdown.training.step import initial_state, make_step

CASES = {"shard_map": (1, 4), "pmap": (4,)}
STEPS = 4


def gappy():
    """Data whose targets are missing unevenly, so that devices see different weights."""
    fine = truth()
    fine["tas"][::3, :6] = np.nan
    fine["pr"][:20, 3, 4] = np.nan
    return make_data(fine)


def trained(trainer, backend, devices):
    step = make_step(trainer.graphdef, trainer.optimiser, 0.9, augment=trainer.augment)
    mapped = DataParallel(step, backend, devices)
    constants = mapped.replicate(trainer._constants(trainer.samples[0]))
    state = initial_state(jax.tree.map(np.asarray, trainer.params), trainer.optimiser)
    state, losses = mapped.replicate(state), []
    for number in range(STEPS):
        state, metrics = mapped(state, mapped.split(trainer._batch(number)[0]), constants)
        losses.append(metrics["loss"])
    assert len(jax.tree.leaves(state)[0].sharding.device_set) == devices
    return {**named_values(mapped.one(state)._asdict()), "losses": np.asarray(losses)}


def refusal(folder, data):
    try:
        train(make_experiment(folder, data, batch_size=6, devices=4), data)
    except ExperimentError as error:
        return str(error)
    return "none"


def main(folder):
    data = gappy()
    trainer = make_trainer(
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
    for backend, counts in CASES.items():
        for devices in counts:
            np.savez(folder / f"{backend}_{devices}.npz", **trained(trainer, backend, devices))
    (folder / "refusal.txt").write_text(refusal(folder / "run", data), encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
