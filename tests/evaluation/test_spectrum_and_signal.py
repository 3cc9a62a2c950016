import numpy as np
import pytest

from graphdown.evaluation import signal
from graphdown.evaluation.spectrum import power_spectrum, ralsd


def test_a_cosine_has_its_power_at_its_wavelength():
    n, spacing, k = 32, 10.0, 4
    wave = np.cos(np.pi * k * (np.arange(n) + 0.5) / n)
    wavelength, power = power_spectrum(np.broadcast_to(wave, (3, n, n)), spacing)
    assert wavelength[k - 1] == pytest.approx(2 * n * spacing / k)
    assert power.argmax() == k - 1
    assert np.delete(power, k - 1).max() < 1e-20


def test_the_rings_hold_the_variance_of_the_field():
    n = 24
    fields = np.random.default_rng(0).normal(size=(40, n, n))
    _, power = power_spectrum(fields, 1.0)
    radius = np.hypot(*np.meshgrid(np.arange(n), np.arange(n))) + 1e-9
    modes = np.histogram(radius, bins=np.arange(1, n + 1))[0]
    # The cosine transform is orthonormal: all modes but the mean and the corners are here.
    share = modes.sum() / (n * n - 1)
    assert (power * modes).sum() == pytest.approx(share * fields.var(axis=(1, 2)).mean(), rel=0.02)


def test_days_with_missing_values_take_no_part():
    fields = np.random.default_rng(1).normal(size=(5, 8, 10))
    fields[2, 3, 3] = np.nan
    _, with_gap = power_spectrum(fields, 1.0)
    _, without = power_spectrum(np.delete(fields, 2, axis=0), 1.0)
    assert np.allclose(with_gap, without)
    assert np.isnan(power_spectrum(np.full((2, 4, 4), np.nan), 1.0)[1]).all()


def test_ralsd_by_hand():
    truth = np.array([1.0, 1.0, 0.0])
    assert ralsd(np.array([10.0, 0.1, 5.0]), truth) == pytest.approx(10)
    assert ralsd(np.array([100.0, 1.0, 5.0]), truth) == pytest.approx(np.sqrt(400 / 2))
    assert np.isnan(ralsd(np.full(3, np.nan), truth))


def test_change_is_relative_on_demand_and_missing_on_a_dry_base():
    future, historical = np.array([3.0, 2.0, 1.0]), np.array([2.0, 4.0, 0.0])
    assert np.array_equal(signal.change(future, historical, relative=False), [1, -2, 1])
    relative = signal.change(future, historical, relative=True)
    assert np.array_equal(relative, [50, -50, np.nan], equal_nan=True)


def test_pattern_scores_match_numpy():
    rng = np.random.default_rng(2)
    y, x, area = rng.normal(size=30), rng.normal(size=30), rng.uniform(0.5, 2, 30)
    y[3] = np.nan
    keep = np.isfinite(y)
    covariance = np.cov(y[keep], x[keep], aweights=area[keep], bias=True)
    own = signal.scores(y, x, area)
    expected = covariance[0, 1] / np.sqrt(covariance[0, 0] * covariance[1, 1])
    assert own["pattern_correlation"] == pytest.approx(expected)
    assert own["std_ratio"] == pytest.approx(np.sqrt(covariance[0, 0] / covariance[1, 1]))
    error, weights = (y - x)[keep], area[keep]
    assert own["mean_bias"] == pytest.approx(np.average(error, weights=weights))
    assert own["bias"] == pytest.approx(np.average(abs(error), weights=weights))
    assert own["rmse"] == pytest.approx(np.sqrt(np.average(error**2, weights=weights)))
