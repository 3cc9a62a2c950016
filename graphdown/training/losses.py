"""Losses of a training step, one for each target, in units of its correction's scale."""

from collections.abc import Sequence
from dataclasses import dataclass
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
from graphdown.model.transforms import FORWARD, transformed
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
        made = gammainc(shape, jnp.maximum(amounts, 0.0) / scale)
        return jnp.where(jnp.isfinite(shape), made, 0.0)


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
    fitted = (np.where(enough, own, np.nan) for own in (shape, mean / shape))
    return Gammas(*(jnp.asarray(own, jnp.float32) for own in fitted))


def fair_crps(members: Array, truth: Array) -> Array:
    """Return the fair CRPS [B, ...] of members [B, M, ...] for the truth [B, ...].

    mean_i |x_i - y| - sum_ij |x_i - x_j| / (2 M (M - 1)) (Ferro 2014, doi:10.1002/qj.2270).
    """
    count = members.shape[1]
    error = jnp.abs(members - truth[:, None]).mean(axis=1)
    apart = sum(
        jnp.abs(members[:, :i] - members[:, i : i + 1]).sum(axis=1) for i in range(1, count)
    )
    return error - apart / (count * (count - 1))


def asymmetric(made: Array, truth: Array, rarity: Array) -> Array:
    """Return |y - x| + F^2 max(0, x - y) of predictions y and the truth x.

    Rain that is missed costs more the rarer it is (Doury et al. 2024,
    doi:10.1007/s00382-024-07350-8).

    Args:
        made, truth: of any shape, the same.
        rarity: F, the truth in the cell's distribution of wet days.
    """
    return jnp.abs(made - truth) + rarity**2 * jnp.maximum(truth - made, 0.0)


def censored(made: Array, truth: Array) -> Array:
    """Return (y - x)^2, but max(y, 0)^2 on days on which the truth x is 0.

    The output is cut at 0, so that a negative y is no error there, as an observation at the limit
    tells no more of what lies beyond it (Tobin 1958, doi:10.2307/1907382). The plain square holds
    a network to 0 on dry days, so that it is too wet once it is cut.

    Args:
        made, truth: of any shape, the same.
    """
    return jnp.where(truth > 0.0, made - truth, jnp.maximum(made, 0.0)) ** 2


@dataclass(frozen=True)
class Losses:
    """The losses of an experiment's targets.

    Attributes:
        names: of each target's loss.
        bounds: least and greatest value of each target, in the space of its transform.
        readout: what the network's outputs say of the targets.
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
        """Losses of the named targets; that of a distribution is its likelihood."""
        readout = Readout.of(model, targets)
        names: list[str] = [spec.losses.get(variable_of(name), "mse") for name in targets]
        for target in readout.drawn:
            names[target] = LIKELIHOOD
        transforms = readout.transforms or ("none",) * len(targets)
        bounds = tuple(
            tuple(float(FORWARD[kind](jnp.asarray(bound))) for bound in describe(name).bounds)
            for name, kind in zip(targets, transforms, strict=True)
        )
        members = spec.members if model.noise else 1
        return cls(tuple(names), bounds, readout, model, members)

    @property
    def plain(self) -> bool:
        """Whether all are mean square errors of one field in physical units."""
        return self.members == 1 and set(self.names) == {"mse"} and not self.readout.transforms

    @property
    def weighs_rarity(self) -> bool:
        """Whether a loss needs the distributions of wet days."""
        return "gamma-weighted" in self.names

    def terms(self, made: Array, truth: Array, scale: Array, gammas: Gammas | None) -> Array:
        """Return the losses [B, Nt, T] of outputs [B * M, Nt, O], members side by side.

        Args:
            made: see `graphdown.model.predict.outputs`.
            truth: [B, Nt, T] in physical units, none missing.
            scale: of the corrections [T].
            gammas: of the cells' wet days, if a loss needs them.
        """
        made = made.reshape(len(truth), self.members, *made.shape[1:])
        wanted = transformed(truth, self.readout.transforms)
        columns = []
        for t, name in enumerate(self.names):
            own = wanted[..., t]
            if name == LIKELIHOOD:
                law = self.readout.rain(made, t, scale[t])
                columns.append(law.negative_log_likelihood(own[:, None]).mean(axis=1))
                continue
            if name == "crps":
                columns.append(fair_crps(self.limited(made, t), own) / scale[t])
                continue
            if name == "censored":
                columns.append(censored(made[..., t], own[:, None]).mean(axis=1) / scale[t] ** 2)
                continue
            error = (made[..., t] - own[:, None]) / scale[t]
            if name == "gamma-weighted":
                assert gammas is not None
                rarity = gammas.cdf(truth[..., t], t)[:, None]
                columns.append(asymmetric(error, jnp.zeros(()), rarity).mean(axis=1))
            else:
                size = error**2 if name == "mse" else jnp.abs(error)
                columns.append(size.mean(axis=1))
        return jnp.stack(columns, axis=-1)

    def limited(self, made: Array, target: int) -> Array:
        """Return the values of a target [...] of outputs [..., O], within its bounds."""
        low, high = self.bounds[target]
        values = made[..., target]
        values = values if low == -jnp.inf else jnp.maximum(values, low)
        return values if high == jnp.inf else jnp.minimum(values, high)

    def over_scales(
        self,
        made: Array,
        truth: Array,
        weight: Array,
        scale: Array,
        means: Sequence[InterpolationTable],
    ) -> Array:
        """Return the sum of weighted fair CRPS of means over neighbourhoods, all scales together.

        Members that agree with the truth at each cell and not in its texture, as white noise, have
        means with too little spread.

        Args:
            made, truth, scale: as for `terms`.
            weight: of each value [B, Nt, T], 0 where it is missing.
            means: over the neighbourhoods of each scale.
        """
        made = made.reshape(len(truth), self.members, *made.shape[1:])
        wanted = transformed(truth, self.readout.transforms)
        total = jnp.zeros(())
        for t in (t for t, name in enumerate(self.names) if name == "crps"):
            there = weight[..., t] > 0
            every = jnp.concatenate([self.limited(made, t), wanted[:, None, :, t]], axis=1)
            every = jnp.where(there[:, None], every, 0.0) / scale[t]
            for smoother in means:
                share = _smoothed(there.astype(every.dtype), smoother)
                mean = _smoothed(every, smoother) / jnp.maximum(share, 1e-6)[:, None]
                total += (fair_crps(mean[:, :-1], mean[:, -1]) * weight[..., t]).sum()
        return total


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
    made = jax.vmap(lambda key: jax.random.normal(key, (members, size)))(keys)
    return made.reshape(days * members, size)
