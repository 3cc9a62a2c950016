"""Augmentation of source fields, on the device: errors that another model might have had.

The fields of a step are given the errors that climate models differ by. Those that a model has on
all days alike are drawn once in a step, the others for each day; a day's draws depend on the seed,
the step and its place in the batch, not on how many devices share the batch.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from graphdown.config.training import TrainingSpec
from graphdown.data.normalise import Normaliser
from graphdown.model.arrays import InterpolationTable, interpolation, most_donors
from graphdown.model.edge_tables import stack
from graphdown.model.predict import Scaling
from graphdown.training.parallel import AXIS
from graphdown.variables.catalogue import describe
from graphdown.variables.names import variable_of, variables_of
from meshes import EARTH_RADIUS_KM, Grid, SparseWeights
from meshes.geometry.sphere import chord_to_angle
from meshes.graphs.edges import kernel, within_radius

Augmentation = Callable[[Array, Array, Scaling, InterpolationTable | None], Array]


def make_augmentation(spec: TrainingSpec, normaliser: Normaliser, seed: int) -> Augmentation | None:
    """Make the augmentation of the source fields of a step, None if nothing changes them.

    It takes the fields [B, Ns, V] of this device's days, the number of the step, the statistics
    and the smoother of the source grid, and must be called under the named axis "data".

    Args:
        spec: how far fields are changed.
        normaliser: names of the variables.
        seed: of the run.
    """
    amounts = (
        spec.smoothing_km,
        spec.mean_shift,
        spec.variance_shift,
        spec.noise,
        spec.variable_dropout,
    )
    if not any(amounts):
        return None
    kinds, count = _Kinds.of(spec, normaliser), len(normaliser.predictors)

    def augment(
        values: Array, step: Array, scales: Scaling, smoother: InterpolationTable | None
    ) -> Array:
        of_step = jax.random.fold_in(jax.random.key(seed), step)
        smoothing_key, shift_key, of_days = jax.random.split(of_step, 3)
        place = jax.lax.axis_index(AXIS) * len(values) + jnp.arange(len(values))
        keys = jax.vmap(jax.random.fold_in, (None, 0))(of_days, place)
        noise_keys, drop_keys = jax.vmap(jax.random.split, out_axes=1)(keys)
        mean, std = (part[:count] for part in (scales.mean, scales.std))
        if smoother is not None:
            values = smoothed(values, jax.random.uniform(smoothing_key), smoother)
        if spec.mean_shift or spec.variance_shift:
            shift, stretch = _drawn_shift(spec, kinds, shift_key)
            values = shifted(values, shift, stretch, mean, std, kinds.positive)
        if spec.noise:
            drawn = jax.vmap(lambda key: jax.random.normal(key, values.shape[1:]))(noise_keys)
            values = noisy(values, spec.noise * drawn, spec.noise, std, kinds.positive)
        if spec.variable_dropout:
            values = dropped(values, _drawn_dropout(spec, kinds, drop_keys))
        return values

    return augment


@dataclass(frozen=True, eq=False)
class _Kinds:
    """How each of the predictors [V] may be changed.

    A variable has its errors, or is missing, in every step of a window alike.

    Attributes:
        count: number of variables.
        variable: number of each predictor's variable.
        positive: those that are amounts, which errors multiply.
        droppable: those that may be missing.
        shifting: 1 for those whose mean and spread are shifted, else 0.
    """

    count: int
    variable: np.ndarray
    positive: np.ndarray
    droppable: np.ndarray
    shifting: np.ndarray

    @classmethod
    def of(cls, spec: TrainingSpec, normaliser: Normaliser) -> "_Kinds":
        names = normaliser.predictors
        variables = variables_of(names)
        chosen = spec.shifted_variables or variables
        return cls(
            count=len(variables),
            variable=np.asarray([variables.index(variable_of(name)) for name in names]),
            positive=np.asarray([describe(name).is_amount for name in names]),
            droppable=np.asarray([name in normaliser.optional_predictors for name in names]),
            shifting=np.asarray([variable_of(name) in chosen for name in names], np.float32),
        )


def _drawn_shift(spec: TrainingSpec, kinds: _Kinds, key: Array) -> tuple[Array, Array]:
    """Draw shifts of the mean, in standard deviations, and factors of the spread, both [V]."""
    draw = jax.random.uniform(key, (2, kinds.count), minval=-1.0, maxval=1.0)
    draw = draw[:, kinds.variable] * kinds.shifting
    return spec.mean_shift * draw[0], jnp.exp(spec.variance_shift * draw[1])


def _drawn_dropout(spec: TrainingSpec, kinds: _Kinds, keys: Array) -> Array:
    """Draw which predictors are missing on each day [B, V]."""
    drawn = jax.vmap(lambda key: jax.random.uniform(key, (kinds.count,)))(keys)
    return (drawn[:, kinds.variable] < spec.variable_dropout) & kinds.droppable


def smoothed(values: Array, share: Array, smoother: InterpolationTable) -> Array:
    """Fields [B, Ns, V] of which a share is replaced by their mean over the neighbourhood."""
    means = jnp.swapaxes(smoother(jnp.swapaxes(values, 0, 1)), 0, 1)
    return values + share * (means - values)


def shifted(
    values: Array, shift: Array, stretch: Array, mean: Array, std: Array, positive: np.ndarray
) -> Array:
    """Fields [..., V] with another mean and spread.

    Args:
        values: the fields.
        shift: of the mean [V], in standard deviations.
        stretch: factor of the deviations from the mean [V].
        mean, std: of the variables [V].
        positive: variables [V] that are amounts: multiplied by stretch * exp(shift).
    """
    moved = mean + (values - mean) * stretch + shift * std
    return jnp.where(positive, values * stretch * jnp.exp(shift), moved)


def noisy(values: Array, noise: Array, size: float, std: Array, positive: np.ndarray) -> Array:
    """Fields [..., V] plus noise [..., V] of a size in standard deviations.

    Amounts (positive) are multiplied by a lognormal factor of mean 1.
    """
    factor = jnp.exp(noise - 0.5 * size**2)
    return jnp.where(positive, values * factor, values + noise * std)


def dropped(values: Array, drop: Array) -> Array:
    """Fields [B, Ns, V] with NaN for the variables that are True in `drop` [B, V]."""
    return jnp.where(drop[:, None], jnp.nan, values)


def make_smoother(grids: Sequence[Grid], nodes: int, radius_km: float) -> InterpolationTable | None:
    """Means over neighbourhoods as one table, stacked along the grids; None for a radius of 0.

    Weights are areas times the kernel of the encoder, (1 - (d/r)^2)^2 of the distance.

    Args:
        grids: of the source.
        nodes: number of nodes that the fields are padded to.
        radius_km: of the neighbourhood.
    """
    if not radius_km:
        return None
    weights = [_neighbourhood(grid, nodes, radius_km) for grid in grids]
    width = max(map(most_donors, weights))
    stacked: InterpolationTable = stack([interpolation(each, width) for each in weights])
    return stacked


def _neighbourhood(grid: Grid, nodes: int, radius_km: float) -> SparseWeights:
    used = np.flatnonzero(grid.mask)
    xyz, area = grid.xyz[used], grid.area[used]
    donors, receivers = within_radius(xyz, xyz, np.full(len(used), radius_km))
    chord = np.linalg.norm(xyz[donors] - xyz[receivers], axis=1)
    share = area[donors] * kernel(EARTH_RADIUS_KM * chord_to_angle(chord) / radius_km)
    share = share / np.bincount(receivers, share, len(used))[receivers]
    near = share > 0
    rows, cols = used[receivers[near]].astype(np.int32), used[donors[near]].astype(np.int32)
    return SparseWeights(rows, cols, share[near], (nodes, nodes))
