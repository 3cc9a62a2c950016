"""Distributions of heads against scipy, quadrature, numerical differentiation and their samples."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.special
import scipy.stats

from graphdown.model import BernoulliEGP, CensoredNormal, ModelSpec, TruncatedNormal
from graphdown.model.distributions import WET, BernoulliGamma
from graphdown.model.extended_pareto import KAPPA, LAST_RANK, XI
from graphdown.model.heads import Readout

pytestmark = pytest.mark.usefixtures("compiled_in_haste")
SIZE = 300
SHARE = (0.0, 1.0)


def integral_of_quantiles(quantile):
    """Integral over the ranks of a quantile function, whose ends are drawn together."""
    nodes, weights = np.polynomial.legendre.leggauss(400)
    u = (nodes + 1) / 2
    ranks = np.clip(u**4 * (35 - 84 * u + 70 * u**2 - 20 * u**3), 1e-15, 1 - 1e-15)
    return np.tensordot(weights / 2 * 140 * u**3 * (1 - u) ** 3, quantile(ranks[:, None]), 1)


class RainByScipy:
    """Dry with 1 - p, else scipy's generalised Pareto distribution to the power kappa."""

    def __init__(self, mean, wet, kappa, xi):
        def standard(ranks):
            return scipy.stats.genpareto.isf(-np.expm1(np.log(ranks) / kappa), xi)

        self.wet, self.kappa = wet, kappa
        scale = mean / (wet * integral_of_quantiles(standard))
        self.pareto = scipy.stats.genpareto(xi, scale=scale)

    def cdf(self, x):
        share = self.pareto.cdf(np.maximum(x, 0)) ** self.kappa
        return np.where(x < 0, 0.0, 1 - self.wet + self.wet * share)

    def loss(self, x):
        amount = np.where(x >= WET, x, 1.0)
        power = (self.kappa - 1) * self.pareto.logcdf(amount)
        wet = np.log(self.wet * self.kappa) + power + self.pareto.logpdf(amount)
        return -np.where(x >= WET, wet, np.log(self.cdf(WET)))


class Censored:
    def __init__(self, location, spread, low, high):
        self.low, self.high, self.normal = low, high, scipy.stats.norm(location, spread)

    def cdf(self, x):
        return np.where(x < self.low, 0.0, np.where(x >= self.high, 1.0, self.normal.cdf(x)))

    def loss(self, x):
        inside = np.where(x >= self.high, self.normal.logsf(self.high), self.normal.logpdf(x))
        return -np.where(x <= self.low, self.normal.logcdf(self.low), inside)


class Truncated:
    def __init__(self, location, spread):
        self.law = scipy.stats.truncnorm(-location / spread, np.inf, location, spread)
        self.cdf = self.law.cdf

    def loss(self, x):
        return -self.law.logpdf(x)


def rain(rng):
    own = rng.lognormal(0, 1.2, SIZE), rng.uniform(0.1, 0.95, SIZE)
    own += (rng.uniform(0.3, 8.0, SIZE), rng.uniform(0.03, 0.24, SIZE))
    return own, np.where(rng.uniform(size=SIZE) < 0.4, 0.0, rng.gamma(0.7, 6.0, SIZE) + 0.1)


def cloud(rng):
    own = rng.normal(0.6, 0.5, SIZE), rng.uniform(0.1, 0.6, SIZE)
    return (*own, *SHARE), np.clip(rng.normal(0.5, 0.6, SIZE), *SHARE)


def temperature(rng):
    own = rng.normal(3.0, 5.0, SIZE), rng.uniform(0.5, 3.0, SIZE)
    return (*own, -np.inf, np.inf), rng.normal(3.0, 5.0, SIZE)


def wind(rng):
    spread = rng.uniform(0.3, 3.0, SIZE)
    return (spread * rng.uniform(-2.9, 6.0, SIZE), spread), rng.gamma(2.0, 2.0, SIZE)


LAWS = {
    "bernoulli-egp": (BernoulliEGP, RainByScipy, rain),
    "censored-normal": (CensoredNormal, Censored, cloud),
    "censored-normal without bounds": (CensoredNormal, Censored, temperature),
    "truncated-normal": (TruncatedNormal, Truncated, wind),
}


@pytest.fixture(params=LAWS, scope="module")
def case(request):
    law, reference, make = LAWS[request.param]
    own, values = make(np.random.default_rng(0))
    free = [np.asarray(part) for part in own if np.ndim(part)]
    fixed = [part for part in own if not np.ndim(part)]

    def by_scipy(parts):
        return reference(*parts, *fixed)

    def made(parts):
        return law(*(jnp.asarray(part, jnp.float32) for part in parts), *fixed)

    return made, by_scipy, free, values


def test_the_likelihood_is_that_of_scipy(case):
    made, by_scipy, free, values = case
    loss = jax.jit(lambda parts: made(parts).negative_log_likelihood(jnp.asarray(values)))(free)
    np.testing.assert_allclose(loss, by_scipy(free).loss(values), rtol=1e-3, atol=1e-3)


def test_its_gradient_is_that_of_differences(case):
    made, by_scipy, free, values = case
    few = slice(40)
    free, values = [part[few] for part in free], values[few]

    def total(parts):
        return made(parts).negative_log_likelihood(jnp.asarray(values)).sum()

    gradient = jax.jit(jax.grad(total))([jnp.asarray(part, jnp.float32) for part in free])
    for k, own in enumerate(gradient):
        step = 1e-4 * np.maximum(np.abs(free[k]), 0.1)
        up, down = (
            by_scipy([v + sign * step if i == k else v for i, v in enumerate(free)]).loss(values)
            for sign in (1, -1)
        )
        np.testing.assert_allclose(own, (up - down) / (2 * step), rtol=1e-2, atol=1e-2)


def test_its_mean_is_that_of_its_quantiles(case):
    made, _, free, _ = case
    law = made(free)
    quadrature = integral_of_quantiles(law.quantile)
    np.testing.assert_allclose(law.mean, quadrature, rtol=5e-3, atol=5e-3)


def test_ranks_are_the_distribution_function_and_undo_quantiles(case):
    made, by_scipy, free, values = case
    law = made(free)
    low, high = law.ranks(values)
    expected = by_scipy(free).cdf(values)
    plain = values >= WET
    np.testing.assert_allclose(high[plain], expected[plain], rtol=1e-4, atol=1e-5)
    ranks = np.random.default_rng(2).uniform(size=SIZE)
    below, up_to = law.ranks(law.quantile(ranks))
    assert (below <= ranks + 1e-6).all() and (ranks <= up_to + 1e-6).all()
    assert (low <= high).all() and (np.abs(below - up_to) < 1e-6).mean() > 0.2


def test_members_follow_the_distribution(case):
    made, by_scipy, free, _ = case
    ranks = np.random.default_rng(3).uniform(size=20000)
    for k in (0, 1):
        one = [part[k] for part in free]
        drawn = made([np.full(20000, part) for part in one]).quantile(ranks)
        law, wrong = by_scipy(one), by_scipy([1.1 * v for v in one])
        assert ks_of(drawn, law.cdf) < 1.63 / np.sqrt(20000)  # 1 % level
        assert ks_of(drawn, wrong.cdf) > 1.63 / np.sqrt(20000)
        order = np.argsort(ranks)
        assert (np.diff(drawn[order]) >= 0).all()


def ks_of(drawn, cdf):
    """Distance of the empirical distribution function, where values may be alike."""
    values, counts = np.unique(drawn, return_counts=True)
    share = np.cumsum(counts) / len(drawn)
    before = np.concatenate([[0.0], share[:-1]])
    below = cdf(np.nextafter(values, -np.inf))
    return max(np.abs(share - cdf(values)).max(), np.abs(before - below).max())


def test_rain_of_any_output_of_a_network_has_limits():
    value = jnp.asarray([-1e6, -3.0, 0.0, 1.0, 1e3])[:, None]
    further = jnp.asarray([[a, b, c] for a in (-90, 0, 90) for b in (-90, 90) for c in (-90, 90)])
    law = BernoulliEGP.from_outputs(value, further[None].astype(jnp.float32), 5.0)
    assert (np.asarray(law.mean / law.wet) <= np.asarray(law.mean) + 100.0 * (1 + 1e-5)).all()
    assert KAPPA[0] * 0.999 <= law.kappa.min() and law.kappa.max() <= KAPPA[2] * 1.001
    assert XI[0] * 0.999 <= law.xi.min() and law.xi.max() <= XI[2] * 1.001
    rarest, wet = law.quantile(np.float64(1.0)), np.asarray(law.wet, np.float64)
    np.testing.assert_allclose(law.quantile(1 - wet * (1 - LAST_RANK) / 2), rarest, rtol=1e-6)
    assert np.isfinite(rarest).all() and (rarest / (law.mean / law.wet) < 1000).all()
    gradient = jax.jit(
        jax.grad(
            lambda v, f: sum(
                BernoulliEGP.from_outputs(v, f, 5.0).negative_log_likelihood(x).sum()
                for x in jnp.asarray([0.0, 0.1, 3.0, 400.0])
            ),
            argnums=(0, 1),
        )
    )(value, jnp.broadcast_to(further[None].astype(jnp.float32), (5, 12, 3)))
    assert all(np.isfinite(part).all() for part in gradient)


def test_the_shares_of_rain_by_bernoulli_gamma_undo_its_quantiles():
    rng = np.random.default_rng(0)
    law = BernoulliGamma(rng.lognormal(1, 1, 500), rng.normal(0, 1, 500), rng.uniform(0.4, 3, 500))
    ranks = rng.uniform(size=500)
    low, high = law.ranks(law.quantile(ranks))
    assert (low <= ranks + 1e-9).all() and (ranks <= high + 1e-9).all()
    assert (np.abs(high - low) < 1e-12).mean() > 0.3


def test_bounds_of_the_variable_reach_the_heads_that_take_them():
    heads = {"clt": "censored-normal", "tas": "censored-normal", "pr": "bernoulli-egp"}
    readout = Readout.of(ModelSpec(heads=heads), ("tas", "clt", "pr"))
    assert readout.further == 5 and readout.drawn == (0, 1, 2)
    outputs = np.random.default_rng(0).normal(0, 3, (4, 50, 8)).astype(np.float32)
    scale = np.asarray([1.0, 1.0, 2.0], np.float32)
    ranks = np.random.default_rng(1).uniform(size=(4, 50, 3))
    ranks[0, 0], ranks[0, 1] = 0.0, 1.0
    drawn = readout.drawn_from(outputs, scale, ranks)
    assert np.isfinite(drawn).all()
    assert drawn[..., 0].min() < 0 and drawn[..., 0].max() > 1
    assert drawn[..., 1].min() == 0 and drawn[..., 1].max() == 1 and (drawn[..., 2] >= 0).all()
    assert Readout.of(ModelSpec(heads={"pr": "bernoulli-egp"}), ("pr",)).bounds == ()
