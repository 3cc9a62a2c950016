"""Heads made of a normal distribution: cut at a variable's bounds, or positive throughout."""

from typing import Any, NamedTuple, Self

import jax.numpy as jnp
import numpy as np
from jax import Array
from jax.scipy.special import log_ndtr, ndtr

from graphdown.model.distributions import register_head
from graphdown.model.parameter_limits import bent_positive, between_logarithms
from graphdown.model.variable_kinds import NON_NEGATIVE

SPREAD = 0.01, 0.5, 20.0  # least, before training, greatest; of a correction's scale
LEAST_RATIO, RATIO_BEND = -3.0, 0.1  # of the location to the spread of a truncated distribution
HALF_LOG_2PI = 0.5 * np.log(2.0 * np.pi)


@register_head("censored-normal", parameters=1, takes_bounds=True)
class CensoredNormal(NamedTuple):
    """A normal distribution whose shares beyond a variable's bounds lie at the bounds.

    After Tobin (1958, doi:10.2307/1907382), with both bounds, as for relative humidity and cloud
    cover, which are 0 or 1 on many days; with one; or with none, when it is a normal distribution.

    Attributes:
        location: mean of the normal distribution [...].
        spread: standard deviation of the normal distribution [...].
        low, high: bounds of the variable, infinite for none.
    """

    location: Any
    spread: Any
    low: Any
    high: Any

    @classmethod
    def from_outputs(cls, value: Any, parameters: Any, scale: Any, bounds: Any) -> Self:
        """Return the distribution of outputs; see `Distribution`."""
        return cls(value, scale * between_logarithms(parameters[..., 0], *SPREAD), *bounds)

    @property
    def mean(self) -> Any:
        """Expected value [...]."""
        a, b = self._bound(self.low), self._bound(self.high)
        inside = self.location * (ndtr(b) - ndtr(a)) - self.spread * (_density(b) - _density(a))
        below = jnp.where(jnp.isfinite(self.low), self.low, 0.0) * ndtr(a)
        return below + inside + jnp.where(jnp.isfinite(self.high), self.high, 0.0) * ndtr(-b)

    def _standardised(self, value: Any) -> Any:
        return (value - self.location) / self.spread

    def _bound(self, bound: Any) -> Any:
        """Standardised bound; one that is infinite has a gradient of zero, not NaN."""
        is_finite = jnp.isfinite(bound)
        return jnp.where(is_finite, self._standardised(jnp.where(is_finite, bound, 0.0)), bound)

    def negative_log_likelihood(self, truth: Array) -> Array:
        """Return -log of the density of values [...], or of the share at a bound."""
        at_low, at_high = truth <= self.low, truth >= self.high
        z = jnp.where(at_low | at_high, 0.0, self._standardised(truth))
        inside = -0.5 * z**2 - jnp.log(self.spread) - HALF_LOG_2PI
        below = log_ndtr(jnp.where(at_low, self._bound(self.low), 0.0))
        above = log_ndtr(jnp.where(at_high, -self._bound(self.high), 0.0))
        return -jnp.where(at_low, below, jnp.where(at_high, above, inside))

    def quantile(self, ranks: np.ndarray) -> np.ndarray:
        """Return the values [...] below which the distribution has the shares `ranks`."""
        from scipy.special import ndtri

        location, spread, low, high = _doubles(self)
        return np.clip(location + spread * ndtri(ranks), low, high)

    def ranks(self, values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return the shares of the distribution below values and up to them; see `Distribution`."""
        from scipy.special import ndtr as share_below

        location, spread, low, high = _doubles(self)
        share = share_below((np.clip(values, low, high) - location) / spread)
        return np.where(values <= low, 0.0, share), np.where(values >= high, 1.0, share)


@register_head("truncated-normal", parameters=1, only_for=NON_NEGATIVE)
class TruncatedNormal(NamedTuple):
    """A normal distribution given that it is positive.

    As for wind speed in ensemble post-processing (Thorarinsdottir and Gneiting 2010,
    doi:10.1111/j.1467-985X.2009.00616.x); radiation of the polar night is close to 0 in it. The
    location is at least -3 spreads, bent as precipitation is.

    Attributes:
        location: mean of the normal distribution [...].
        spread: standard deviation of the normal distribution [...].
    """

    location: Any
    spread: Any

    @classmethod
    def from_outputs(cls, value: Any, parameters: Any, scale: Any) -> Self:
        """Return the distribution of outputs; see `Distribution`."""
        spread = scale * between_logarithms(parameters[..., 0], *SPREAD)
        ratio = LEAST_RATIO + bent_positive(value / spread - LEAST_RATIO, RATIO_BEND)
        return cls(ratio * spread, spread)

    @property
    def mean(self) -> Any:
        """Expected value [...]: location + spread phi(q) / Phi(q), with q = location / spread."""
        ratio = self.location / self.spread
        mills = jnp.exp(-0.5 * ratio**2 - HALF_LOG_2PI - log_ndtr(ratio))
        return self.location + self.spread * mills

    def negative_log_likelihood(self, truth: Array) -> Array:
        """Return -log of the density of values [...]; negative ones count as 0."""
        z = (jnp.maximum(truth, 0.0) - self.location) / self.spread
        log_share = log_ndtr(self.location / self.spread)
        return 0.5 * z**2 + jnp.log(self.spread) + HALF_LOG_2PI + log_share

    def quantile(self, ranks: np.ndarray) -> np.ndarray:
        """Return the values [...] below which the distribution has the shares `ranks`.

        By the shares above, which keep their digits where the location is far below 0.
        """
        from scipy.special import ndtr as share_below
        from scipy.special import ndtri

        location, spread = _doubles(self)
        above = (1.0 - ranks) * share_below(location / spread)
        return np.maximum(location - spread * ndtri(above), 0.0)

    def ranks(self, values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return the shares of the distribution below values and up to them; see `Distribution`."""
        from scipy.special import ndtr as share_below

        location, spread = _doubles(self)
        above = share_below((location - np.maximum(values, 0.0)) / spread)
        share = 1.0 - above / share_below(location / spread)
        return share, share


def _density(z: Any) -> Any:
    return jnp.exp(-0.5 * z**2 - HALF_LOG_2PI)


def _doubles(law: tuple[Any, ...]) -> tuple[np.ndarray, ...]:
    """Parts of a distribution in double precision."""
    return tuple(np.asarray(part, np.float64) for part in law)
