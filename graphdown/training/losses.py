"""Losses of a training step, one for each target, in units of its correction's scale."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jax.scipy.special import gammainc

from graphdown.config.training import TrainingSpec
from graphdown.model import ModelSpec
from graphdown.model.arrays import InterpolationTable
from graphdown.model.distributions import WET
from graphdown.model.heads import Readout
from graphdown.model.loss_functions import DEFAULT, LOSSES, Loss
from graphdown.model.transforms import NONE, TRANSFORMS, transformed
from graphdown.runtime.random_streams import RandomStream
from graphdown.training.paired_days import DayValues, parts
from graphdown.variables.catalogue import describe
from graphdown.variables.names import variable_of

LIKELIHOOD = "likelihood"
LEAST_DAYS = 10  # wet ones, to fit a distribution to
STEEPEST = 100.0  # shape, as of a cell whose wet days are all alike


class Gammas(NamedTuple):
    """Gamma distributions of the wet days of each cell and target.

    Attributes:
        shape, scale: [Nt, T]; NaN for a cell with too few wet days.
    """

    shape: Array
    scale: Array

    def cdf(self, amounts: Array, target: int) -> Array:
        """Return the share of wet days with less than amounts [..., Nt] of a target."""
        shape, scale = self.shape[:, target], self.scale[:, target]
        share = gammainc(shape, jnp.maximum(amounts, 0.0) / scale)
        return jnp.where(jnp.isfinite(shape), share, 0.0)


def fit_gammas(sources: Sequence[DayValues]) -> Gammas:
    """Return the distributions of wet days [days, Nt, T] of all sources together.

    By maximum likelihood in the approximation of Thom (1958, Mon. Wea. Rev. 86, 117-122).

    Args:
        sources: targets of the training days; missing values are NaN.
    """
    count, total, logs = (np.zeros(sources[0].shape[1:]) for _ in range(3))
    for values in sources:
        for part in parts(values):
            some = np.asarray(values[part], np.float64)
            wet = some >= WET
            amounts = np.where(wet, some, 1.0)
            count += wet.sum(axis=0)
            total += np.where(wet, some, 0.0).sum(axis=0)
            logs += np.log(amounts).sum(axis=0)
    enough = count >= LEAST_DAYS
    days = np.where(enough, count, 1.0)
    mean = np.where(enough, total / days, 1.0)
    spread = np.maximum(np.log(mean) - logs / days, 1e-6)
    shape = np.minimum((1.0 + np.sqrt(1.0 + 4.0 * spread / 3.0)) / (4.0 * spread), STEEPEST)
    fitted = (np.where(enough, values, np.nan) for values in (shape, mean / shape))
    return Gammas(*(jnp.asarray(values, jnp.float32) for values in fitted))


@dataclass(frozen=True)
class Losses:
    """The losses of an experiment's targets.

    Attributes:
        names: of each target's loss; that of a distribution is its likelihood.
        bounds: least and greatest value of each target, in the space of its transform.
        readout: meaning of the network's outputs for the targets.
        model: whose outputs these are.
        members: of each day in a step, 1 for a network without noise.
    """

    names: tuple[str, ...]
    bounds: tuple[tuple[float, ...], ...]
    readout: Readout
    model: ModelSpec
    members: int

    @classmethod
    def of(cls, spec: TrainingSpec, model: ModelSpec, targets: tuple[str, ...]) -> "Losses":
        """Losses of the named targets."""
        readout = Readout.of(model, targets)
        names = [spec.losses.get(variable_of(name), DEFAULT) for name in targets]
        for target in readout.drawn:
            names[target] = LIKELIHOOD
        transforms = readout.transforms or (NONE,) * len(targets)
        bounds = tuple(map(_bounds, targets, transforms))
        members = spec.members if model.noise else 1
        return cls(tuple(names), bounds, readout, model, members)

    @property
    def plain(self) -> bool:
        """Whether all are mean square errors of one field in physical units."""
        return self.members == 1 and set(self.names) == {DEFAULT} and not self.readout.transforms

    @cached_property
    def functions(self) -> dict[int, Loss]:
        """Loss of each target without a distribution."""
        return {t: LOSSES[name] for t, name in enumerate(self.names) if name != LIKELIHOOD}

    @property
    def weighs_rarity(self) -> bool:
        """Whether a loss needs the distributions of wet days."""
        return any(loss.weighs_rarity for loss in self.functions.values())

    def terms(self, outputs: Array, truth: Array, scale: Array, gammas: Gammas | None) -> Array:
        """Return the losses [B, Nt, T] of outputs [B * M, Nt, O], members side by side.

        Args:
            outputs: see `graphdown.model.predict.outputs`.
            truth: [B, Nt, T] in physical units, none missing.
            scale: of the corrections [T].
            gammas: of the cells' wet days, if a loss needs them.
        """
        outputs = outputs.reshape(len(truth), self.members, *outputs.shape[1:])
        corrected = transformed(truth, self.readout.transforms)
        columns = [
            self._term(outputs, corrected[..., t], t, scale[t], gammas)
            for t in range(len(self.names))
        ]
        return jnp.stack(columns, axis=-1)

    def _term(
        self, outputs: Array, truth: Array, target: int, scale: Array, gammas: Gammas | None
    ) -> Array:
        """Return the loss [B, Nt] of a target, of outputs [B, M, Nt, O]."""
        loss = self.functions.get(target)
        if loss is None:
            law = self.readout.distribution(outputs, target, scale)
            return law.negative_log_likelihood(truth[:, None]).mean(axis=1)
        if loss.ensemble:
            return loss.function(self.limited(outputs, target), truth, scale)
        weights: tuple[Array, ...] = ()
        if loss.weighs_rarity:
            assert gammas is not None
            weights = (gammas.cdf(truth, target)[:, None],)
        return loss.function(outputs[..., target], truth[:, None], scale, *weights).mean(axis=1)

    def limited(self, outputs: Array, target: int) -> Array:
        """Return the values of a target [...] of outputs [..., O], within its bounds."""
        low, high = self.bounds[target]
        values = outputs[..., target]
        values = values if low == -jnp.inf else jnp.maximum(values, low)
        return values if high == jnp.inf else jnp.minimum(values, high)

    def over_scales(
        self,
        outputs: Array,
        truth: Array,
        weight: Array,
        scale: Array,
        means: Sequence[InterpolationTable],
    ) -> Array:
        """Return the sum of weighted ensemble losses of means over neighbourhoods, over all scales.

        Members that agree with the truth at each cell and not in its texture, as white noise, have
        means with too little spread.

        Args:
            outputs, truth, scale: as for `terms`.
            weight: of each value [B, Nt, T], 0 where it is missing.
            means: over the neighbourhoods of each scale.
        """
        outputs = outputs.reshape(len(truth), self.members, *outputs.shape[1:])
        corrected = transformed(truth, self.readout.transforms)
        total = jnp.zeros(())
        for t, loss in self.functions.items():
            if not loss.ensemble:
                continue
            there = weight[..., t] > 0
            every = jnp.concatenate([self.limited(outputs, t), corrected[:, None, :, t]], axis=1)
            every = jnp.where(there[:, None], every, 0.0)
            for smoother in means:
                share = _smoothed(there.astype(every.dtype), smoother)
                mean = _smoothed(every, smoother) / jnp.maximum(share, 1e-6)[:, None]
                score = loss.function(mean[:, :-1], mean[:, -1], scale[t])
                total += (score * weight[..., t]).sum()
        return total


def _bounds(target: str, transform: str) -> tuple[float, ...]:
    """Return the least and the greatest value of a target in the space of its transform."""
    forward = TRANSFORMS[transform].forward
    return tuple(
        float(forward(np.asarray(bound))) if np.isfinite(bound) else bound
        for bound in describe(target).bounds
    )


def _smoothed(fields: Array, smoother: InterpolationTable) -> Array:
    """Return means over neighbourhoods of fields [..., Nt]."""
    return jnp.moveaxis(smoother(jnp.moveaxis(fields, -1, 0)), 0, -1)


def step_noise(step: Array, first: Array, days: int, members: int, size: int, seed: int) -> Array:
    """Return the noise [days * members, size] of a step, by the days' places in the batch alone.

    Args:
        step: its number.
        first: place in the batch of this device's first day.
        days: of this device.
        members: of each day.
        size: numbers of each.
        seed: of the experiment.
    """
    of_run = jax.random.fold_in(jax.random.key(seed), RandomStream.TRAINING_NOISE)
    of_step = jax.random.fold_in(of_run, step)
    keys = jax.vmap(jax.random.fold_in, (None, 0))(of_step, first + jnp.arange(days))
    numbers = jax.vmap(lambda key: jax.random.normal(key, (members, size)))(keys)
    return numbers.reshape(days * members, size)
