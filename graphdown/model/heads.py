"""What the network's outputs say of each target: a value, or a distribution of rain."""

from dataclasses import dataclass
from functools import cached_property, partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from graphdown.model.conserve import StepMean, step_means
from graphdown.model.distributions import negative_log_likelihood
from graphdown.model.spec import ModelSpec
from graphdown.model.transforms import restored
from graphdown.variables.names import variable_of

BERNOULLI_GAMMA = "bernoulli-gamma"
PARAMETERS = 2  # of a Bernoulli-Gamma distribution, beside its mean
BEND = 0.1  # of a correction's scale; where the mean of rain bends to stay positive
LEAST_SHAPE = 0.1


@dataclass(frozen=True)
class Readout:
    """What the network's outputs say of each target.

    The first T outputs are the targets' values, in the spaces of their transforms. Two more follow
    for each Bernoulli-Gamma target, in the targets' order.

    Attributes:
        heads: of each target; empty if all are values.
        transforms: of each target; empty if none has one.
        means: targets that are means over a step, whose sub-steps are to have this mean.
    """

    heads: tuple[str, ...] = ()
    transforms: tuple[str, ...] = ()
    means: tuple[StepMean, ...] = ()

    @classmethod
    def of(cls, spec: ModelSpec, targets: tuple[str, ...]) -> "Readout":
        """Return what a model's outputs say of the named targets."""
        heads = tuple(spec.heads.get(variable_of(name), "value") for name in targets)
        transforms = tuple(spec.transforms.get(variable_of(name), "none") for name in targets)
        return cls(
            heads if BERNOULLI_GAMMA in heads else (),
            transforms if set(transforms) != {"none"} else (),
            step_means(targets) if spec.conserve_mean else (),
        )

    @cached_property
    def drawn(self) -> tuple[int, ...]:
        """The targets whose members are drawn from a distribution."""
        return tuple(t for t, head in enumerate(self.heads) if head == BERNOULLI_GAMMA)

    @property
    def further(self) -> int:
        """Number of outputs beside the targets' values."""
        return PARAMETERS * len(self.drawn)

    def conserved(self, values: Array) -> Array:
        """Return the targets' values [..., T] with sub-steps that have their step's mean."""
        for step in self.means:
            values = step.conserved(values)
        return values

    def rain(self, outputs: Any, target: int, scale: Any) -> "BernoulliGamma":
        """Return the distribution of a target [...] that outputs [..., O] tell.

        Args:
            outputs: of the network, see `graphdown.model.predict.outputs`.
            target: its number.
            scale: typical size of its correction.
        """
        first = len(self.heads) + PARAMETERS * self.drawn.index(target)
        logit, shape = outputs[..., first], outputs[..., first + 1]
        bend = BEND * scale
        value = outputs[..., target]
        # (v + r) / 2 with r^2 = v^2 + 4 b^2: positive, close to a positive value v, and falling off
        # slowly, unlike softplus, so that a wet day that was thought dry has no huge gradient.
        size = jnp.where(value >= 0, value, -value)
        sum_of_both = size + jnp.sqrt(value**2 + 4.0 * bend**2)
        mean = jnp.where(value >= 0, 0.5 * sum_of_both, 2.0 * bend**2 / sum_of_both)
        return BernoulliGamma(mean, logit, LEAST_SHAPE + jax.nn.softplus(shape))

    def expected(self, outputs: Array, scale: Array) -> Array:
        """Return the targets [..., T] in physical units: values, or means of distributions.

        Args:
            outputs: of the network [..., O].
            scale: of the corrections [T].
        """
        values = outputs[..., : outputs.shape[-1] - self.further]
        made = restored(values, self.transforms)
        for target in self.drawn:
            mean = self.rain(outputs, target, scale[target]).mean
            made = made.at[..., target].set(mean)
        return made

    def drawn_from(self, outputs: np.ndarray, scale: np.ndarray, ranks: np.ndarray) -> np.ndarray:
        """Return the quantiles [..., T] of the distributions, and the values of other targets.

        Args:
            outputs: of the network [..., O].
            scale: of the corrections [T].
            ranks: in (0, 1), of each of the `drawn` targets [..., D].
        """
        expected, laws = _read(self, outputs, scale)
        made = np.array(expected)
        for k, (target, law) in enumerate(zip(self.drawn, laws, strict=True)):
            made[..., target] = law.quantile(ranks[..., k])
        return made


@partial(jax.jit, static_argnums=0)
def _read(readout: Readout, outputs: Array, scale: Array) -> tuple[Array, list["BernoulliGamma"]]:
    laws = [readout.rain(outputs, target, scale[target]) for target in readout.drawn]
    return readout.expected(outputs, scale), laws


class BernoulliGamma(NamedTuple):
    """A day is wet with probability p = sigmoid(logit), and then has a Gamma distributed amount.

    After DeepESD (Bano-Medina et al. 2022, doi:10.5194/gmd-15-6747-2022), but given by its mean
    p k theta rather than by the scale theta of the amounts, so that the mean starts from the
    interpolated source as other targets do.

    Attributes:
        mean: of wet and dry days together [...], mm/day.
        logit: of the probability of a wet day [...].
        shape: k of the amounts [...].
    """

    mean: Any
    logit: Any
    shape: Any

    def negative_log_likelihood(self, amount: Array) -> Array:
        """Return -log of the density of amounts [...], in mm/day."""
        log_shape = jnp.log(self.shape)
        log_scale = jnp.log(self.mean) - jax.nn.log_sigmoid(self.logit) - log_shape
        parameters = jnp.broadcast_arrays(self.logit, log_shape, log_scale)
        return negative_log_likelihood(jnp.stack(parameters, axis=-1), amount)

    def quantile(self, ranks: np.ndarray) -> np.ndarray:
        """Return the amounts [...] below which the distribution has the shares `ranks`."""
        from scipy.special import expit, gammaincinv

        mean, logit, shape = (np.asarray(part, np.float64) for part in self)
        wet = expit(logit)
        within = (ranks - (1.0 - wet)) / wet
        amount = gammaincinv(shape, np.clip(within, 0.0, 1.0 - 1e-12)) * mean / (wet * shape)
        return np.where(within > 0.0, amount, 0.0)
