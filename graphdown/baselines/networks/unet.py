"""The U-Net emulator of Doury et al. 2022."""

from collections.abc import Sequence

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
from graphdown.baselines.networks.blocks import DoubleConvolution, Expansion, batch_norm, halved
from graphdown.baselines.networks.box import Box, centred, extent_of, frame_of
from graphdown.baselines.networks.box_maps import Maps
from graphdown.baselines.networks.fit import NetworkTraining, squared_error
from graphdown.baselines.networks.inputs import ByDay, Standardiser
from graphdown.baselines.predictands import spread_over_time
from meshes import EARTH_RADIUS_KM, Grid

DEFAULT = NetworkTraining(steps=1200, batch_size=32, learning_rate=3e-3)
FIRST_FILTERS = 32


class UNetNetwork(nnx.Module):
    """Maps contract to one cell, meet the vector there, and expand to the target's size."""

    def __init__(
        self,
        size: int,
        target_shape: tuple[int, int],
        predictors: int,
        vector: int,
        filters: int,
        skip_from: np.ndarray,
        *,
        rngs: nnx.Rngs,
    ) -> None:
        """Create the layers.

        Args:
            size: rows and columns of the maps, a power of two.
            target_shape: rows and columns of the target.
            predictors: V.
            vector: length of the vector.
            filters: of the first level; they double with each further one.
            skip_from: the extent along x and y of the maps over that of the decoder's lattice [2].
            rngs: source of the initial weights.
        """
        levels = size.bit_length() - 1
        steps = lattice_size(target_shape).bit_length() - 1
        widths = [filters * 2**i for i in range(levels)]
        self.first = nnx.Conv(predictors, FIRST_FILTERS, (1, 1), rngs=rngs)
        self.first_norm = batch_norm(FIRST_FILTERS, rngs)
        inward = [FIRST_FILTERS, *widths]
        self.contracting = nnx.List(
            DoubleConvolution(a, b, rngs=rngs) for a, b in zip(inward[:-1], inward[1:], strict=True)
        )
        self.last = DoubleConvolution(widths[-1], widths[-1], rngs=rngs)
        dense = [vector, *widths]
        self.dense = nnx.List(
            nnx.Linear(a, b, rngs=rngs) for a, b in zip(dense[:-1], dense[1:], strict=True)
        )
        outward = [*widths[::-1], *[filters] * steps][:steps]
        skipped = [*widths[::-1], *[0] * steps][:steps]
        channels = [2 * widths[-1], *outward]
        self.expanding = nnx.List(
            Expansion(a, skip, b, rngs=rngs)
            for a, skip, b in zip(channels[:-1], skipped, channels[1:], strict=True)
        )
        self.output = nnx.Conv(filters, 1, (1, 1), rngs=rngs)
        self.carry = nnx.List(
            nnx.Variable(jnp.stack([interpolation(2 ** (i + 1), ratio) for ratio in skip_from]))
            for i in range(min(levels, steps))
        )
        self.target_shape = target_shape

    def __call__(self, maps: Array, vector: Array) -> Array:
        """Return outputs [B, N, 1] for maps [B, size, size, V] and a vector [B, F]."""
        maps = nnx.relu(self.first_norm(self.first(maps)))
        skips = []
        for block in self.contracting:
            maps = block(maps)
            skips.append(maps)
            maps = halved(maps)
        for layer in self.dense:
            vector = layer(vector)
        maps = jnp.concatenate([self.last(maps), vector[:, None, None]], axis=-1)
        for i, expansion in enumerate(self.expanding):
            if i < len(self.carry):
                x, y = self.carry[i][...]
                maps = expansion(maps, jnp.einsum("yh,bhwc,xw->byxc", y, skips[-1 - i], x))
            else:
                maps = expansion(maps)
        rows, columns = self.target_shape
        top, left = (maps.shape[1] - rows) // 2, (maps.shape[2] - columns) // 2
        maps = self.output(maps[:, top : top + rows, left : left + columns])
        return maps.reshape(len(maps), -1, 1)


class UNet(NetworkBaseline):
    """The emulator of Doury, Somot, Gadat, Ribes and Corre 2022, doi:10.1007/s00382-022-06343-9.

    As published: every daily map is standardised by its own spatial mean and standard deviation,
    which the network gets as a vector, with the season and what forcings there are; the maps
    contract from a square box with a power of two of cells to one cell by blocks of two 3 x 3
    convolutions with batch normalisation and ReLU, from 64 filters on doubling; the vector passes
    dense layers and joins there; transposed convolutions expand it to the target's own grid, with
    the skip connections that the box has; squared error, Adam, batches of 32 days, early stopping.
    For maps of 16 x 16 cells, 20 variables and a target of 64 x 64 it has the 25 million
    parameters of the paper.

    Different here: predictors are this experiment's; the box, about the spacing of the training
    sources and at least one cell wider than the target, is bilinearly interpolated to; skip
    connections are interpolated to where the expanding maps lie, instead of laid over them; the
    target is learned less each cell's mean, over one standard deviation; sizes of the target that
    are no power of two are cut out of the next one; 32 filters at first by default; the rate
    starts at 0.003 (published 0.005) and decays to zero within the steps instead of by plateaus.

    Args:
        training: steps, batch size, learning rate, stopping.
        seed: of the weights and of the batches.
        spacing_km: of the box, about; by default the median of the training sources' spacings.
        filters: of the first level.
    """

    name = "U-Net"

    def __init__(
        self,
        training: NetworkTraining = DEFAULT,
        seed: int = 0,
        spacing_km: float | None = None,
        filters: int = 32,
    ) -> None:
        super().__init__(training, seed)
        self._spacing_km, self._filters = spacing_km, filters

    def _lattice(self, sources: Sequence[Grid]) -> tuple[Grid, Sequence[int]]:
        grid = self.target.grid
        rows, columns = two_dimensional(grid, self.name)
        frame = frame_of(grid)
        low, high = extent_of(grid, frame).T
        # Cells of the target along x and y, as angles.
        cells = (high - low) / (np.array([columns, rows]) - 1)
        lattice = lattice_size((rows, columns)) * cells
        spacing = (self._spacing_km or median_spacing_km(sources)) / EARTH_RADIUS_KM
        least = high - low + cells + 2 * spacing
        size = 2 ** max(2, round(np.log2(least.max() / spacing)))
        extent = np.maximum(least, size * spacing)
        self._skip_from = extent / lattice
        axes = [
            centred(middle, side / size, size)
            for middle, side in zip((low + high) / 2, extent, strict=True)
        ]
        box = Box(frame, *axes)
        return box.grid, box.shape

    def _standardiser(self, sources: Sequence[Maps]) -> Standardiser:
        return ByDay.of(sources)

    def _task(self, lesson: Lesson) -> FitTask:
        network = UNetNetwork(
            lesson.example.maps.shape[1],
            two_dimensional(self.target.grid, self.name),
            len(lesson.predictors),
            lesson.example.vector.shape[1],
            self._filters,
            self._skip_from,
            rngs=nnx.Rngs(self._seed),
        )
        return FitTask(network, squared_error, *spread_over_time(lesson.truths))


def lattice_size(target_shape: tuple[int, int]) -> int:
    """Return the least power of two that holds the target's rows and columns."""
    return 1 << (max(target_shape) - 1).bit_length()


def interpolation(size: int, ratio: float) -> np.ndarray:
    """Return weights [size, size] from cells of a wide axis to those of a narrower one within.

    Both have `size` cells and one centre; the wide axis is `ratio` times as long. Beyond the
    outermost centres the value is constant.
    """
    place = (np.arange(size) - (size - 1) / 2) / ratio + (size - 1) / 2
    place = np.clip(place, 0, size - 1)
    return np.maximum(0.0, 1.0 - np.abs(place[:, None] - np.arange(size))).astype(np.float32)


def two_dimensional(grid: Grid, name: str) -> tuple[int, int]:
    """Return the rows and columns of a target, or refuse one that has none.

    Raises:
        ValueError: it has none, or only one.
    """
    if len(grid.shape) != 2 or min(grid.shape) < 2:
        raise ValueError(
            f"The baseline {name!r} makes maps of rows and columns, which the target lacks, being "
            f"{grid.kind} of shape {grid.shape}; leave this method out."
        )
    rows, columns = grid.shape
    return rows, columns
