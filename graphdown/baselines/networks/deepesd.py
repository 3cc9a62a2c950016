"""DeepESD: three convolutions and a dense layer to every target point."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import jax.numpy as jnp
import numpy as np
from flax import nnx
from jax import Array

from graphdown.baselines.networks.baseline import (
    FitTask,
    Lesson,
    NetworkBaseline,
    median_spacing_km,
)
from graphdown.baselines.networks.box import box_around
from graphdown.baselines.networks.box_maps import Maps
from graphdown.baselines.networks.fit import NetworkTraining, masked_mean, squared_error
from graphdown.baselines.networks.inputs import ByPoint, Standardiser
from graphdown.baselines.predictands import spread_over_time
from graphdown.model.distributions import expectation, negative_log_likelihood
from graphdown.variables.catalogue import describe
from meshes import Grid

FILTERS = (50, 25, 10)
MOST_WEIGHTS = 2**27  # of the dense layer
COPIES = 4  # of the weights in training: themselves, their gradient, two moments
DEFAULT = NetworkTraining(steps=1500, batch_size=100, learning_rate=1e-3)


class DeepESDNetwork(nnx.Module):
    """Convolutions of 3 x 3 with ReLU, then a dense layer from the whole map."""

    def __init__(
        self,
        shape: Sequence[int],
        predictors: int,
        points: int,
        numbers: int,
        *,
        rngs: nnx.Rngs,
    ) -> None:
        """Create the layers.

        Args:
            shape: H and W of the maps.
            predictors: V.
            points: N.
            numbers: outputs K at each point.
            rngs: source of the initial weights.
        """
        sizes = (predictors, *FILTERS)
        self.convolutions = nnx.List(
            nnx.Conv(a, b, (3, 3), rngs=rngs) for a, b in zip(sizes[:-1], sizes[1:], strict=True)
        )
        self.dense = nnx.Linear(shape[0] * shape[1] * FILTERS[-1], points * numbers, rngs=rngs)
        self.numbers = numbers

    def __call__(self, maps: Array, vector: Array) -> Array:
        """Return outputs [B, N, K] for maps [B, H, W, V]; the vector is not used."""
        for convolution in self.convolutions:
            maps = nnx.relu(convolution(maps))
        return self.dense(maps.reshape(len(maps), -1)).reshape(len(maps), -1, self.numbers)


class DeepESD(NetworkBaseline):
    """DeepESD (Bano-Medina et al. 2020, doi:10.5194/gmd-13-2109-2020; 2022, 10.5194/gmd-15-6747).

    As published: predictors standardised point by point; 3 x 3 convolutions with ReLU of 50, 25
    and 10 filters on the maps of a box, then one dense layer to all target points;
    precipitation by the likelihood of the Bernoulli-Gamma distribution, batches of 100 days, Adam,
    early stopping.

    Different here: predictors are this experiment's, precipitation as log(1 + pr), bilinearly
    interpolated to a box whose spacing is the median of the training sources' and which reaches
    one cell beyond the target; 10 filters at last for precipitation too, since the single one
    published can be cut off by its ReLU for good; precipitation is predicted by its expectation,
    and is wet from 0.1 instead of 1 mm day-1, so that drizzle is not lost; other variables are
    learned by their squared error, less each point's mean (in 2022 by a Gaussian likelihood, whose
    mean is the same estimate); the rate starts at 1e-3 and decays to zero within the steps
    (published 1e-4 with patience of 30 epochs), to need minutes. A target whose dense layer would
    have more than 2^27 weights is refused.

    Args:
        training: steps, batch size, learning rate, stopping.
        seed: of the weights and of the batches.
        spacing_km: of the box; by default the median of the training sources' spacings.
    """

    name = "DeepESD"
    logarithm = True

    def __init__(
        self, training: NetworkTraining = DEFAULT, seed: int = 0, spacing_km: float | None = None
    ) -> None:
        super().__init__(training, seed)
        self._spacing_km = spacing_km

    def _lattice(self, sources: Sequence[Grid]) -> tuple[Grid, Sequence[int]]:
        box = box_around(self.target.grid, self._spacing_km or median_spacing_km(sources))
        for name in self.target.attrs:
            weights = math.prod(box.shape) * FILTERS[-1] * self.target.grid.size * _outputs(name)
            if weights > MOST_WEIGHTS:
                size = COPIES * 4 * weights / 2**30
                raise ValueError(
                    f"The dense layer of {self.name!r} for {name!r} would have "
                    f"{weights / 1e6:,.0f} million weights, {size:,.0f} GiB with what Adam keeps "
                    f"of them, and at most {MOST_WEIGHTS / 1e6:,.0f} million are fitted; choose "
                    "another baseline or a smaller target."
                )
        return box.grid, box.shape

    def _standardiser(self, sources: Sequence[Maps]) -> Standardiser:
        return ByPoint.of(sources)

    def _task(self, lesson: Lesson) -> FitTask:
        rain = describe(lesson.name).is_precipitation
        network = DeepESDNetwork(
            lesson.example.maps.shape[1:3],
            len(lesson.predictors),
            self.target.grid.size,
            _outputs(lesson.name),
            rngs=nnx.Rngs(self._seed),
        )
        if rain:
            return RainTask(network, likelihood)
        return FitTask(network, squared_error, *spread_over_time(lesson.truths))


def _outputs(name: str) -> int:
    """Number of outputs at each point for a variable."""
    return 3 if describe(name).is_precipitation else 1


@dataclass(frozen=True, eq=False)
class RainTask(FitTask):
    """Precipitation by the parameters of its distribution."""

    def values(self, outputs: np.ndarray) -> np.ndarray:
        """Return the expected amounts [T, N] for parameters [T, N, 3]."""
        return np.asarray(expectation(jnp.asarray(outputs)))


def likelihood(outputs: Array, truth: Array) -> Array:
    """Return the mean negative log-likelihood of amounts [B, N] where there are any."""
    return masked_mean(negative_log_likelihood(outputs, jnp.nan_to_num(truth)), truth)
