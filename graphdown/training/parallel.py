"""Map the step over the local devices: each gets its share of the batch, the state is replicated.

The step is written once, for one device, with the named axis "data" to sum over.
"""

from collections.abc import Callable
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
        devices: how many local devices to use; 0 means all.

    Raises:
        ExperimentError: more devices asked for than there are.
    """

    def __init__(self, step: Step, backend: str, devices: int = 0) -> None:
        there = jax.local_devices()
        if devices > len(there):
            raise ExperimentError(
                f"'training.devices' asks for {devices} devices, but there are {len(there)}."
            )
        self.devices = there[: devices or len(there)]
        self.backend = backend
        mesh = jax.make_mesh(
            (len(self.devices),), (AXIS,), devices=self.devices, axis_types=(AxisType.Auto,)
        )
        split, whole = PartitionSpec(AXIS), PartitionSpec()
        self._shardings = NamedSharding(mesh, whole), NamedSharding(mesh, split)
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
        n = len(self.devices)
        copies = jax.tree.map(lambda a: np.broadcast_to(a, (n, *np.shape(a))), tree)
        return jax.device_put(copies, self._shardings[1])

    def one(self, tree: Any) -> Any:
        """Return one copy of replicated arrays."""
        return tree if self.backend == "shard_map" else jax.tree.map(lambda a: a[0], tree)

    def split(self, batch: Any) -> Any:
        """Give each device its share of the leading axis, which the device count must divide."""
        if self.backend == "shard_map":
            return jax.device_put(batch, self._shardings[1])
        n = len(self.devices)
        return jax.tree.map(lambda a: np.reshape(a, (n, a.shape[0] // n, *a.shape[1:])), batch)

    def __call__(self, state: Any, batch: Any, constants: Any) -> tuple[Any, Any]:
        """Run the step; on CPU with several devices it waits, since old jaxlibs deadlock else."""
        state, metrics = self._step(state, batch, constants)
        if len(self.devices) > 1 and self.devices[0].platform == "cpu":
            jax.block_until_ready(state)
        return state, self.one(metrics)
