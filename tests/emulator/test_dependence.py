"""Correlation of members in time and space: as stated, fitted, and whatever chunk makes a day."""

from dataclasses import replace

import numpy as np
import pytest
import xarray as xr
from scipy.special import ndtr

from graphdown.emulator.dependence import (
    STATED_LENGTH_KM,
    Dependence,
    fit_between,
    fit_decay,
    fit_length_km,
    fit_noise_decay,
)
from graphdown.emulator.ensemble_noise import EnsembleNoise, moving_weights, step_keys
from graphdown.emulator.storage import load, save
from graphdown.model import CensoredNormal, ModelSpec
from graphdown.model.distributions import BernoulliGamma
from graphdown.model.heads import Readout
from meshes import Grid

from .test_members import BOTH, NORMALISER, emulator, source

TARGET = Grid.regular(1.0, 1.0, (-4.0, 40.0, 6.0, 50.0))
READOUT = Readout(("bernoulli-gamma", "bernoulli-egp"))
DEPENDENCE = Dependence((90.0, 400.0), (0.3, 0.75), 0.5)


def noise(target=TARGET, dependence=DEPENDENCE, step_hours=24):
    return EnsembleNoise(3, ModelSpec(noise=40), READOUT, target, step_hours, dependence)


def days(count, calendar="standard", freq="D", start="2001-01-01"):
    time = xr.date_range(start, periods=count, calendar=calendar, freq=freq, use_cftime=True)
    return xr.DataArray(time, dims="time")


def scores_of(ranks):
    from scipy.special import ndtri

    return ndtri(np.clip(ranks, 1e-6, 1 - 1e-6))


def lagged(series):
    """Correlation of neighbouring values about 0, which is their mean [time, n]."""
    return (series[1:] * series[:-1]).mean() / (series**2).mean()


def test_numbers_have_the_stated_correlation_from_day_to_day():
    drawn = noise().draw(0, days(4000))
    assert lagged(drawn.noise) == pytest.approx(0.5, abs=0.01)
    for k, decay in enumerate(DEPENDENCE.decays):
        scores = scores_of(drawn.ranks[:, ::7, k])
        assert lagged(scores) == pytest.approx(decay, abs=0.04)
        assert scores.std() == pytest.approx(1.0, abs=0.04)
    two_days = (drawn.noise[2:] * drawn.noise[:-2]).mean()
    assert two_days == pytest.approx(0.25, abs=0.02)


@pytest.mark.parametrize("decay", [0.0, 0.1, 0.5, 0.95])
def test_weights_are_those_of_an_autoregression(decay):
    weights = moving_weights([decay, decay / 2])[0].astype(np.float64)
    assert (weights**2).sum() == pytest.approx(1.0, abs=1e-6)
    for lag in (1, 3):
        assert (weights[lag:] * weights[:-lag]).sum() == pytest.approx(decay**lag, abs=1e-6)


@pytest.mark.parametrize("calendar", ["standard", "360_day", "noleap"])
def test_a_day_is_the_same_bit_for_bit_whatever_chunk_makes_it(calendar):
    time = days(70, calendar, start="2000-02-20")
    whole = noise().draw(2, time)
    for chunk in (slice(0, 1), slice(13, 14), slice(5, 37), slice(60, 70)):
        part = noise().draw(2, time.isel(time=chunk))
        np.testing.assert_array_equal(part.noise, whole.noise[chunk])
        np.testing.assert_array_equal(part.ranks, whole.ranks[chunk])
    other = noise().draw(1, time)
    assert abs(np.corrcoef(other.noise.ravel(), whole.noise.ravel())[0, 1]) < 0.1


def test_hours_follow_each_other_as_days_do():
    hourly = noise(step_hours=6).draw(0, days(3000, freq="6h"))
    assert lagged(hourly.noise) == pytest.approx(0.5, abs=0.02)
    assert len(set(step_keys(days(8, freq="6h"), 6))) == 8


def test_without_dependence_days_are_independent_and_the_length_is_the_stated_one():
    plain = noise(dependence=Dependence()).draw(0, days(2000))
    assert abs(lagged(plain.noise)) < 0.02
    assert Dependence().lengths(2) == (STATED_LENGTH_KM,) * 2


def test_both_are_fitted_to_days_of_known_correlation_however_many_are_dry():
    """Truths drawn from known laws by the noise itself; half of the days are dry."""
    time, rng = days(700), np.random.default_rng(0)
    ranks = noise().draw(0, time).ranks
    shape = ranks.shape[:2]
    law = BernoulliGamma(
        rng.lognormal(1, 0.5, shape), rng.normal(0, 0.7, shape), rng.uniform(0.5, 2.0, shape)
    )
    follows = np.arange(700) > 0
    for k in (0, 1):
        truth = law.quantile(ranks[..., k])
        truth[rng.uniform(size=shape) < 0.02] = np.nan
        assert 0.35 < (truth == 0).mean() < 0.6
        assert fit_decay(law, truth, follows) == pytest.approx(DEPENDENCE.decays[k], abs=0.05)
        fitted = fit_length_km(law, truth, TARGET)
        assert fitted == pytest.approx(DEPENDENCE.lengths_km[k], rel=0.25)
    shuffled = law.quantile(rng.permutation(ranks[..., 1]))
    assert fit_decay(law, shuffled, follows) < 0.1


@pytest.mark.parametrize("correlation", [0.6, -0.5])
def test_targets_correlate_as_stated_and_the_correlation_is_fitted(correlation):
    between = ((1.0, correlation), (correlation, 1.0))
    time, rng = days(400), np.random.default_rng(0)
    ranks = noise(dependence=replace(DEPENDENCE, between=between)).draw(0, time).ranks
    scores = scores_of(ranks).reshape(-1, 2)
    assert np.corrcoef(scores.T)[0, 1] == pytest.approx(correlation, abs=0.04)
    np.testing.assert_allclose(scores.std(axis=0), 1.0, atol=0.04)
    shape = ranks.shape[:2]
    rain = BernoulliGamma(np.full(shape, 3.0), rng.normal(0, 0.7, shape), np.full(shape, 0.8))
    heat = CensoredNormal(rng.normal(280, 5, shape), np.full(shape, 2.0), -np.inf, np.inf)
    truth = [rain.quantile(ranks[..., 0]), heat.quantile(ranks[..., 1])]
    truth[0][::9] = np.nan
    fitted = fit_between([rain, heat], truth)
    assert fitted[0][1] == fitted[1][0] == pytest.approx(correlation, abs=0.05)
    whole = noise(dependence=Dependence(between=between)).draw(0, time.isel(time=[7])).ranks
    again = noise(dependence=Dependence(between=between)).draw(0, time.isel(time=slice(3, 9))).ranks
    np.testing.assert_array_equal(whole[0], again[4])


def test_correlations_that_contradict_each_other_are_drawn_together():
    z = np.random.default_rng(0).normal(size=(400, 30))
    laws = [CensoredNormal(np.zeros(z.shape), np.ones(z.shape), -np.inf, np.inf)] * 3
    fitted = np.asarray(fit_between(laws, [z, z, z]))
    assert np.linalg.eigvalsh(fitted).min() > 0 and fitted[0, 1] > 0.9
    np.testing.assert_array_equal(np.diag(fitted), 1.0)


def test_steps_that_do_not_follow_each_other_do_not_count():
    series = np.repeat(np.random.default_rng(0).normal(size=(150, 30)), 2, axis=0)
    pairs = np.arange(300) % 2 == 1
    assert fit_noise_decay([series], pairs) == pytest.approx(0.95)
    assert fit_noise_decay([series], ~pairs) < 0.05
    assert fit_noise_decay([series[:3]], pairs[:3]) == 0.0


def test_few_stations_keep_the_stated_length():
    two = Grid.from_points(np.array([0.0, 1.0]), np.array([45.0, 45.0]))
    law = BernoulliGamma(np.ones((300, 2)), np.zeros((300, 2)), np.ones((300, 2)))
    truth = law.quantile(np.random.default_rng(0).uniform(size=(300, 2)))
    assert fit_length_km(law, truth, two) == STATED_LENGTH_KM


def test_an_emulator_keeps_its_dependence_and_its_members_follow_it(tmp_path):
    fitted = replace(emulator(), dependence=Dependence((80.0,), (0.6,), 0.7))
    save(fitted, tmp_path)
    loaded = load(tmp_path)
    assert loaded.dependence == fitted.dependence and loaded.sha256 == fitted.sha256
    assert fitted.sha256 != emulator().sha256
    few = source(days=3)
    made = loaded.downscale(few, members=2, seed=1)
    xr.testing.assert_identical(made, fitted.downscale(few, members=2, seed=1))
    assert (made["pr"] != emulator().downscale(few, members=2, seed=1)["pr"]).any()


def test_members_of_a_constant_forecast_persist_as_their_noise_does():
    model = replace(BOTH, noise=0)
    fitted = replace(emulator(model), dependence=Dependence((150.0,), (0.6,)))
    inference = fitted.inference(source(days=2), None, None, 1, 0)
    ranks = inference.blocks.noise.draw(0, days(1500)).ranks
    assert NORMALISER.targets == ("tas", "pr")
    amounts = BernoulliGamma(2.0, 0.0, 1.0).quantile(ranks[..., 0])
    spearman = scores_of(ndtr(scores_of(ranks[:, ::5, 0])))
    assert lagged(spearman) == pytest.approx(0.6, abs=0.04)
    dry = (amounts == 0).astype(float)
    # Sheppard 1899: both sides of a bivariate normal distribution are below 0 with this share.
    expected = 0.25 + np.arcsin(0.6) / (2 * np.pi)
    assert (dry[1:] * dry[:-1]).mean() == pytest.approx(expected, abs=0.015)


def test_correlations_that_cannot_be_are_refused():
    for wrong in (
        {"decays": (1.0,)},
        {"noise_decay": -0.1},
        {"lengths_km": (0.0,)},
        {"between": ((1, 2), (2, 1))},
    ):
        with pytest.raises(ValueError, match="must"):
            Dependence(**wrong)
