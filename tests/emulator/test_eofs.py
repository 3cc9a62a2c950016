"""Estimates from the EOFs of training fields: ridge regression on every grid, fitted once."""

import numpy as np
import pytest

from graphdown.emulator import eofs as eofs_module
from graphdown.emulator.eofs import NOISES, Known, _best_ends, choose_noise, fit_eofs
from graphdown.statistics.least_squares import Design, warm_and_cold
from meshes import Grid, RandomGrids, bilinear, random_grids

from ..estimates import by_eofs, on_device

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


PREDICTOR, NONE = np.array([0]), np.array([2])  # what the target is, of the two


def fitted(count=DAYS - 1, warming=NO_WARMING, y=Y, columns=NONE):
    return fit_eofs(FIELDS, X[:DAYS], y[:DAYS], count, columns, *warming)


def made_by(eofs, grid, values):
    return on_device(eofs, grid, TARGET, values)


def seen(eofs, grid):
    """The weights of a grid and what its cells show [days, Ns, 2], 0 where it has no weights."""
    weights = eofs.weights(grid)
    return weights, np.stack([(weights.matrix() @ X[..., v].T).T for v in (0, 1)], axis=-1)


@pytest.mark.parametrize("k", range(4))
def test_with_all_modes_the_estimate_is_the_ridge_regression_of_that_grid(k):
    eofs = fitted()
    weights, values = seen(eofs, GRIDS[k])
    used = np.unique(weights.rows)
    table = (values[:, used] / eofs.scale).reshape(len(X), -1)
    design = Design.of(table[:DAYS])
    ridge = design.fit(Y[:DAYS, :, 0])
    for noise in (1e-3, 1e-1):
        eofs.noise[:] = noise
        expected = ridge.predict(design.rotate(table[DAYS:]), noise * DAYS)
        made = made_by(eofs, GRIDS[k], values[DAYS:])[..., 0]
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


def test_eofs_of_many_days_are_those_of_a_decomposition_of_all_of_them(monkeypatch):
    """So many days that the eigenvectors are iterated, read a few at a time."""
    monkeypatch.setattr(eofs_module, "BLOCK_BYTES", 8 * 17 * FIELDS.size * 2)
    rng, warming = np.random.default_rng(4), (np.asarray([3.0, 0.0]), np.asarray([2.0]))
    days = rng.normal(size=(400, 80)) @ X.reshape(80, -1) * 0.2
    days += 0.3 * rng.normal(size=days.shape)
    x = days.reshape(400, *X.shape[1:]).astype(np.float32)
    y = (x[..., :1] + rng.normal(size=(400, FIELDS.size, 1))).astype(np.float32)
    made = fit_eofs(FIELDS, x, y, 6, NONE, *warming)
    anomalies = x - x.mean(axis=0, dtype=np.float64)
    scale = np.sqrt(np.mean(anomalies**2, axis=(0, 1)))
    np.testing.assert_allclose(made.scale, scale, rtol=1e-10)
    tables = [
        np.concatenate([part, warm_and_cold(np.broadcast_to(spread, part.shape[1:]), 400)])
        for part, spread in zip(
            (anomalies, y - y.mean(axis=0, dtype=np.float64)), warming, strict=True
        )
    ]
    u, s, _ = np.linalg.svd((tables[0] / scale).reshape(402, -1), full_matrices=False)
    for patterns, table in ((made.patterns, tables[0] / scale), (made.target_patterns, tables[1])):
        expected = (u[:, :6].T @ table.reshape(402, -1) / 20.0).reshape(patterns.shape)
        sign = np.sign(np.sum(expected * patterns, axis=(1, 2), keepdims=True))
        np.testing.assert_allclose(sign * patterns, expected, atol=1e-6 * np.abs(expected).max())


@pytest.mark.parametrize("columns", [NONE, PREDICTOR])
def test_cells_without_weights_have_no_say(columns):
    eofs = fitted(10, columns=columns)
    weights, values = seen(eofs, GRIDS[0])
    blind = np.setdiff1d(np.arange(GRIDS[0].size), weights.rows)
    assert blind.size
    wild = values.copy()
    wild[:, blind] = 1e6
    made = made_by(eofs, GRIDS[0], values)
    np.testing.assert_array_equal(made_by(eofs, GRIDS[0], wild), made)
    np.testing.assert_allclose(made, by_eofs(eofs, GRIDS[0], TARGET, values), atol=5e-3)


def warmed(eofs, grid=GRIDS[1]):
    """What 4 K more make of all days."""
    values = seen(eofs, grid)[1]
    return made_by(eofs, grid, values + [4.0, 0.0]) - made_by(eofs, grid, values)


def test_a_warming_beyond_the_training_days_passes_through_where_it_was_told():
    told = (np.asarray([3.0, 0.0]), np.asarray([3.0]))
    changes = []
    for warming in (NO_WARMING, told):
        eofs = fitted(20, warming)
        eofs.noise[:] = 1e-4
        changes.append(warmed(eofs).mean())
    assert abs(changes[1] - 4.0) < 0.2
    assert abs(changes[1] - 4.0) < abs(changes[0] - 4.0)


def test_what_the_modes_leave_of_a_predictor_is_interpolated():
    """Few EOFs miss most of these waves, and all of a day that is none of theirs."""
    weights, values = seen(fitted(3), GRIDS[0])
    errors = []
    for columns in (NONE, PREDICTOR):
        eofs = fitted(3, columns=columns)
        eofs.noise[:] = 1e-2
        made = made_by(eofs, GRIDS[0], values)
        np.testing.assert_allclose(made, by_eofs(eofs, GRIDS[0], TARGET, values), atol=5e-3)
        errors.append(np.std(made - Y))
    assert errors[1] < 0.7 * errors[0]


def test_missing_targets_count_as_the_mean_of_their_node():
    gaps = Y.copy()
    gaps[::3, 5] = np.nan
    filled = gaps.copy()
    filled[::3, 5] = np.nanmean(gaps[:DAYS, 5])
    made, expected = fitted(10, y=gaps), fitted(10, y=filled)
    np.testing.assert_allclose(made.target_patterns, expected.target_patterns, atol=1e-6)
    np.testing.assert_allclose(made.target_mean, expected.target_mean)


def known(eofs, grid):
    weights, values = seen(eofs, grid)
    return Known(grid, weights, bilinear(grid, TARGET), values[DAYS:], Y[DAYS:])


def best_noise(eofs, grid):
    """The noise of NOISES with the least error on the days after training."""
    values, errors = seen(eofs, grid)[1][DAYS:], []
    for noise in NOISES:
        eofs.noise[:] = noise
        errors.append(np.mean((by_eofs(eofs, grid, TARGET, values) - Y[DAYS:]) ** 2))
    return NOISES[int(np.argmin(errors))]


@pytest.mark.parametrize(("count", "columns"), [(DAYS - 1, NONE), (12, PREDICTOR)])
def test_the_noise_is_the_one_that_does_best_on_validation_days(count, columns):
    eofs = fitted(count, columns=columns)
    one = choose_noise(eofs, [known(eofs, GRIDS[0])])
    best = pytest.approx(best_noise(eofs, GRIDS[0]))
    assert one.noise_at(1.0) == best and one.noise_at(1e4) == best
    fine, coarse = sorted(GRIDS, key=lambda grid: grid.area.mean())[:: len(GRIDS) - 1]
    two = choose_noise(eofs, [known(eofs, grid) for grid in (coarse, fine)])
    for spacing, grid in zip(two.spacings, (fine, coarse), strict=True):
        assert two.noise_at(spacing) == pytest.approx(best_noise(eofs, grid))


def test_between_the_ends_the_noise_is_that_of_the_grids_between_them():
    """The one error is least at 2, the other at 6, halfway lies 4; a fourth grid agrees."""
    noises = np.arange(9.0)
    least = np.array([2.0, 4.0, 6.0, 5.0])
    errors = 1.0 + (noises - least[:, None]) ** 2
    np.testing.assert_array_equal(_best_ends(errors, np.array([0.0, 0.5, 1.0, 0.75])), [2, 6])


def test_targets_without_temperature_answer_less_to_a_warming_that_was_told():
    changes = []
    for warming in (NO_WARMING, (np.asarray([3.0, 0.0]), np.zeros(1))):
        eofs = fitted(20, warming)
        eofs.noise[:] = 1e-2
        changes.append(abs(warmed(eofs).mean()))
    assert changes[1] < 0.5 * changes[0]


@pytest.mark.parametrize("columns", [NONE, PREDICTOR])
def test_what_a_training_day_misses_without_itself_is_what_modes_fitted_without_it_miss(columns):
    eofs = fitted(columns=columns)
    eofs.noise[:] = 0.1
    values = seen(eofs, GRIDS[3])[1]
    made = Y[:DAYS] - left_out(eofs, GRIDS[3], values[:DAYS])
    fitted_too = Y[:DAYS] - made_by(eofs, GRIDS[3], values[:DAYS])
    for day in (0, 17):
        others = np.delete(np.arange(DAYS), day)
        without = fit_eofs(FIELDS, X[others], Y[others], DAYS - 2, columns, *NO_WARMING)
        # The penalty is the number of days times the noise.
        without.noise[:] = 0.1 * DAYS / (DAYS - 1)
        expected = Y[day] - made_by(without, GRIDS[3], values[day : day + 1])[0]
        assert np.abs(expected - made[day]).mean() < 0.1 * np.abs(expected - fitted_too[day]).mean()


def left_out(eofs, grid, values):
    """What the device makes of training days, each without itself; the values may be changed."""
    own = seen(eofs, grid)[1][:DAYS], Y[:DAYS], eofs.shares(X[:DAYS], DAYS)
    return on_device(eofs, grid, TARGET, values, own)


@pytest.mark.parametrize("columns", [NONE, PREDICTOR])
def test_a_day_that_is_left_out_answers_to_a_warming_as_any_day(columns):
    eofs = fitted(20, columns=columns)
    values = seen(eofs, GRIDS[2])[1][:DAYS]
    warmer = values + [3.0, 0.0]
    plain = made_by(eofs, GRIDS[2], warmer) - made_by(eofs, GRIDS[2], values)
    left = left_out(eofs, GRIDS[2], warmer) - left_out(eofs, GRIDS[2], values)
    assert 0.0 < np.abs(left - plain).mean() < 0.2 * np.abs(plain).mean()


def test_days_that_are_not_in_the_modes_are_left_as_they_are():
    eofs = fitted(20, columns=PREDICTOR)
    values = seen(eofs, GRIDS[0])[1][:20]
    none, nothing = np.full((20, TARGET.size, 1), np.nan), np.zeros((20, 20), np.float32)
    made = on_device(eofs, GRIDS[0], TARGET, values, (values, none, nothing))
    np.testing.assert_array_equal(made, made_by(eofs, GRIDS[0], values))
