"""Map the step over the devices: each gets its share of the batch, the state is replicated.

The step is written once, for one device, with the named axis "data" to sum over. The devices are
those of all processes, see `graphdown.training.processes`.
"""

from collections.abc import Callable
from functools import partial
from itertools import groupby, islice
from typing import Any

import jax
import numpy as np
from jax.sharding import AxisType, NamedSharding, PartitionSpec

from graphdown.errors import ExperimentError

AXIS = "data"

Step = Callable[[Any, Any, Any], tuple[Any, Any]]


class DataParallel:
    """A step `(state, batch, constants) -> (state, metrics)` mapped over devices.

    Args:
        step: for one device; sums over the axis "data" make state and metrics the same on all.
        backend: "pmap" or "shard_map".
        devices: how many devices of each process to use; 0 means all.

    Raises:
        ExperimentError: more devices asked for than there are.
    """

    def __init__(self, step: Step, backend: str, devices: int = 0) -> None:
        there = jax.local_devices()
        if devices > len(there):
            raise ExperimentError(
                f"'training.devices' asks for {devices} devices, but there are {len(there)}."
            )
        used = devices or len(there)
        every = sorted(jax.devices(), key=lambda device: (device.process_index, device.id))
        of_processes = groupby(every, key=lambda device: device.process_index)
        self.devices = [device for _, own in of_processes for device in islice(own, used)]
        self._local = used
        self.backend = backend
        mesh = jax.make_mesh(
            (len(self.devices),), (AXIS,), devices=self.devices, axis_types=(AxisType.Auto,)
        )
        split, whole = PartitionSpec(AXIS), PartitionSpec()
        self._shardings = NamedSharding(mesh, whole), NamedSharding(mesh, split)
        self._give = partial(jax.make_array_from_process_local_data, self._shardings[1])
        if backend == "pmap":
            self._step = jax.pmap(step, axis_name=AXIS, devices=self.devices, donate_argnums=(0,))
            return
        mapped = jax.shard_map(
            step,
            mesh=mesh,
            in_specs=(whole, split, whole),
            out_specs=(whole, whole),
            check_vma=False,
        )
        self._step = jax.jit(mapped, donate_argnums=(0,))

    def replicate(self, tree: Any) -> Any:
        """Copy arrays to every device."""
        if self.backend == "shard_map":
            return jax.device_put(tree, self._shardings[0])
        # To lie as the step's own results will: one compilation.
        n = self._local
        copies = jax.tree.map(lambda a: np.broadcast_to(a, (n, *np.shape(a))), tree)
        return jax.tree.map(self._give, copies)

    def one(self, tree: Any) -> Any:
        """Return one copy of replicated arrays, on a device of this process."""
        if self.backend == "pmap":
            return jax.tree.map(lambda a: a[0], tree)
        shared = len(self.devices) > self._local
        return jax.tree.map(lambda a: a.addressable_data(0), tree) if shared else tree

    def share(self, size: int) -> slice:
        """Return which of a batch of `size` days are those of this process's devices."""
        own = size * self._local // len(self.devices)
        return slice(jax.process_index() * own, (jax.process_index() + 1) * own)

    def split(self, batch: Any) -> Any:
        """Give each device its share of the leading axis of this process's share of a batch.

        The number of devices must divide it.
        """
        if self.backend == "shard_map":
            return jax.tree.map(self._give, batch)
        n = self._local
        return jax.tree.map(lambda a: np.reshape(a, (n, a.shape[0] // n, *a.shape[1:])), batch)

    def __call__(self, state: Any, batch: Any, constants: Any) -> tuple[Any, Any]:
        """Run the step; on CPU with several devices it waits, since old jaxlibs deadlock else."""
        state, metrics = self._step(state, batch, constants)
        if len(self.devices) > 1 and self.devices[0].platform == "cpu":
            jax.block_until_ready(state)
        return state, self.one(metrics)
