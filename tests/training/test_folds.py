"""Blocks of years: where they are cut, and that nothing learns from the block it leaves out."""

from dataclasses import replace

import numpy as np
import pytest
import xarray as xr

from graphdown.config.data import Periods
from graphdown.errors import ExperimentError
from graphdown.training import target_regression
from graphdown.training.folds import block_starts, blocks_of, learned_rows, with_folds
from graphdown.training.target_regression import fit_target_regression

from .conftest import make_experiment, make_trainer


def days(*spans, calendar="standard"):
    parts = [
        xr.DataArray(xr.date_range(a, b, calendar=calendar, use_cftime=True), dims="time")
        for a, b in spans
    ]
    return xr.concat(parts, "time")


WINTERS = [(f"{y}-12-01", f"{y + 1}-02-28") for y in range(1982, 1988)]


@pytest.mark.parametrize("folds", [2, 3, 6])
def test_winters_stay_whole(folds):
    time = days(*WINTERS)
    block = blocks_of(time, block_starts([time], folds))
    winter = np.asarray((time.dt.year.values * 12 + time.dt.month.values + 6) // 12)
    assert set(block) == set(range(folds))
    assert all(len(set(block[winter == w])) == 1 for w in set(winter))
    counts = np.bincount(block)
    assert counts.max() <= counts.min() * (6 // folds + 1) / (6 // folds)


@pytest.mark.parametrize("calendar", ["standard", "360_day"])
def test_years_without_gaps_are_cut_at_their_beginning(calendar):
    time = days(("1990-01-01", "1995-12-30"), calendar=calendar)
    block = blocks_of(time, block_starts([time], 3))
    expected = (time.dt.year.values - 1990) // 2
    np.testing.assert_array_equal(block, expected)


def test_sources_share_the_blocks():
    early, late = days(*WINTERS[:4]), days(*WINTERS[2:])
    starts = block_starts([early, late], 3)
    assert set(blocks_of(early, starts)) == {0, 1}
    shared = late.isin(early.values)
    assert shared.sum() == 180
    np.testing.assert_array_equal(blocks_of(early, starts)[-180:], blocks_of(late, starts)[shared])


def test_more_blocks_than_years_are_refused():
    with pytest.raises(ExperimentError, match="6 years only"):
        block_starts([days(*WINTERS)], 7)


def test_networks_take_turns_in_what_they_leave_out():
    block = np.array([0, 0, 1, 1, 2])
    np.testing.assert_array_equal(learned_rows(block, 5, 4, 3), [0, 1, 4])
    np.testing.assert_array_equal(learned_rows(None, 3, 4, 0), [0, 1, 2])


def test_periods_are_joined_unless_the_test_lies_between(two_sources, tmp_path):
    experiment = make_experiment(tmp_path, two_sources, ensemble=2, folds=2)
    joined = with_folds(experiment).periods
    assert joined.train == joined.validation == ("2001-01-01", "2001-03-14")
    between = Periods(("2001-01", "2001-01"), ("2001-03", "2001-03"), ("2001-02", "2001-02"))
    with pytest.raises(ExperimentError, match="lies within the years"):
        with_folds(replace(experiment, periods=between))


@pytest.fixture(scope="module")
def blocks():
    """The numbers of blocks that a record of one winter is divided into here."""
    return lambda time, starts: (time.dt.month.values > 1).astype(int)


@pytest.fixture
def trainer(two_sources, blocks, monkeypatch):
    """Two networks of which one leaves January out and one the rest."""
    from graphdown.training import preparation, samples, validation_error

    monkeypatch.setattr(preparation, "block_starts", lambda times, folds: np.zeros(folds - 1))
    for module in (samples, validation_error):
        monkeypatch.setattr(module, "blocks_of", blocks)
    return make_trainer(two_sources, {"target_regression": 3}, ensemble=2, folds=2)


def test_steps_draw_from_the_blocks_that_a_network_learns_from(trainer):
    for step in range(4):
        drawn = trainer._drawn(step)
        block = trainer.samples[drawn.source].block[drawn.days]
        assert len(drawn.days) == 2 * trainer.experiment.training.batch_size
        assert set(block[0::2]) == {1} and set(block[1::2]) == {0}


def test_each_network_has_the_regression_that_its_block_does_not_change(trainer, monkeypatch):
    monkeypatch.setattr(target_regression, "PENALTIES", (2.0,))

    def fits(changed):
        learned = []
        for samples in trainer.samples:
            other = samples.fine * (1.0 + (samples.block == changed))[:, None, None]
            learned.append(replace(samples, fine=other.astype(np.float32)))
        rest = trainer.validation.samples, trainer.normaliser
        return [fit.slopes for fit in fit_target_regression(learned, *rest, folds=2)]

    plain = fits(None)
    for block in (0, 1):
        other = fits(block)
        np.testing.assert_allclose(other[block], plain[block], atol=1e-8)
        assert np.abs(other[1 - block] - plain[1 - block]).max() > 0.1


def test_networks_hold_the_regressions_of_their_blocks(trainer):
    rest = trainer.validation.samples, trainer.normaliser
    fits = fit_target_regression(trainer.samples, *rest, folds=2)
    stored = trainer.kept["networks"]["regression"]["coefficients"][...]
    np.testing.assert_array_equal(stored, [fit.slopes for fit in fits])


def test_validation_predicts_each_block_by_the_network_that_left_it_out(trainer):
    import jax
    from flax import nnx

    from graphdown.emulator.inference import run_network

    params = jax.tree.map(lambda leaf: leaf, trainer.params)
    network = nnx.merge(trainer.graphdef, params, trainer.kept)
    total, weights = [], trainer.domain.target.area
    for samples in trainer.validation.samples:
        error = np.empty(samples.fine.shape)
        for block in (0, 1):
            rows = samples.block == block
            made = run_network(
                network.taken([block]),
                trainer.normaliser,
                samples.graph,
                samples.source[rows],
                samples.forcings[rows],
            )
            error[rows] = (made - samples.fine[rows]) ** 2
        total.append(np.average(error.mean(axis=0), axis=0, weights=weights))
    expected = np.sqrt(np.mean(total, axis=0))
    errors = trainer.errors(params)
    np.testing.assert_allclose(list(errors.values()), expected, rtol=1e-5)
