"""Train in one of several processes, as srun would start it: python processes.py FOLDER.

What it holds after some steps goes to FOLDER/<number of the process>.npz, a run to FOLDER/run.
"""

import sys
from pathlib import Path

import jax
import numpy as np

from graphdown.runtime.distributed import join_processes

if __name__ == "__main__":
    join_processes()

from conftest import make_experiment
from steps_on_devices import gappy, trained, trainer_on

from graphdown.training import train

STEPS = 20


def main(folder):
    data = gappy()
    values = trained(trainer_on(data), "shard_map", devices=1, steps=STEPS)
    np.savez(folder / f"{jax.process_index()}.npz", **values)
    train(make_experiment(folder / "run", data, batch_size=8, steps=6, backend="pmap"), data)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
