"""Several processes that train together on the same files: all do the same, and the first writes.

Each sees all devices, draws the same batches, of which it reads its share, and has the same state.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager

import jax
import numpy as np

# How many processes srun and mpirun started; a batch script alone has none of them.
COUNTS = ("SLURM_STEP_NUM_TASKS", "OMPI_COMM_WORLD_SIZE")


def join_processes() -> None:
    """Join the others where SLURM's srun or Open MPI's mpirun started several processes.

    Call it before anything else of JAX. Elsewhere, `jax.distributed.initialize` takes addresses.
    """
    if any(int(os.environ.get(count, "1")) > 1 for count in COUNTS):
        jax.distributed.initialize()


def is_first() -> bool:
    """Whether this is the process that writes."""
    return jax.process_index() == 0


def wait_for_all(name: str) -> None:
    """Wait until all processes are here; each place in the program has a name of its own."""
    if jax.process_count() > 1:
        from jax.experimental import multihost_utils

        multihost_utils.sync_global_devices(name)


@contextmanager
def first_before_others(name: str) -> Iterator[None]:
    """Run the block in the first process, and only then in the others."""
    if not is_first():
        wait_for_all(name)
    yield
    if is_first():
        wait_for_all(name)


def agreed(number: int | None) -> int | None:
    """Greatest number that any of the processes has, None if none has one.

    All of them must call it, and wait for each other.
    """
    if jax.process_count() == 1:
        return number
    from jax.experimental import multihost_utils

    numbers = multihost_utils.process_allgather(np.int32(number or 0))
    return int(np.max(numbers)) or None
