"""Distributions of a target that the network can give: the heads of an experiment."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol, Self, TypeVar

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jax.scipy.special import gammaln

from graphdown.model.parameter_limits import bent_positive
from graphdown.model.variable_kinds import ANY, PRECIPITATION, VariableKind
from graphdown.runtime.registry import Registry

VALUE = "value"  # the head without a distribution
WET = 0.1  # mm day-1; less counts as dry
BEND = 0.1  # of a correction's scale; where the mean of rain bends to stay positive
LEAST_SHAPE = 0.1


class Distribution(Protocol):
    """Distribution of one target in physical units, as a NamedTuple of arrays [...]."""

    @classmethod
    def from_outputs(cls, value: Any, parameters: Any, scale: Any, *bounds: Any) -> Self:
        """Return the distribution that the network's outputs describe.

        Args:
            value: the target by the network, such as the interpolated source plus the
                correction [...], which is 0 before training.
            parameters: further outputs [..., P], 0 before training.
            scale: typical size of the target's correction.
            bounds: the variable's least and greatest value, as one pair, for a head registered
                with `takes_bounds`.
        """
        ...

    @property
    def mean(self) -> Any:
        """Expected value [...], which `downscale` returns without members."""
        ...

    def negative_log_likelihood(self, truth: Array) -> Array:
        """Return -log of the density of values [...], which is the loss."""
        ...

    def quantile(self, ranks: np.ndarray) -> np.ndarray:
        """Return the values [...] below which the distribution has the shares `ranks`."""
        ...

    def ranks(self, values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return the shares of the distribution below values [...] and up to them.

        They differ where a value has a probability of its own, as a dry day has.
        """
        ...


Law = TypeVar("Law", bound=type[Distribution])


@dataclass(frozen=True)
class Head:
    """A distribution that `model.heads` can give a target.

    Attributes:
        distribution: its class.
        parameters: number of outputs P that it takes beside the target's value.
        only_for: variables that it can be the distribution of.
        takes_bounds: whether it takes the variable's bounds, see `Distribution.from_outputs`.
    """

    distribution: type[Distribution]
    parameters: int
    only_for: VariableKind
    takes_bounds: bool = False


HEADS: Registry[Head | None] = Registry("head")
HEADS.add(VALUE, None)


def register_head(
    name: str, parameters: int, only_for: VariableKind = ANY, takes_bounds: bool = False
) -> Callable[[Law], Law]:
    """Decorator that registers a `Distribution` as a head.

    Args:
        name: for `model.heads` of an experiment.
        parameters, only_for, takes_bounds: see `Head`.

    Raises:
        GraphdownError: the name is taken.
    """
    return HEADS.register(name, lambda law: Head(law, parameters, only_for, takes_bounds))


@register_head("bernoulli-gamma", parameters=2, only_for=PRECIPITATION)
class BernoulliGamma(NamedTuple):
    """A day is wet with probability p = sigmoid(logit), and then has a Gamma distributed amount.

    After DeepESD (Bano-Medina et al. 2022, doi:10.5194/gmd-15-6747-2022), but parametrised by
    its mean p k theta rather than by the scale theta of the amounts, so that the mean starts from
    the interpolated source as other targets do.

    Attributes:
        mean: of wet and dry days together [...], mm/day.
        logit: of the probability of a wet day [...].
        shape: k of the amounts [...].
    """

    mean: Any
    logit: Any
    shape: Any

    @classmethod
    def from_outputs(cls, value: Any, parameters: Any, scale: Any) -> Self:
        """Return the distribution of outputs; see `Distribution`."""
        mean = bent_positive(value, BEND * scale)
        return cls(mean, parameters[..., 0], LEAST_SHAPE + jax.nn.softplus(parameters[..., 1]))

    def negative_log_likelihood(self, truth: Array) -> Array:
        """Return -log of the density of amounts [...], in mm/day."""
        log_shape = jnp.log(self.shape)
        log_scale = jnp.log(self.mean) - jax.nn.log_sigmoid(self.logit) - log_shape
        parameters = jnp.broadcast_arrays(self.logit, log_shape, log_scale)
        return negative_log_likelihood(jnp.stack(parameters, axis=-1), truth)

    def quantile(self, ranks: np.ndarray) -> np.ndarray:
        """Return the amounts [...] below which the distribution has the shares `ranks`."""
        from scipy.special import expit, gammaincinv

        mean, logit, shape = (np.asarray(part, np.float64) for part in self)
        wet = expit(logit)
        within = (ranks - (1.0 - wet)) / wet
        amount = gammaincinv(shape, np.clip(within, 0.0, 1.0 - 1e-12)) * mean / (wet * shape)
        return np.where(within > 0.0, amount, 0.0)

    def ranks(self, values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return the shares of the distribution below values and up to them; see `Distribution`.

        Values below WET share the place of dry days.
        """
        from scipy.special import expit, gammainc

        mean, logit, shape = (np.asarray(part, np.float64) for part in self)
        wet = expit(logit)
        amount = np.maximum(values, WET)
        upper = 1.0 - wet + wet * gammainc(shape, amount * wet * shape / mean)
        return np.where(values < WET, 0.0, upper), upper


def negative_log_likelihood(parameters: Array, amount: Array) -> Array:
    """Return minus the logarithm of the likelihood of amounts, one value each.

    A day is wet with probability p, and then its amount is of the Gamma distribution with shape k
    and scale s (Williams 1998, doi:10.1016/S0893-6080(97)00144-7; Cannon 2008,
    doi:10.1175/2008JHM960.1). Dry: -log(1 - p). Wet: -log p - log Gamma(amount; k, s).

    Args:
        parameters: logit p, log k, log s [..., 3].
        amount: mm day-1 [...]; below WET it counts as dry.
    """
    logit, log_shape, log_scale = jnp.moveaxis(parameters, -1, 0)
    shape = jnp.exp(log_shape)
    wet = amount >= WET
    safe = jnp.where(wet, amount, 1.0)
    density = (shape - 1) * jnp.log(safe) - safe * jnp.exp(-log_scale)
    density = density - shape * log_scale - gammaln(shape)
    likelihood = jnp.where(wet, jax.nn.log_sigmoid(logit) + density, jax.nn.log_sigmoid(-logit))
    return -likelihood


def expectation(parameters: Array) -> Array:
    """Return the expected amount p k s [...] for logit p, log k, log s [..., 3]."""
    logit, log_shape, log_scale = jnp.moveaxis(parameters, -1, 0)
    return jax.nn.sigmoid(logit) * jnp.exp(log_shape + log_scale)
