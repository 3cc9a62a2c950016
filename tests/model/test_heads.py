"""Heads and transforms against scipy and numerical differentiation."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.special
import scipy.stats

from graphdown.model import ModelSpec
from graphdown.model.distributions import BernoulliGamma
from graphdown.model.heads import Readout
from graphdown.model.transforms import restored, transformed

pytestmark = pytest.mark.usefixtures("compiled_in_haste")
RAIN = Readout(("value", "bernoulli-gamma"))
SCALE = np.asarray([1.0, 2.0], np.float32)


def laws(size=400, seed=0):
    """Parameters mean, logit and shape [size] of very different days."""
    rng = np.random.default_rng(seed)
    return rng.lognormal(0, 1.5, size), rng.normal(0, 2, size), rng.uniform(0.2, 3.0, size)


def by_scipy(mean, logit, shape, amount):
    wet = scipy.special.expit(logit)
    density = scipy.stats.gamma.logpdf(amount, shape, scale=mean / (wet * shape))
    return -np.where(amount >= 0.1, np.log(wet) + density, np.log1p(-wet))


def amounts(size, seed=1):
    rng = np.random.default_rng(seed)
    return np.where(rng.uniform(size=size) < 0.4, 0.0, rng.gamma(0.7, 6.0, size) + 0.1)


def test_the_likelihood_and_its_gradient_are_those_of_scipy():
    own, x = laws(), amounts(400)
    law = BernoulliGamma(*(jnp.asarray(v, jnp.float32) for v in own))
    made = jax.jit(BernoulliGamma.negative_log_likelihood)(law, jnp.asarray(x))
    np.testing.assert_allclose(made, by_scipy(*own, x), rtol=2e-4, atol=2e-4)
    loss = jax.jit(jax.grad(lambda law: law.negative_log_likelihood(jnp.asarray(x)).sum()))
    gradient = loss(law)
    for k, made in enumerate(gradient):
        step = 1e-5 * np.maximum(np.abs(own[k]), 0.1)
        up, down = (
            [v + sign * step if i == k else v for i, v in enumerate(own)] for sign in (1, -1)
        )
        expected = (by_scipy(*up, x) - by_scipy(*down, x)) / (2 * step)
        np.testing.assert_allclose(made, expected, rtol=3e-3, atol=3e-3)


def test_members_follow_the_distribution_that_they_are_drawn_from():
    mean, logit, shape = 3.0, 0.4, 0.7
    ranks = np.random.default_rng(3).uniform(size=20000)
    drawn = BernoulliGamma(*(np.full(20000, v) for v in (mean, logit, shape))).quantile(ranks)
    wet = scipy.special.expit(logit)
    count = (drawn > 0).sum()
    assert scipy.stats.binomtest(int(count), 20000, wet).pvalue > 0.01
    law = scipy.stats.gamma(shape, scale=mean / (wet * shape))
    assert scipy.stats.kstest(drawn[drawn > 0], law.cdf).pvalue > 0.01
    assert scipy.stats.kstest(drawn[drawn > 0], scipy.stats.gamma(0.8, scale=6).cdf).pvalue < 1e-6
    assert drawn.mean() == pytest.approx(mean, rel=0.05)
    np.testing.assert_array_equal(np.argsort(drawn[drawn > 0]), np.argsort(ranks[drawn > 0]))


def test_the_mean_of_rain_is_positive_close_to_its_value_and_has_a_gradient_everywhere():
    value = jnp.asarray([-1e4, -50.0, -1.0, 0.0, 1e-3, 1.0, 50.0, 1e4])

    def mean(value):
        outputs = jnp.stack([value, value, 0 * value, 0 * value], axis=-1)
        return RAIN.distribution(outputs, 1, 2.0).mean

    made, slope = map(np.asarray, jax.jit(jax.vmap(jax.value_and_grad(mean)))(value))
    assert (made > 0).all() and (slope > 0).all() and (np.diff(made) > 0).all()
    exact = (np.asarray(value, float) + np.hypot(np.asarray(value, float), 0.4)) / 2
    np.testing.assert_allclose(made[2:], exact[2:], rtol=1e-5)
    np.testing.assert_allclose(made[:2], 0.2**2 / np.asarray([1e4, 50.0]), rtol=1e-3)
    np.testing.assert_allclose(slope[3], 0.5)


def test_expected_values_are_means_and_the_other_targets_are_left_alone():
    outputs = np.random.default_rng(0).normal(size=(3, 5, 4)).astype(np.float32)
    expected = np.asarray(jax.jit(RAIN.expected)(outputs, SCALE))
    np.testing.assert_array_equal(expected[..., 0], outputs[..., 0])
    ranks = (np.arange(4000)[:, None, None] + 0.5) / 4000
    every = np.broadcast_to(outputs[0, 0], (4000, 1, 4))
    drawn = RAIN.drawn_from(every, SCALE, ranks)
    assert drawn[..., 1].mean() == pytest.approx(expected[0, 0, 1], rel=0.01)
    assert (drawn[..., 0] == outputs[0, 0, 0]).all()


@pytest.mark.parametrize("kind", ["log1p", "cube-root"])
def test_transforms_have_exact_inverses(kind):
    x = np.asarray([-30.0, -1e-3, 0.0, 1e-6, 0.1, 1.0, 400.0], np.float32)[:, None]
    y, again = jax.jit(lambda x: (y := transformed(x, (kind,)), restored(y, (kind,))))(x)
    np.testing.assert_allclose(again, x, rtol=2e-6)
    expected = {"log1p": np.sign(x) * np.log1p(np.abs(x)), "cube-root": np.cbrt(x)}[kind]
    np.testing.assert_allclose(y, expected, rtol=1e-6)
    assert (np.diff(np.asarray(y)[:, 0]) > 0).all()


def test_a_model_without_heads_reads_as_it_always_did():
    names = ("tas", "pr")
    assert Readout.of(ModelSpec(heads={"pr": "value"}), names) == Readout()
    assert Readout().further == 0 and Readout().drawn == ()
    made = Readout.of(ModelSpec(heads={"pr": "bernoulli-gamma"}), names)
    assert made == RAIN and made.further == 2 and made.drawn == (1,)
    assert hash(ModelSpec(heads={"pr": "value"})) == hash(ModelSpec())
