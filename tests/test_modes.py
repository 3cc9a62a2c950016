"""Estimates from the modes of training fields: ridge regression on every grid, fitted once."""

import numpy as np
import pytest

from graphdown.model.estimate import LeftOut, Observation, Patterns, estimate
from graphdown.modes import NOISES, choose_noise, fit_modes
from graphdown.penalised import Design
from meshes import Grid, RandomGrids, random_grids

FIELDS = Grid.regular(0.5, 0.5, (0.0, 40.0, 6.0, 45.0))
TARGET = Grid.regular(0.5, 0.5, (1.0, 41.0, 5.0, 44.0))
GRIDS = random_grids(FIELDS, RandomGrids(count=4, spacing=(0.8, 2.0), seed=1))
DAYS, NO_WARMING = 60, (np.zeros(2), np.zeros(1))
RNG = np.random.default_rng(0)
AMPLITUDES = RNG.normal(size=(DAYS + 20, 40))
WAVES = RNG.normal(size=(2, 40, 3))


def fields(grid):
    """Two predictors [days, N, 2] of many waves, the first in K."""
    phase = WAVES @ np.stack([grid.lon, grid.lat, np.ones(grid.size)])
    values = np.einsum("dk,vkn->dnv", AMPLITUDES, np.sin(phase))
    return values * [2.0, 0.5] + [280.0, 3.0]


def targets(grid):
    """One target [days, N, 1] that hangs linearly on both predictors."""
    made = fields(grid) @ [1.0, 2.0] + 0.05 * RNG.normal(size=(DAYS + 20, grid.size))
    return made[..., None]


X, Y = fields(FIELDS), targets(TARGET)


def fitted(count=DAYS - 1, warming=NO_WARMING, y=Y):
    return fit_modes(FIELDS, X[:DAYS], y[:DAYS], count, *warming)


def seen(modes, grid):
    """The weights of a grid and what its cells show [days, Ns, 2], 0 where it has no weights."""
    weights = modes.weights(grid)
    return weights, np.stack([(weights.matrix() @ X[..., v].T).T for v in (0, 1)], axis=-1)


@pytest.mark.parametrize("k", range(4))
def test_with_all_modes_the_estimate_is_the_ridge_regression_of_that_grid(k):
    modes = fitted()
    weights, values = seen(modes, GRIDS[k])
    used = np.unique(weights.rows)
    table = (values[:, used] / modes.scale).reshape(len(X), -1)
    design = Design.of(table[:DAYS])
    ridge = design.fit(Y[:DAYS, :, 0])
    for noise in (1e-3, 1e-1):
        modes.noise[:] = noise
        expected = ridge.predict(design.rotate(table[DAYS:]), noise * DAYS)
        made = modes.estimator(GRIDS[k])(values[DAYS:])[..., 0]
        np.testing.assert_allclose(made, expected, atol=2e-3)
        assert np.std(expected) > 1.0


def test_few_modes_keep_the_most_variance():
    for count in (3, 10):
        kept = np.square(fitted(count).patterns).sum()
        all_of_it = np.square(fitted().patterns).sum()
        anomalies = (X[:DAYS] - X[:DAYS].mean(axis=0)) / fitted().scale
        best = np.linalg.svd(anomalies.reshape(DAYS, -1), compute_uv=False)[:count]
        assert kept == pytest.approx(np.square(best).sum() / DAYS, rel=1e-5)
        assert kept < all_of_it


def test_cells_without_weights_have_no_say():
    modes = fitted(10)
    weights, values = seen(modes, GRIDS[0])
    blind = np.setdiff1d(np.arange(GRIDS[0].size), weights.rows)
    assert blind.size
    wild = values.copy()
    wild[:, blind] = 1e6
    estimate = modes.estimator(GRIDS[0])
    np.testing.assert_array_equal(estimate(wild), estimate(values))


def test_a_warming_beyond_the_training_days_passes_through_where_it_was_told():
    grid = GRIDS[1]
    told = (np.asarray([3.0, 0.0]), np.asarray([3.0]))
    changes = []
    for warming in (NO_WARMING, told):
        modes = fitted(20, warming)
        modes.noise[:] = 1e-4
        values, estimate = seen(modes, grid)[1], modes.estimator(grid)
        changes.append(estimate(values + [4.0, 0.0]) - estimate(values))
    assert abs(changes[1].mean() - 4.0) < 0.2
    assert abs(changes[1].mean() - 4.0) < abs(changes[0].mean() - 4.0)


def test_missing_targets_count_as_the_mean_of_their_node():
    gaps = Y.copy()
    gaps[::3, 5] = np.nan
    filled = gaps.copy()
    filled[::3, 5] = np.nanmean(gaps[:DAYS, 5])
    made, expected = fitted(10, y=gaps), fitted(10, y=filled)
    np.testing.assert_allclose(made.target_patterns, expected.target_patterns, atol=1e-6)
    np.testing.assert_allclose(made.target_mean, expected.target_mean)


def test_the_noise_is_the_one_that_does_best_on_validation_days():
    modes = fitted()
    shown = [seen(modes, grid) for grid in GRIDS[:2]]
    days = [v[DAYS:] for _, v in shown]
    chosen = choose_noise(
        modes, [(w, v, Y[DAYS:]) for (w, _), v in zip(shown, days, strict=True)]
    ).noise[0]

    def error(noise):
        modes.noise[:] = noise
        made = [modes.estimator(grid)(v) for grid, v in zip(GRIDS[:2], days, strict=True)]
        return sum(np.mean((one - Y[DAYS:]) ** 2) for one in made)

    assert chosen == NOISES[int(np.argmin([error(noise) for noise in NOISES]))]


def test_the_device_makes_the_same_estimate():
    modes = fitted(20)
    values = seen(modes, GRIDS[2])[1]
    gain, mean = modes.gain(GRIDS[2])
    patterns = Patterns(modes.target_patterns, modes.target_mean.astype(np.float32), 0.0, 1.0)
    source = np.swapaxes(values, 0, 1).astype(np.float32)
    made = np.swapaxes(np.asarray(estimate(source, Observation(gain, mean), patterns)), 0, 1)
    np.testing.assert_allclose(made, modes.estimator(GRIDS[2])(values), atol=2e-3)


def test_targets_without_temperature_answer_less_to_a_warming_that_was_told():
    changes = []
    for warming in (NO_WARMING, (np.asarray([3.0, 0.0]), np.zeros(1))):
        modes = fitted(20, warming)
        modes.noise[:] = 1e-2
        values, estimate = seen(modes, GRIDS[1])[1], modes.estimator(GRIDS[1])
        changes.append(abs((estimate(values + [4.0, 0.0]) - estimate(values)).mean()))
    assert changes[1] < 0.5 * changes[0]


def test_what_a_training_day_misses_without_itself_is_what_modes_fitted_without_it_miss():
    modes = fitted()
    modes.noise[:] = 0.1
    values = seen(modes, GRIDS[3])[1]
    share = modes.shares(X[:DAYS], DAYS)
    made = modes.leaver(GRIDS[3])(values[:DAYS], Y[:DAYS], share)
    fitted_too = Y[:DAYS] - modes.estimator(GRIDS[3])(values[:DAYS])
    for day in (0, 17):
        others = np.delete(np.arange(DAYS), day)
        without = fit_modes(FIELDS, X[others], Y[others], DAYS - 2, *NO_WARMING)
        # The penalty is the number of days times the noise.
        without.noise[:] = 0.1 * DAYS / (DAYS - 1)
        expected = Y[day] - without.estimator(GRIDS[3])(values[day : day + 1])[0]
        assert np.abs(expected - made[day]).mean() < 0.1 * np.abs(expected - fitted_too[day]).mean()


def test_the_device_leaves_a_warmed_day_out_of_its_own_estimate():
    modes = fitted(20)
    values = seen(modes, GRIDS[2])[1]
    gain, mean = modes.gain(GRIDS[2])
    patterns = Patterns(modes.target_patterns, modes.target_mean.astype(np.float32), 0.0, 1.0)
    source = np.swapaxes(values[:DAYS], 0, 1).astype(np.float32)
    truth = np.swapaxes(Y[:DAYS], 0, 1).astype(np.float32)
    left_out = LeftOut(source, truth, modes.shares(X[:DAYS], DAYS))
    observation = Observation(gain, mean)
    made = truth - np.asarray(estimate(source, observation, patterns, left_out))
    expected = modes.leaver(GRIDS[2])(values[:DAYS], Y[:DAYS], left_out.share)
    np.testing.assert_allclose(np.swapaxes(made, 0, 1), expected, atol=5e-3)
    warmer = source + np.asarray([3.0, 0.0], np.float32)
    plain = estimate(warmer, observation, patterns) - estimate(source, observation, patterns)
    left = np.asarray(estimate(warmer, observation, patterns, left_out)) - (truth - made)
    assert 0.0 < np.abs(left - plain).mean() < 0.2 * np.abs(plain).mean()


def test_days_that_are_not_in_the_modes_are_left_as_they_are():
    modes = fitted(20)
    values = seen(modes, GRIDS[0])[1]
    gain, mean = modes.gain(GRIDS[0])
    patterns = Patterns(modes.target_patterns, modes.target_mean.astype(np.float32), 0.0, 1.0)
    source = np.swapaxes(values[DAYS:], 0, 1).astype(np.float32)
    truth = np.full((TARGET.size, len(values) - DAYS, 1), np.nan, np.float32)
    none = LeftOut(source, truth, np.zeros((len(values) - DAYS, 20), np.float32))
    observation = Observation(gain, mean)
    made = estimate(source, observation, patterns, none)
    np.testing.assert_array_equal(made, estimate(source, observation, patterns))
