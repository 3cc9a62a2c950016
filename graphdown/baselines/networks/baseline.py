"""NetworkBaseline: the common part of the convolutional networks."""

from abc import abstractmethod
from collections.abc import Sequence
from copy import copy
from dataclasses import dataclass, replace
from typing import ClassVar, Self

import numpy as np
import xarray as xr
from flax import nnx

from graphdown.baselines.base import Baseline
from graphdown.baselines.gridded_fields import predictor_names, read_field
from graphdown.baselines.networks.box_maps import MapReader, Maps
from graphdown.baselines.networks.fit import (
    BoxSamples,
    Loss,
    NetworkTraining,
    run_network,
    train_network,
)
from graphdown.baselines.networks.inputs import Inputs, Standardiser
from graphdown.baselines.paired_times import Pair, split_last_days
from meshes import Grid


@dataclass(frozen=True, eq=False)
class FitTask:
    """Task of one network: its outputs, loss and scaling.

    Attributes:
        network: maps [B, H, W, V] and vector [B, F] to outputs [B, N, K].
        loss: of outputs and scaled truth.
        mean, scale: the truth is scaled to (truth - mean) / scale; numbers or [N].
    """

    network: nnx.Module
    loss: Loss
    mean: np.ndarray | float = 0.0
    scale: np.ndarray | float = 1.0

    def scaled(self, truth: np.ndarray) -> np.ndarray:
        """Return the truth [T, N] as the network learns it."""
        return ((truth - self.mean) / self.scale).astype(np.float32)

    def values(self, outputs: np.ndarray) -> np.ndarray:
        """Return the values [T, N] that outputs [T, N, K] represent."""
        return outputs[..., 0] * self.scale + self.mean


@dataclass(frozen=True, eq=False)
class Lesson:
    """Training data that the network of a target variable is built for.

    Attributes:
        name: the variable.
        predictors: names of the predictors V.
        standardise: applied to the maps.
        example: inputs, to take sizes from.
        truths: values [T, N] of each training source.
        statics: static fields of the target grid.
    """

    name: str
    predictors: Sequence[str]
    standardise: Standardiser
    example: Inputs
    truths: Sequence[np.ndarray]
    statics: xr.Dataset | None


class NetworkBaseline(Baseline):
    """A network for each target variable, on predictors regridded to a fixed lattice.

    It takes minutes to fit, and depends on a seed, which subclasses take by that name.

    It learns from any number of sources, one of them in each batch; a single source on many grids
    is given as many pairs. Days on which a predictor is missing take no part and get no result;
    missing values of the target are left out of the loss, and cells that never have one stay
    missing. Without validation pairs the last fifth of each source's days decides when to stop.

    Args:
        training: steps, batch size, learning rate, stopping.
        seed: of the weights and of the batches.

    Attributes:
        logarithm: whether precipitation enters the predictors as a logarithm.
    """

    logarithm: ClassVar[bool] = False
    by_day = True

    def __init__(self, training: NetworkTraining, seed: int) -> None:
        super().__init__()
        self._training, self._seed = training, seed

    def trained_for(self, steps: int) -> Self:
        """Return the method itself, set to train for this number of steps."""
        self._training = replace(self._training, steps=steps)
        return self

    def _learn(
        self, pairs: Sequence[Pair], statics: xr.Dataset | None, validation: Sequence[Pair]
    ) -> None:
        if not validation:
            pairs, validation = split_last_days(pairs, "early stopping")
        first = predictor_names(pairs[0][0])[0]
        grids = [read_field(coarse, first).grid for coarse, _ in pairs]
        lattice, shape = self._lattice(grids)
        reader = MapReader(pairs[0][0], lattice, shape, self.logarithm, tuple(self.target.attrs))
        learned, judged = ([_days(reader, pair) for pair in part] for part in (pairs, validation))
        standardise = self._standardiser([maps for maps, _ in learned])
        inputs, checks = ([standardise(maps) for maps, _ in part] for part in (learned, judged))
        tasks, known = {}, {}
        for name in self.target.attrs:
            truths = [self.target.values(fine, name) for _, fine in learned]
            later = [self.target.values(fine, name) for _, fine in judged]
            known[name] = np.any([np.isfinite(t).any(axis=0) for t in truths], axis=0)
            task = self._task(Lesson(name, reader.names, standardise, inputs[0], truths, statics))
            network = train_network(
                task.network,
                task.loss,
                [BoxSamples(i, task.scaled(t)) for i, t in zip(inputs, truths, strict=True)],
                [BoxSamples(i, task.scaled(t)) for i, t in zip(checks, later, strict=True)],
                self._training,
                self._seed,
            )
            tasks[name] = (task, network)
        self._reader, self._standardise = reader, standardise
        self._tasks, self._known = tasks, known

    def _for_days_of(self, coarse: xr.Dataset) -> Self:
        other = copy(self)
        other._reader = self._reader.for_days_of(coarse)
        return other

    def _downscale(self, coarse: xr.Dataset) -> dict[str, np.ndarray]:
        maps = self._reader(coarse)
        inputs = self._standardise(maps)
        unknown = ~maps.complete[:, None]
        return {
            name: np.where(
                unknown | ~self._known[name], np.nan, task.values(run_network(network, inputs))
            )
            for name, (task, network) in self._tasks.items()
        }

    @abstractmethod
    def _lattice(self, sources: Sequence[Grid]) -> tuple[Grid, Sequence[int]]:
        """Return the H W points on which predictors are read, and (H, W)."""

    @abstractmethod
    def _standardiser(self, sources: Sequence[Maps]) -> Standardiser:
        """Return the function that turns maps into inputs."""

    @abstractmethod
    def _task(self, lesson: Lesson) -> FitTask:
        """Return the untrained network of a target variable, and how its values are scaled."""


def median_spacing_km(sources: Sequence[Grid]) -> float:
    """Return the median of the sources' spacings."""
    return float(np.median([grid.spacing_km for grid in sources]))


def _days(reader: MapReader, pair: Pair) -> tuple[Maps, xr.Dataset]:
    """Return the days of a pair on which no predictor is missing."""
    coarse, fine = pair
    maps = reader(coarse)
    complete = maps.complete
    if complete.all():
        return maps, fine
    if not complete.any():
        raise ValueError(
            f"On no day of a pair are all of the predictors {reader.names} present everywhere."
        )
    return Maps(maps.fields[complete], maps.forcings[complete]), fine.isel(time=complete)
