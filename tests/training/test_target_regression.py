"""The regression of each target node against normal equations solved node by node."""

import tracemalloc
from dataclasses import replace

import numpy as np
import pytest

from graphdown.training import regression_days, target_regression
from graphdown.training.target_regression import PENALTIES, _Fitting, fit_target_regression
from meshes import bilinear
from meshes.remapping.remap import bilinear_to_points

from .conftest import COARSE, FINE, OTHER, make_trainer

AROUND = 3
NODES = (0, 37, 143)
GRIDS = {"a": COARSE, "b": OTHER}


@pytest.fixture(scope="module")
def trainer(two_sources):
    return make_trainer(two_sources, {"target_regression": AROUND})


@pytest.fixture(scope="module")
def parts(trainer):
    """Training days, validation days and statistics."""
    return trainer.samples, trainer.validation.samples, trainer.normaliser


@pytest.fixture
def one_penalty(monkeypatch):
    monkeypatch.setattr(target_regression, "PENALTIES", (2.0,))
    return 2.0


def tables(trainer, samples):
    """Channels at the mesh [days, Nm, C]; interpolations and corrections, scaled [days, Nt, T]."""
    n = trainer.normaliser
    channels, interpolations, corrections = [], [], []
    for part in samples:
        grid = GRIDS[part.name]
        values = part.source[:, : grid.size].astype(np.float64)
        four = np.stack([*np.moveaxis(values, -1, 0), np.log1p(values[..., 1])], axis=-1)
        x = (four - np.asarray(n.mean)) / np.asarray(n.std)
        mesh = bilinear_to_points(grid, trainer.domain.graph(grid).mesh.xyz)
        own = bilinear(grid, FINE)
        channels.append(np.stack([mesh.apply(x[..., c]) for c in range(4)], axis=-1))
        made = np.stack([own.apply(values[..., t]) for t in (0, 1)], axis=-1)
        interpolations.append(made / np.asarray(n.scale))
        corrections.append((part.fine - made) / np.asarray(n.scale))
    return tuple(map(np.concatenate, (channels, interpolations, corrections)))


def units(channels):
    """Deviation of each channel from day to day, as columns around a node have it."""
    return np.tile(channels.std(axis=0).mean(axis=0), AROUND)


def columns(trainer, channels, node):
    around = np.asarray(trainer.samples[0].graph.around)[node]
    return channels[:, around].reshape(len(channels), -1)


def solved(x, own, y, penalty, unit):
    """Slopes [P, T], factors [T] and constants [T] by the normal equations of each target."""
    each = []
    for target in (0, 1):
        table = np.column_stack([x / unit, own[:, target]])
        z, wanted = table - table.mean(axis=0), y[:, target] - y[:, target].mean()
        penalties = np.diag([*np.full(x.shape[1], penalty), 0.0])
        slopes = np.linalg.solve(z.T @ z + penalties, z.T @ wanted)
        constant = y[:, target].mean() - table.mean(axis=0) @ slopes
        each.append([*slopes[:-1] / unit, slopes[-1], constant])
    *slopes, factors, constants = np.transpose(each)
    return np.array(slopes), factors, constants


def assert_solved(fitted, node, x, own, y, penalty, unit, atol=2e-4):
    slopes, factors, constants = solved(x, own[:, node], y[:, node], penalty, unit)
    np.testing.assert_allclose(fitted.slopes[node].reshape(-1, 2), slopes, atol=atol)
    np.testing.assert_allclose(fitted.factors[node], factors, atol=atol)
    # Constants make up for factors of a far mean; what they all say of the mean day does not.
    mean = x.mean(axis=0), own[:, node].mean(axis=0)
    level = mean[0] @ fitted.slopes[node].reshape(-1, 2) + mean[1] * fitted.factors[node]
    expected = mean[0] @ slopes + mean[1] * factors + constants
    np.testing.assert_allclose(level + fitted.constants[node], expected, atol=atol)


def test_regression_solves_the_normal_equations_of_each_node(trainer, parts, one_penalty):
    (fitted,) = fit_target_regression(*parts)
    channels, own, corrections = tables(trainer, trainer.samples)
    assert len(channels) == 2 * 59
    assert fitted.slopes.shape == (144, AROUND, 4, 2)
    assert fitted.slopes.dtype == fitted.factors.dtype == fitted.constants.dtype == np.float32
    for node in range(0, 144, 11):
        x = columns(trainer, channels, node)
        assert_solved(fitted, node, x, own, corrections, one_penalty, units(channels))


def test_more_columns_than_days_are_solved_too(trainer, parts, one_penalty):
    few = [replace(p, source=p.source[:5], fine=p.fine[:5]) for p in trainer.samples]
    (fitted,) = fit_target_regression(few, *parts[1:])
    channels, own, corrections = tables(trainer, few)
    for node in NODES:
        x = columns(trainer, channels, node)
        assert_solved(fitted, node, x, own, corrections, one_penalty, units(channels))


def noisy(samples):
    """Samples that are partly noise, their precipitation most."""
    rng, made = np.random.default_rng(8), []
    for part in samples:
        fine = part.fine.copy()
        fine[..., 1] += rng.normal(0.0, 3.0, fine.shape[:2])
        fine[..., 0] += rng.normal(0.0, 1.5, fine.shape[:2])
        made.append(replace(part, fine=fine))
    return made


def test_penalty_of_each_target_is_the_best_on_the_validation_days(trainer, parts):
    train, validation = noisy(trainer.samples), trainer.validation.samples
    (fitted,) = fit_target_regression(train, validation, parts[2])
    x, own, y = tables(trainer, train)
    further_x, further_own, further_y = tables(trainer, validation)
    errors, unit = np.zeros((len(PENALTIES), 2)), units(x)
    for node in range(144):
        around, further = columns(trainer, x, node), columns(trainer, further_x, node)
        for k, penalty in enumerate(PENALTIES):
            slopes, factors, constants = solved(around, own[:, node], y[:, node], penalty, unit)
            made = further @ slopes + factors * further_own[:, node] + constants
            errors[k] += ((made - further_y[:, node]) ** 2).sum(axis=0)
    best = errors.argmin(axis=0)
    assert best.min() > 0 and best[0] < best[1]
    np.testing.assert_array_equal(fitted.penalty, np.asarray(PENALTIES)[best])
    for target in (0, 1):
        penalty = fitted.penalty[target]
        expected = solved(columns(trainer, x, 37), own[:, 37], y[:, 37], penalty, unit)
        slopes = fitted.slopes[37].reshape(-1, 2)[:, target]
        np.testing.assert_allclose(slopes, expected[0][:, target], atol=1e-3)
        np.testing.assert_allclose(fitted.factors[37, target], expected[1][target], atol=1e-3)


def warmed(x, own, y, trainer, offsets):
    """Each day once for each offset, its air temperature warmer and its correction the same."""
    n = trainer.normaliser
    step = np.tile([1.0 / n.std[0], 0.0, 0.0, 0.0], AROUND)
    further = np.array([1.0 / n.scale[0], 0.0])
    copies = [(x + offset * step, own + offset * further, y) for offset in offsets]
    return tuple(map(np.concatenate, zip(*copies, strict=True)))


@pytest.mark.parametrize("reach", [3.0, 30.0])
def test_warming_has_the_effect_that_many_warmed_copies_have(trainer, parts, one_penalty, reach):
    (fitted,) = fit_target_regression(*parts, (-reach, reach))
    (plain,) = fit_target_regression(*parts)
    channels, own, corrections = tables(trainer, trainer.samples)
    offsets = reach * (2 * (np.arange(400) + 0.5) / 400 - 1)
    for node in NODES:
        days = warmed(columns(trainer, channels, node), own, corrections, trainer, offsets)
        penalty = one_penalty * len(offsets)
        assert_solved(fitted, node, *days, penalty, units(channels), atol=5e-4)
    assert np.abs(fitted.slopes - plain.slopes).max() > 0.05


def test_a_warming_that_is_not_symmetric_changes_the_slopes_alike(trainer, parts, one_penalty):
    (fitted,) = fit_target_regression(*parts, (-2.0, 5.0))
    (shifted,) = fit_target_regression(*parts, (-3.5, 3.5))
    np.testing.assert_allclose(fitted.slopes, shifted.slopes, atol=1e-6)
    np.testing.assert_allclose(fitted.factors, shifted.factors, atol=1e-6)
    np.testing.assert_allclose(fitted.constants, shifted.constants, atol=1e-4)


def test_missing_days_of_a_target_node_count_as_its_mean(trainer, parts, one_penalty):
    (whole,) = fit_target_regression(*parts)
    fine = trainer.samples[0].fine.copy()
    fine[10:30, 37, 0] = np.nan
    gappy = [replace(trainer.samples[0], fine=fine), trainer.samples[1]]
    (fitted,) = fit_target_regression(gappy, *parts[1:])
    channels, own, y = tables(trainer, gappy)
    y = np.where(np.isnan(y), np.nanmean(y, axis=0), y)
    assert_solved(fitted, 37, columns(trainer, channels, 37), own, y, one_penalty, units(channels))
    np.testing.assert_array_equal(fitted.slopes[:37], whole.slopes[:37])
    np.testing.assert_array_equal(fitted.slopes[38:], whole.slopes[38:])


def test_a_target_node_that_is_always_missing_gets_zeros(trainer, parts):
    gappy = []
    for part in trainer.samples:
        fine = part.fine.copy()
        fine[:, 5, 1] = np.nan
        gappy.append(replace(part, fine=fine))
    (fitted,) = fit_target_regression(gappy, gappy, parts[2], (-2.0, 2.0))
    assert not fitted.slopes[5, ..., 1].any()
    assert fitted.factors[5, 1] == fitted.constants[5, 1] == 0.0
    assert fitted.slopes[5, ..., 0].any() and fitted.slopes[6, ..., 1].any()
    assert np.isfinite(fitted.slopes).all() and np.isfinite(fitted.constants).all()


def with_gaps(samples, folds):
    """Samples with days missing at some nodes, in blocks of years."""
    rng, made = np.random.default_rng(2), []
    for part in noisy(samples):
        fine = part.fine.copy()
        fine[rng.random(fine.shape) < 0.1] = np.nan
        fine[:, ::9] = part.fine[:, ::9]
        block = np.arange(len(fine)) * folds // len(fine) if folds else None
        made.append(replace(part, fine=fine, block=block))
    return made


@pytest.mark.parametrize("folds", [0, 2])
def test_sums_give_what_the_days_themselves_give(trainer, parts, folds, monkeypatch):
    train, validation = (with_gaps(samples, folds) for samples in parts[:2])
    arguments = train, validation, parts[2], (-2.0, 2.0), (), folds
    monkeypatch.setattr(regression_days, "MOST_DAYS", 7)
    whole = fit_target_regression(*arguments)
    monkeypatch.setattr(_Fitting, "_few", lambda *_: True)
    dense = fit_target_regression(*arguments)
    assert len(whole) == len(dense) == max(folds, 1)
    for one, other in zip(whole, dense, strict=True):
        np.testing.assert_array_equal(one.penalty, other.penalty)
        assert np.abs(one.slopes).max() > 0.02
        np.testing.assert_allclose(one.slopes, other.slopes, atol=2e-6)
        np.testing.assert_allclose(one.factors, other.factors, atol=2e-6)
        np.testing.assert_allclose(one.constants, other.constants, atol=2e-4)


@pytest.mark.parametrize("few", [False, True])
def test_groups_that_are_fitted_in_portions_have_the_same_coefficients(
    trainer, parts, few, monkeypatch
):
    monkeypatch.setattr(_Fitting, "_few", lambda *_: few)
    monkeypatch.setattr(target_regression, "CHOOSING_FITS", 4)
    (whole,) = fit_target_regression(*parts)
    monkeypatch.setattr(target_regression, "COLLECTED_BYTES", 1)
    (portions,) = fit_target_regression(*parts)
    np.testing.assert_allclose(portions.slopes, whole.slopes, atol=1e-6)
    np.testing.assert_allclose(portions.factors, whole.factors, atol=1e-6)


class Again:
    """Days that come again and again, without memory of their own."""

    def __init__(self, values, times):
        self.values, self.times = values, times

    def __len__(self):
        return len(self.values) * self.times

    @property
    def shape(self):
        return len(self), *self.values.shape[1:]

    def __getitem__(self, days):
        return self.values[np.arange(len(self))[days] % len(self.values)]


def test_memory_does_not_grow_with_the_days(trainer, parts, monkeypatch):
    monkeypatch.setattr(regression_days, "MOST_DAYS", 59)
    peaks = []
    for times in (1, 2, 16):
        longer = [
            replace(
                part, **{n: Again(getattr(part, n), times) for n in ("source", "fine", "forcings")}
            )
            for part in parts[0]
        ]
        tracemalloc.start()
        fit_target_regression(longer, *parts[1:])
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[2] < 1.3 * peaks[1]  # eight times as many days


def test_the_trainer_puts_the_fit_into_the_network(trainer, parts):
    (fitted,) = fit_target_regression(*parts, trainer.experiment.training.warming_offset)
    own = trainer.kept["regression"]
    np.testing.assert_array_equal(own["coefficients"][...], fitted.slopes)
    np.testing.assert_array_equal(own["factors"][...], fitted.factors)
    np.testing.assert_array_equal(own["constants"][...], fitted.constants)


def test_targets_that_are_not_named_have_no_regression(two_sources, trainer):
    settings = {"target_regression": AROUND, "regression_targets": ["pr"]}
    own = make_trainer(two_sources, settings).kept["regression"]
    every = trainer.kept["regression"]
    for name in ("coefficients", "factors", "constants"):
        np.testing.assert_array_equal(own[name][..., 0], 0.0)
        np.testing.assert_array_equal(own[name][..., 1], every[name][..., 1])
