"""Padded edge tables: what they list, and that their layout changes nothing."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from graphdown.model import edge_tables
from graphdown.model.edge_tables import Padding, bucket, build_edge_table, sum_over_width

from .conftest import EDGES, random_edges, table_of

CASES = pytest.mark.parametrize("edges", EDGES.values(), ids=EDGES.keys())


def in_numpy(tree):
    return jax.tree.map(np.asarray, tree)


def listed(table, n_senders):
    """Return sender, receiver, features and weight [E, 7] of all that is no padding, sorted."""
    rows, first = [], 0
    blocks = zip(table.senders.blocks, table.features, table.weights, strict=True)
    for senders, features, weights in blocks:
        row, column = np.nonzero(senders < n_senders)
        values = senders[row, column], first + row, features[row, column].T, weights[row, column]
        rows.append(np.vstack(values).astype(np.float64).T)
        first += len(senders)
    return ordered(np.concatenate(rows)), first


def ordered(rows):
    return rows[np.lexsort(rows.T[::-1])]


def flat(table):
    return np.concatenate([block.ravel() for block in table.senders.blocks])


def test_buckets_hold_what_they_are_made_for_with_little_waste():
    sizes = np.arange(1, 5000)
    made = np.array([bucket(int(n)) for n in sizes])
    assert np.all(made >= sizes)
    assert np.all(made <= 1.25 * sizes)
    assert np.all(np.diff(made) >= 0)
    assert [bucket(int(n)) for n in made] == made.tolist()
    assert [bucket(n) for n in (0, 1, 2, 3, 4)] == [1, 1, 2, 3, 4]


@pytest.mark.parametrize("octave", [3, 6, 11])
def test_an_octave_has_four_buckets(octave):
    sizes = range(2**octave + 1, 2 ** (octave + 1) + 1)
    assert len({bucket(n) for n in sizes}) == 4


@CASES
def test_each_edge_is_listed_once_in_the_row_of_its_receiver(edges):
    made, rows = listed(in_numpy(table_of(edges)), edges.sizes[0])
    parts = edges.senders, edges.receivers, edges.features, edges.weights
    np.testing.assert_array_equal(made, ordered(np.column_stack(parts).astype(np.float64)))
    assert rows == edges.sizes[1]


@CASES
def test_padding_names_no_sender_and_weighs_nothing(edges):
    table = in_numpy(table_of(edges))
    blocks = zip(table.senders.blocks, table.features, table.weights, strict=True)
    for senders, features, weights in blocks:
        assert senders.shape == weights.shape == features.shape[:2]
        assert senders.shape[1] == bucket(senders.shape[1])
        padding = weights == 0.0
        assert np.all(senders[padding] == edges.sizes[0])
        assert np.all(features[padding] == 0.0)


@CASES
def test_outgoing_is_the_inverse_of_senders(edges):
    table = in_numpy(table_of(edges))
    senders = flat(table)
    leaving = [row[row < senders.size] for b in table.outgoing.blocks for row in b]
    assert len(leaving) == edges.sizes[0]
    for node, row in enumerate(table.outgoing.row):
        np.testing.assert_array_equal(np.sort(leaving[row]), np.flatnonzero(senders == node))
    for block in table.outgoing.blocks:
        assert np.max(block) <= senders.size


def test_padding_adds_senders_and_places_that_hold_nothing():
    edges = EDGES["one-block"]
    plain, padded = in_numpy((table_of(edges), table_of(edges, Padding(40, 64, 80))))
    np.testing.assert_array_equal(listed(padded, 40)[0], listed(plain, 30)[0])
    assert padded.senders.blocks[0].shape == (40, 64)
    assert padded.outgoing.blocks[0].shape == (40, 80)
    assert np.all(padded.outgoing.blocks[0][30:] == flat(padded).size)


def test_padding_over_edge_lists_holds_each_of_them():
    lists = [(edges.senders, edges.receivers) for edges in EDGES.values()]
    padding = Padding.over(lists, 90)
    for edges in EDGES.values():
        table = in_numpy(table_of(edges, padding))
        plain = in_numpy(table_of(edges))
        assert listed(table, padding.senders)[1] == edges.sizes[1]
        np.testing.assert_array_equal(
            listed(table, padding.senders)[0], listed(plain, edges.sizes[0])[0]
        )


def test_two_blocks_list_what_one_lists_in_less_space(monkeypatch):
    edges = EDGES["two-blocks"]
    split = in_numpy(table_of(edges))
    monkeypatch.setattr(edge_tables, "_bounds", lambda degree: [0, len(degree)])
    whole = in_numpy(table_of(edges))
    assert [len(t.senders.blocks) for t in (split, whole)] == [2, 1]
    np.testing.assert_array_equal(listed(split, 90)[0], listed(whole, 90)[0])
    assert flat(split).size < 0.5 * flat(whole).size


def test_rows_of_three_lengths_take_three_blocks():
    receivers = np.repeat(np.arange(200), np.repeat([12, 6, 3], [20, 60, 120]))
    features, weights = np.zeros((len(receivers), 1)), np.ones(len(receivers))
    table = build_edge_table(receivers, receivers, features, weights, sizes=(200, 200))
    assert [block.shape for block in table.senders.blocks] == [(20, 12), (60, 6), (120, 3)]


def test_few_rows_and_rows_alike_stay_in_one_block():
    assert len(table_of(random_edges(30, 63, hubs=3)).senders.blocks) == 1
    assert len(table_of(random_edges(30, 200)).senders.blocks) == 1


def test_senders_with_like_numbers_of_edges_share_a_block():
    senders = np.concatenate([np.repeat([7, 3], 40), np.repeat([1, 5], 20), np.arange(10, 100)])
    receivers = np.sort(np.arange(len(senders)) % 50)
    ones = np.ones(len(senders))
    table = build_edge_table(senders, receivers, ones[:, None], ones, sizes=(100, 50))
    assert [block.shape for block in table.outgoing.blocks] == [(2, 40), (2, 20), (96, 1)]


@CASES
def test_the_sum_over_outgoing_edges_is_that_of_a_plain_scatter(edges):
    table = table_of(edges)
    random, blocks = np.random.default_rng(1), in_numpy(table).senders.blocks
    values = [random.normal(size=(*block.shape, 3, 2)).astype(np.float32) for block in blocks]
    expected = np.zeros((edges.sizes[0] + 1, 3, 2))
    for block, some in zip(blocks, values, strict=True):
        np.add.at(expected, block, some)
    made = np.asarray(table.sum_outgoing([jnp.asarray(some) for some in values]))
    np.testing.assert_allclose(made, expected[:-1], rtol=1e-6, atol=1e-6)
    assert np.all(made[[0, -1]] == 0.0)


@pytest.mark.parametrize("width", [1, 16, 17, 40])
def test_a_sum_over_the_width_takes_each_place_once(width):
    values = jnp.asarray(np.random.default_rng(1).normal(size=(width, 5)), jnp.float32)
    made = sum_over_width(lambda k: values[k], width)
    np.testing.assert_allclose(made, values.sum(0), rtol=1e-5, atol=1e-5)
