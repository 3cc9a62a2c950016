"""Calibration: truths of a known law and a wrong forecast of it, days that were not fitted to."""

import numpy as np
import pytest
import scipy.stats
from scipy.special import expit

from graphdown.model import BernoulliEGP
from graphdown.model.calibration import LEVELS, Calibration, RankCorrection, fit_correction
from graphdown.model.distributions import BernoulliGamma

SHAPE = 400, 60  # days, nodes


def weather(seed):
    """Laws of days that differ, their truths, and wrong forecasts of both."""
    rng = np.random.default_rng(seed)
    mean, logit = rng.lognormal(0.7, 0.8, SHAPE), rng.normal(0.3, 1.0, SHAPE)
    true = BernoulliGamma(mean, logit, np.full(SHAPE, 0.8))
    ranks = rng.uniform(size=SHAPE)
    # Too wet, too often, too narrow where it rains much and with another tail.
    wrong = BernoulliEGP(1.3 * mean, expit(logit + 0.8), np.full(SHAPE, 2.0), np.full(SHAPE, 0.1))
    return true, wrong, true.quantile(ranks)


def shares_of_ranks(law, truth, correct=None, seed=0):
    """Random ranks of the truth in forecasts, by the correction's own definition."""
    low, high = law.ranks(truth)
    ranks = low + (high - low) * np.random.default_rng(seed).uniform(size=truth.shape)
    if correct is None:
        return ranks
    levels = np.linspace(0.0, 1.0, 401)
    expected = np.asarray(law.mean)
    at = np.stack([correct(np.full(truth.shape, level), expected) for level in levels], axis=-1)
    places = np.ndenumerate(ranks)
    return np.reshape([np.interp(r, at[place], levels) for place, r in places], truth.shape)


def crps(members, truth):
    """Fair CRPS over all pairs of members [M, ...]."""
    count = len(members)
    pairs = sum(np.abs(a - b).mean() for a in members for b in members)
    return np.abs(members - truth).mean() - pairs / (2 * count * (count - 1))


@pytest.fixture(scope="module")
def correct():
    _, wrong, truth = weather(0)
    truth[::7, ::5] = np.nan
    return fit_correction(wrong, truth)


def drawn(law, correct=None, count=8):
    ranks = np.random.default_rng(9).uniform(size=(count, *SHAPE))
    expected = np.broadcast_to(np.asarray(law.mean), ranks.shape)
    return law.quantile(ranks if correct is None else correct(ranks, expected))


def test_a_wrong_forecast_is_put_right_on_days_that_were_not_fitted_to(correct):
    true, wrong, truth = weather(1)
    few = slice(0, 40)
    before = shares_of_ranks(wrong, truth)
    part = BernoulliEGP(*(p[few] for p in wrong))
    after = shares_of_ranks(part, truth[few], correct)
    assert scipy.stats.kstest(before.ravel(), "uniform").statistic > 0.1
    assert scipy.stats.kstest(after.ravel(), "uniform").statistic < 0.03
    for wet in (true.mean > np.median(true.mean), true.mean < np.quantile(true.mean, 0.2)):
        some = after[wet[few]]
        assert scipy.stats.kstest(some, "uniform").statistic < 0.06
    plain, corrected, best = drawn(wrong), drawn(wrong, correct), drawn(true)
    assert crps(corrected, truth) < crps(plain, truth)
    assert crps(corrected, truth) - crps(best, truth) < 0.3 * (
        crps(plain, truth) - crps(best, truth)
    )
    for statistic in (lambda v: (v < 0.1).mean(), lambda v: np.quantile(v, 0.99)):
        errors = [abs(statistic(v) - statistic(best)) for v in (corrected, plain)]
        assert errors[0] < 0.4 * errors[1]


def test_a_right_forecast_is_left_as_it_is():
    true, _, truth = weather(2)
    correct = fit_correction(true, truth)
    for row in correct.ranks:
        assert np.abs(np.asarray(row) - LEVELS).max() < 0.03


def test_corrected_ranks_ascend_and_stay_within_0_and_1(correct):
    ranks = np.sort(np.random.default_rng(0).uniform(size=1000))
    for expected in (0.0, 0.5, 2.0, 1e3):
        made = correct(ranks, np.full(1000, expected))
        assert (np.diff(made) >= 0).all() and made.min() >= 0 and made.max() <= 1


def test_few_values_form_one_group_and_corrections_are_by_target():
    law = BernoulliGamma(np.full(300, 2.0), np.full(300, 30.0), np.ones(300))
    one = fit_correction(law, law.quantile(np.random.default_rng(0).uniform(size=300) ** 2))
    assert len(one.expected) == 1
    even = RankCorrection((1.0,), (tuple(LEVELS),))
    ranks = np.random.default_rng(1).uniform(0.1, 0.9, size=(300, 2))
    made = Calibration((one, even))(ranks, [law, law])
    np.testing.assert_allclose(made[:, 1], ranks[:, 1])
    np.testing.assert_allclose(made[:, 0], ranks[:, 0] ** 2, atol=0.12)


def test_corrections_that_do_not_ascend_are_refused():
    with pytest.raises(ValueError, match="ascend"):
        RankCorrection((1.0, 1.0), (tuple(LEVELS),) * 2)
    with pytest.raises(ValueError, match="for each"):
        RankCorrection((1.0,), ((0.0, 1.0),))
