"""Which days a step sees, and how they are laid out."""

import numpy as np
import pytest

from graphdown.errors import DataError
from graphdown.model.edge_tables import bucket
from graphdown.training.samples import days_of_step, make_samples, source_of_step
from meshes import Grid

from .conftest import COARSE, FINE, make_data, make_trainer, source, truth


def drawn(steps, batch_size=4, days=10, seed=3, source=0):
    return np.concatenate([days_of_step(s, batch_size, days, seed, source) for s in range(steps)])


@pytest.mark.parametrize("batch_size", [4, 10, 25])
def test_each_day_is_drawn_once_in_each_pass(batch_size):
    passes = drawn(10, batch_size)[:40].reshape(-1, 10)
    np.testing.assert_array_equal(np.sort(passes, axis=1), np.tile(np.arange(10), (4, 1)))


def test_days_come_in_a_new_order_for_each_pass_seed_and_source():
    passes = [*drawn(5).reshape(2, 10), drawn(5, seed=4)[:10], drawn(5, source=1)[:10]]
    assert len({tuple(order) for order in passes}) == 4
    assert tuple(range(10)) not in {tuple(order) for order in passes}


def test_the_order_of_days_depends_on_nothing_else():
    np.testing.assert_array_equal(drawn(15)[:50], drawn(6, batch_size=10)[:50])
    np.testing.assert_array_equal(days_of_step(7, 4, 10, 3, 0), drawn(15)[28:32])


def test_sources_take_turns_in_changing_order():
    turns = [source_of_step(step, range(3), seed=0) for step in range(60)]
    rounds = np.asarray([s for s, _ in turns]).reshape(-1, 3)
    np.testing.assert_array_equal(np.sort(rounds, axis=1), np.tile([0, 1, 2], (20, 1)))
    assert len({tuple(order) for order in rounds}) > 3
    other = [source_of_step(step, range(3), seed=1)[0] for step in range(60)]
    assert other != [s for s, _ in turns]


@pytest.mark.parametrize("turns", [(0, 1, 2), (0, 1, 1, 1, 2, 2)])
def test_a_source_is_told_how_many_steps_it_had_before(turns):
    had = [0, 0, 0]
    for step in range(30):
        number, before = source_of_step(step, turns, seed=0)
        assert before == had[number]
        had[number] += 1


def test_sources_of_a_trainer_go_through_their_days_in_turns(two_sources):
    trainer = make_trainer(two_sources, batch_size=10)
    seen = {0: [], 1: []}
    for step in range(12):
        batch, number = trainer.batch(step)
        fine = trainer.samples[number].fine
        seen[number] += [int(np.flatnonzero((fine == day).all((1, 2)))[0]) for day in batch.fine]
    assert all(len(days) == 60 and len(set(days[:59])) == 59 for days in seen.values())


def test_source_values_are_padded_with_zeros_to_a_bucket():
    grid = Grid.regular(6 / 9, 2.0, (0.0, 40.0, 6.0, 46.0))
    assert bucket(grid.size) > grid.size
    data = make_data(a=source(grid))
    samples = make_trainer(data).samples[0]
    assert samples.source.shape == (59, bucket(grid.size), 3)
    assert not samples.source[:, grid.size :].any()
    expected = np.stack([grid.values(data.sources["a"][n])[:59] for n in ("tas", "pr", "ua850")], 2)
    np.testing.assert_array_equal(samples.source[:, : grid.size], expected)
    assert samples.graph.encode.outgoing.blocks[0].shape[0] == bucket(grid.size)


def test_a_batch_holds_both_sides_and_the_season_of_its_days(data):
    samples = make_trainer(data).samples[0]
    days, warming = np.asarray([31, 0, 58]), np.asarray([1.0, 2.0, 3.0], np.float32)
    batch = samples.batch(days, warming, 0.25, 0)
    coarse, fine = data.sources["a"], data.fine
    for i, day in enumerate(days):
        np.testing.assert_array_equal(batch.source[i, :, 0], COARSE.values(coarse.tas)[day])
        np.testing.assert_array_equal(batch.fine[i, :, 1], FINE.values(fine.pr)[day])
        phase = 2 * np.pi * day / 365.25
        np.testing.assert_allclose(batch.forcings[i], [np.sin(phase), np.cos(phase)], rtol=1e-6)
    np.testing.assert_array_equal(batch.warming, warming)
    np.testing.assert_array_equal(batch.spacing, [0.25, 0.25, 0.25])


def test_augmentation_lies_in_its_range_and_changes_from_step_to_step(data):
    trainer = make_trainer(data, warming_offset=[-1.0, 3.0], spacing_jitter=0.5, batch_size=50)
    batches = [trainer.batch(step)[0] for step in range(20)]
    warming = np.concatenate([b.warming for b in batches])
    assert -1.0 <= warming.min() < -0.9 and 2.9 < warming.max() <= 3.0
    assert len(np.unique(warming)) > 990
    spacing = np.stack([b.spacing for b in batches])
    assert (spacing == spacing[:, :1]).all() and len(np.unique(spacing)) == 20
    assert np.abs(spacing).max() <= 0.5 and spacing.min() < 0 < spacing.max()
    np.testing.assert_array_equal(trainer.batch(7)[0].warming, batches[7].warming)


def test_missing_values_of_a_source_are_refused_and_those_of_the_target_kept(data):
    fine = truth()
    fine["tas"][3, 2, 1] = np.nan
    samples = make_trainer(make_data(fine)).samples[0]
    assert np.isnan(samples.fine).sum() == 1
    coarse = source(COARSE)
    coarse["pr"][5, 1, 1] = np.nan
    domain = make_trainer(data).domain
    with pytest.raises(DataError, match="source 'a': 1 value is missing.*'pr'; fill or"):
        make_samples("a", (coarse, fine), ("tas", "pr"), ("tas",), domain)
