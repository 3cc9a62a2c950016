"""The step over all devices: each gets its share of the batch, the state is replicated.

The step is written once, for one device, with the named axis "data" to sum over, and "graph" where
devices share the target's nodes. The devices are those of all processes, see
`graphdown.runtime.distributed`.
"""

from collections.abc import Callable
from functools import partial
from itertools import groupby, islice
from typing import Any

import jax
import numpy as np
from jax.sharding import AxisType, NamedSharding, PartitionSpec

from graphdown.config.training import TrainingSpec
from graphdown.errors import ExperimentError
from graphdown.model.shards import GRAPH

AXIS = "data"
SPLIT, WHOLE = PartitionSpec(AXIS), PartitionSpec()

Step = Callable[[Any, Any, Any], tuple[Any, Any]]
Specs = Callable[[Any], Any]


def axes_of(spec: TrainingSpec) -> tuple[str, ...]:
    """Names of the axes along which devices lie."""
    return (AXIS,) if spec.target_shards == 1 else (AXIS, GRAPH)


class DataParallel:
    """A step `(state, batch, constants) -> (state, metrics)` mapped over devices.

    Args:
        step: for one device; sums over the axes make state and metrics the same on all.
        backend: "pmap" or "shard_map".
        devices: how many devices of each process to use; 0 means all.
        shards: how many of them lie along the axis "graph".
        specs: returns how a batch, or constants, are split over both axes; needed for shards.

    Raises:
        ExperimentError: more devices asked for than there are, or shards that do not fit them.
    """

    def __init__(
        self,
        step: Step,
        backend: str,
        devices: int = 0,
        shards: int = 1,
        specs: Specs | None = None,
    ) -> None:
        self._local = _local_count(devices)
        self.devices = _first_of_each_process(self._local)
        self.backend = backend
        if shards > 1 and (backend == "pmap" or self._local % shards or specs is None):
            raise ExperimentError(
                f"'training.target_shards' is {shards}, which needs 'training.backend: shard_map', "
                f"a number of devices that it divides (there are {self._local}) and a target."
            )
        self.shares = len(self.devices) // shards
        self._mesh, self._specs = _mesh(self.devices, shards), specs if shards > 1 else None
        self._shardings = NamedSharding(self._mesh, WHOLE), NamedSharding(self._mesh, SPLIT)
        self._give = partial(jax.make_array_from_process_local_data, self._shardings[1])
        if backend == "pmap":
            self._step = jax.pmap(step, axis_name=AXIS, devices=self.devices, donate_argnums=(0,))
        else:
            self._step = jax.jit(self._sharded(step), donate_argnums=(0,))

    def _sharded(self, step: Step) -> Step:
        """The step by shard_map."""

        def mapped(state: Any, batch: Any, constants: Any) -> tuple[Any, Any]:
            if self._specs is None:
                split, whole = SPLIT, WHOLE
            else:
                split, whole = self._specs(batch), self._specs(constants)
            return jax.shard_map(
                step,
                mesh=self._mesh,
                in_specs=(WHOLE, split, whole),
                out_specs=(WHOLE, WHOLE),
                check_vma=False,
            )(state, batch, constants)

        return mapped

    def replicate(self, tree: Any) -> Any:
        """Copy arrays to every device."""
        if self.backend == "shard_map":
            return jax.device_put(tree, self._shardings[0])
        # To lie as the step's own results will: one compilation.
        n = self._local
        copies = jax.tree.map(lambda a: np.broadcast_to(a, (n, *np.shape(a))), tree)
        return jax.tree.map(self._give, copies)

    def lay(self, constants: Any) -> Any:
        """Copy constants to every device, or to each its part of what shards split."""
        if self._specs is None:
            return self.replicate(constants)
        return jax.tree.map(jax.device_put, constants, self._named(constants))

    def _named(self, tree: Any) -> Any:
        assert self._specs is not None
        return jax.tree.map(partial(NamedSharding, self._mesh), self._specs(tree))

    def one(self, tree: Any) -> Any:
        """One copy of replicated arrays, on a device of this process."""
        if self.backend == "pmap":
            return jax.tree.map(lambda a: a[0], tree)
        shared = len(self.devices) > self._local
        return jax.tree.map(lambda a: a.addressable_data(0), tree) if shared else tree

    def share(self, size: int) -> slice:
        """Which of a batch of `size` days belong to this process's devices."""
        days = size * self._local // len(self.devices)
        return slice(jax.process_index() * days, (jax.process_index() + 1) * days)

    def split(self, batch: Any) -> Any:
        """Give each device its share of the leading axis of this process's share of a batch.

        The number of devices along "data" must divide it.
        """
        if self._specs is not None:
            return jax.tree.map(jax.make_array_from_process_local_data, self._named(batch), batch)
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

    def step_bytes(self, state: Any, batch: Any, constants: Any) -> int:
        """Memory that the step takes on a device, as XLA plans it for arrays like these."""
        plan = self._step.lower(state, batch, constants).compile().memory_analysis()
        held = plan.argument_size_in_bytes + plan.output_size_in_bytes - plan.alias_size_in_bytes
        return int(held + plan.temp_size_in_bytes)


def _local_count(devices: int) -> int:
    """Number of this process's devices to use; 0 asks for all."""
    there = len(jax.local_devices())
    if devices > there:
        raise ExperimentError(
            f"'training.devices' asks for {devices} devices, but there are {there}."
        )
    return devices or there


def _first_of_each_process(count: int) -> list[jax.Device]:
    every = sorted(jax.devices(), key=lambda device: (device.process_index, device.id))
    by_process = groupby(every, key=lambda device: device.process_index)
    return [device for _, devices in by_process for device in islice(devices, count)]


def _mesh(devices: list[jax.Device], shards: int) -> jax.sharding.Mesh:
    # One axis where one will do: pmap's results lie along one, and would else compile anew.
    axes = {AXIS: len(devices) // shards} | ({GRAPH: shards} if shards > 1 else {})
    kinds = (AxisType.Auto,) * len(axes)
    return jax.make_mesh(tuple(axes.values()), tuple(axes), devices=devices, axis_types=kinds)
