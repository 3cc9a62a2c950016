"""Head for precipitation with a tail: dry days, and extended generalised Pareto amounts."""

from typing import Any, NamedTuple, Self

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jax.scipy.special import gammaln

from graphdown.model.distributions import BEND, WET, register_head
from graphdown.model.parameter_limits import bent_positive, between, between_logarithms
from graphdown.model.variable_kinds import PRECIPITATION

KAPPA = 0.1, 0.8, 50.0  # least, before training, greatest
# Daily rain of 15,137 records has shapes of 0.114 on average, standard deviation 0.045
# (Papalexiou and Koutsoyiannis 2013, doi:10.1029/2012WR012557); given the weather, less.
XI = 0.02, 0.08, 0.25
GREATEST_WET_MEAN = 20.0  # of a correction's scale; added to the mean
LAST_RANK = 1.0 - 1e-6  # of the wet days' amounts; members are no rarer


@register_head("bernoulli-egp", parameters=3, only_for=PRECIPITATION)
class BernoulliEGP(NamedTuple):
    """A share of days is wet and has amounts of an extended generalised Pareto distribution.

    Amounts x have the distribution function H(x)^kappa with H that of the generalised Pareto
    distribution: 1 - (1 + xi x / sigma)^(-1 / xi) (type G(u) = u^kappa of Naveau et al. 2016,
    doi:10.1002/2015WR018552). So kappa shapes light rain as the shape of a Gamma distribution
    does, and xi the tail, which falls off as a power. Less than WET counts as dry, in the truth
    and in the distribution.

    It is parametrised by its mean, as `BernoulliGamma`. Its parameters are limited: kappa and xi
    to `KAPPA` and `XI`; the probability of a wet day to at least m / (m + 20 s), for the mean m and
    the correction's scale s, so that wet days have a mean of at most m + 20 s; and a member's
    amount to the `LAST_RANK` of the wet days' amounts.

    Attributes:
        mean: of wet and dry days together [...], mm/day.
        wet: probability of a wet day [...].
        kappa: exponent [...].
        xi: shape of the tail [...].
    """

    mean: Any
    wet: Any
    kappa: Any
    xi: Any

    @classmethod
    def from_outputs(cls, value: Any, parameters: Any, scale: Any) -> Self:
        """Return the distribution of outputs; see `Distribution`."""
        mean = bent_positive(value, BEND * scale)
        least = mean / (mean + GREATEST_WET_MEAN * scale)
        wet = least + (1.0 - least) * jax.nn.sigmoid(parameters[..., 0])
        kappa = between_logarithms(parameters[..., 1], *KAPPA)
        return cls(mean, wet, kappa, between(parameters[..., 2], *XI))

    @property
    def sigma(self) -> Any:
        """Scale of the amounts [...], mm/day.

        The mean amount is sigma / xi times kappa B(kappa, 1 - xi) - 1.
        """
        beta = gammaln(self.kappa + 1.0) + gammaln(1.0 - self.xi)
        excess = jnp.expm1(beta - gammaln(self.kappa + 1.0 - self.xi))
        return self.mean * self.xi / (self.wet * excess)

    def negative_log_likelihood(self, truth: Array) -> Array:
        """Return -log of the density of amounts [...], in mm/day, or of a dry day's share."""
        is_wet = truth >= WET
        sigma = self.sigma
        log_density = self._log_density(jnp.where(is_wet, truth, 1.0), sigma)
        drizzle = jnp.exp(self.kappa * _log_pareto(WET, sigma, self.xi)[1])
        dry = jnp.log1p(-self.wet * (1.0 - drizzle) * (1.0 - 1e-6))
        return -jnp.where(is_wet, jnp.log(self.wet) + log_density, dry)

    def _log_density(self, amount: Array, sigma: Array) -> Array:
        """Logarithm of kappa h(x) H(x)^(kappa - 1) of wet days' amounts."""
        power, log_share = _log_pareto(amount, sigma, self.xi)
        log_pareto_density = -(1.0 + self.xi) * power - jnp.log(sigma)
        return jnp.log(self.kappa) + log_pareto_density + (self.kappa - 1.0) * log_share

    def quantile(self, ranks: np.ndarray) -> np.ndarray:
        """Return the amounts [...] below which the distribution has the shares `ranks`."""
        wet, kappa, xi, sigma = self._numbers()
        within = (ranks - (1.0 - wet)) / wet
        share = np.clip(within, 1e-12, LAST_RANK)
        exceeded = -np.expm1(np.log(share) / kappa)
        amount = sigma / xi * np.expm1(-xi * np.log(exceeded))
        return np.where(within > 0.0, amount, 0.0)

    def ranks(self, values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return the shares of the distribution below values and up to them; see `Distribution`."""
        wet, kappa, xi, sigma = self._numbers()
        amount = np.maximum(values, WET)
        pareto = -np.expm1(-np.log1p(xi * amount / sigma) / xi)
        upper = 1.0 - wet + wet * pareto**kappa
        return np.where(values < WET, 0.0, upper), upper

    def _numbers(self) -> tuple[np.ndarray, ...]:
        """Probability of a wet day, kappa, xi and sigma in double precision."""
        parts = self.wet, self.kappa, self.xi, self.sigma
        wet, kappa, xi, sigma = (np.asarray(part, np.float64) for part in parts)
        return wet, kappa, xi, sigma


def _log_pareto(amount: Any, sigma: Any, xi: Any) -> tuple[Any, Any]:
    """Return log(1 + xi x / sigma) / xi, and log H(x), of the generalised Pareto distribution."""
    power = jnp.log1p(xi * amount / sigma) / xi
    return power, jnp.log(-jnp.expm1(-power))
