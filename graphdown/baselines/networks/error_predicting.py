"""The error-predicting network of Serifi, Guenther and Ban 2021."""

from collections.abc import Sequence
from functools import cache

import jax.numpy as jnp
import numpy as np
import xarray as xr
from flax import nnx
from jax import Array

from graphdown.baselines.networks.baseline import FitTask, Lesson, NetworkBaseline
from graphdown.baselines.networks.blocks import halved
from graphdown.baselines.networks.box_maps import Maps
from graphdown.baselines.networks.fit import Loss, NetworkTraining, masked_mean
from graphdown.baselines.networks.inputs import ByVariable
from graphdown.baselines.networks.unet import two_dimensional
from meshes import Grid

DEFAULT = NetworkTraining(steps=800, batch_size=16, learning_rate=1e-3)
LEVELS = 4


class ErrorPredictingNetwork(nnx.Module):
    """A U-Net on interpolated fields whose output is added to one of them."""

    def __init__(
        self,
        predictors: int,
        interpolated: int,
        statics: np.ndarray,
        vector: int,
        filters: int,
        *,
        rngs: nnx.Rngs,
    ) -> None:
        """Create the layers.

        Args:
            predictors: V.
            interpolated: which of them is corrected.
            statics: standardised static fields [H, W, S].
            vector: length of the vector.
            filters: of the first level; they double with each further one.
            rngs: source of the initial weights.
        """
        widths = [filters * 2**i for i in range(LEVELS)]
        kernels = [(5, 5), (3, 3), (3, 3), (3, 3)]
        fixed = statics.shape[-1]

        def convolution(a: int, b: int, level: int) -> nnx.Conv:
            return nnx.Conv(a, b, kernels[level], rngs=rngs)

        self.first = convolution(predictors, widths[0], 0)
        inward = [widths[0] + fixed, *widths[1:]]
        entering = [inward[0], *widths[:-1]]
        self.contracting = nnx.List(
            nnx.List(
                [convolution(a, b, level)]
                if level == 0
                else [convolution(a, b, level), convolution(b, b, level)]
            )
            for level, (a, b) in enumerate(zip(entering, widths, strict=True))
        )
        below = [*widths[1:-1], widths[-1] + vector]
        self.expanding = nnx.List(
            nnx.List(
                [
                    convolution(a, b, level),
                    convolution(2 * b, b, level),
                    convolution(b, b, level),
                ]
            )
            for level, (a, b) in enumerate(zip(below, widths[:-1], strict=True))
        )
        zeros = nnx.initializers.zeros
        self.output = nnx.Conv(widths[0], 1, (1, 1), kernel_init=zeros, rngs=rngs)
        self.statics = nnx.Variable(jnp.asarray(statics))
        self.interpolated = interpolated

    def __call__(self, maps: Array, vector: Array) -> Array:
        """Return outputs [B, N, 1] for maps [B, H, W, V] and a vector [B, F]."""
        fixed = jnp.broadcast_to(self.statics[...], (len(maps), *self.statics.shape))
        h = jnp.concatenate([nnx.relu(self.first(maps)), fixed], axis=-1)
        skips: list[Array] = []
        for layers in self.contracting:
            h = halved(h) if skips else h
            for layer in layers:
                h = nnx.relu(layer(h))
            skips.append(h)
        season = jnp.broadcast_to(vector[:, None, None], (*h.shape[:3], vector.shape[-1]))
        h = jnp.concatenate([h, season], axis=-1)
        for layers, skip in zip(reversed(self.expanding), reversed(skips[:-1]), strict=True):
            expand, *rest = layers
            h = nnx.relu(expand(doubled(h, skip.shape)))
            h = jnp.concatenate([skip, h], axis=-1)
            for layer in rest:
                h = nnx.relu(layer(h))
        corrected = maps[..., self.interpolated, None] + self.output(h)
        return corrected.reshape(len(maps), -1, 1)


class ErrorPredictingCNN(NetworkBaseline):
    """The error-predicting network (RPN) of Serifi, Guenther and Ban 2021.

    Spatio-temporal downscaling of climate data using convolutional and error-predicting neural
    networks, doi:10.3389/fclim.2021.656479. As published: predictors are first interpolated to
    the target's grid; a U-Net of four levels, from which only the error of the interpolation
    comes, gets longitude, latitude and height after its first convolution and the season at its
    narrowest; kernels of 5 and 3 cells; a loss of the values and of their differences between
    neighbours along both axes; Adam.

    Different here: daily fields enter singly, not three time steps together, so convolutions have
    two dimensions; the whole domain instead of patches of 32 x 32; all predictors enter, not the
    variable alone; errors are squared instead of absolute, since a median of precipitation is
    biased towards dry; land fraction enters where it is known; 16 filters at first by default
    (published 72). The paper prefers direct prediction for precipitation; here the network is
    the error-predicting one throughout. The correction starts at zero.

    Args:
        training: steps, batch size, learning rate, stopping.
        seed: of the weights and of the batches.
        filters: of the first level.
    """

    name = "error-predicting CNN"
    needs_target_predictor = True

    def __init__(
        self, training: NetworkTraining = DEFAULT, seed: int = 0, filters: int = 16
    ) -> None:
        super().__init__(training, seed)
        self._filters = filters

    def _lattice(self, sources: Sequence[Grid]) -> tuple[Grid, Sequence[int]]:
        return self.target.grid, two_dimensional(self.target.grid, self.name)

    def _standardiser(self, sources: Sequence[Maps]) -> ByVariable:
        return ByVariable.of(sources)

    def _task(self, lesson: Lesson) -> FitTask:
        if lesson.name not in lesson.predictors:
            raise ValueError(
                f"The baseline {self.name!r} corrects the interpolated variable itself, but the "
                f"coarse data lack {lesson.name!r}; predict another variable or use another method."
            )
        assert isinstance(lesson.standardise, ByVariable)
        index = list(lesson.predictors).index(lesson.name)
        network = ErrorPredictingNetwork(
            len(lesson.predictors),
            index,
            self._fixed(lesson.statics),
            lesson.example.vector.shape[1],
            self._filters,
            rngs=nnx.Rngs(self._seed),
        )
        mean, inverse = (float(part[index]) for part in lesson.standardise.maps)
        return FitTask(
            network,
            difference_loss(two_dimensional(self.target.grid, self.name)),
            mean,
            1 / inverse,
        )

    def _fixed(self, statics: xr.Dataset | None) -> np.ndarray:
        """Return longitude, latitude and, if known, height and land fraction [H, W, S]."""
        grid = self.target.grid
        x, y = np.cos(np.radians(grid.lon)), np.sin(np.radians(grid.lon))
        fields = [x, y, grid.lat]
        for name in ("orog", "sftlf"):
            if statics is not None and name in statics:
                values = grid.values(statics[name]).astype(np.float64)
                fields.append(np.nan_to_num(values))
        table = np.stack(fields, axis=-1)
        spread = table.std(axis=0)
        table = (table - table.mean(axis=0)) / np.where(spread > 1e-9, spread, 1.0)
        return table.reshape(*grid.shape, -1).astype(np.float32)


def doubled(maps: Array, shape: tuple[int, ...]) -> Array:
    """Return maps with each cell repeated twice along both axes, cut to the shape of a skip."""
    return maps.repeat(2, axis=1).repeat(2, axis=2)[:, : shape[1], : shape[2]]


@cache  # one function for one shape, or it would be compiled anew for each variable
def difference_loss(shape: tuple[int, int]) -> Loss:
    """Return the squared error of values plus that of differences along rows and columns."""

    def loss(outputs: Array, truth: Array) -> Array:
        predicted, expected = (part.reshape(len(truth), *shape) for part in (outputs, truth))
        total = masked_mean((predicted - jnp.nan_to_num(expected)) ** 2, expected)
        for axis in (1, 2):
            steps = jnp.diff(expected, axis=axis)
            error = jnp.diff(predicted, axis=axis) - jnp.nan_to_num(steps)
            total = total + masked_mean(error**2, steps)
        return total

    return loss
