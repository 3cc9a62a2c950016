"""The Bernoulli-Gamma distribution of daily precipitation."""

import jax
import jax.numpy as jnp
from jax import Array
from jax.scipy.special import gammaln

WET = 0.1  # mm day-1; less counts as dry


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
