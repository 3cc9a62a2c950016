"""The training step of configs/demo.yaml's network on synthetic fields, for benchmarks."""

from typing import Any

import jax.numpy as jnp
import numpy as np
from flax import nnx
from untrained import demo, domain, normaliser, source_grid, square

from graphdown.config.training import TrainingSpec
from graphdown.emulator.build_network import new_network
from graphdown.emulator.inference import scaling_of
from graphdown.model import ModelSpec
from graphdown.model.padding import pad_nodes
from graphdown.training.parallel import DataParallel
from graphdown.training.step import Batch, Constants, initial_state, make_optimiser, make_step
from graphdown.variables.forcings import FORCINGS


class TrainingCase:
    """A target of side x side cells and noise to learn from.

    Args:
        side: of the target in cells.
        changes: to the network's sizes, as in `ModelSpec`.
    """

    def __init__(self, side: int, **changes: Any) -> None:
        target, self.statistics = square(side), normaliser()
        place, source = domain(target), source_grid(target)
        self.spec = TrainingSpec(**demo()["training"])
        self.model = ModelSpec(**{**demo()["model"], **changes})
        network = new_network(self.model, place, self.statistics, seed=0)
        self.graphdef, self.params = nnx.split(network)
        scales = scaling_of(self.statistics)
        predictors, targets = (jnp.asarray(v) for v in self.statistics.warmed())
        area = jnp.asarray(target.area / target.area.mean(), jnp.float32)
        warmed = (predictors, targets)
        self.constants = Constants(place.arrays(source), None, scales, area, warmed)
        self.nodes = source.size, target.size
        graph = place.graph(source)
        self.mesh, self.edges = graph.mesh.size, graph.process.size

    def mapped(self, backend: str, devices: int) -> tuple[DataParallel, Any, Any]:
        """Return the step, the state before the first and the constants, on devices."""
        optimiser = make_optimiser(self.spec)
        step = make_step(self.graphdef, optimiser, self.spec.ema_decay)
        mapped = DataParallel(step, backend, devices)
        state = initial_state(self.params, optimiser)
        return mapped, mapped.replicate(state), mapped.replicate(self.constants)

    def batch(self, number: int, share: slice) -> Batch:
        """Return a share of the days of a step."""
        random, days = np.random.default_rng(number), self.spec.batch_size
        names = self.statistics.predictors, self.statistics.targets
        shapes = zip(self.nodes, map(len, names), strict=True)
        # Not around zero: the mean of noise would be the remainder of sums that cancel.
        fields = (random.normal(0.5, 1.0, (days, *s)).astype(np.float32) for s in shapes)
        source, fine = (field[share] for field in fields)
        zeros = np.zeros(days, np.float32)[share]
        season = np.zeros((days, len(FORCINGS)), np.float32)[share]
        return Batch(pad_nodes(source), fine, season, zeros, zeros, zeros.astype(np.int32))
