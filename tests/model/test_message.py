"""The fast message against the plain one: concatenate, two layers on each edge, segment sum."""

from functools import cache

import jax
import numpy as np
import pytest
from flax import nnx

from graphdown.model.edge_tables import Padding, build_edge_table
from graphdown.model.message import LinearMessage, NodeUpdate

from . import plain
from .conftest import EDGES, randomised, table_of

DAYS, HIDDEN, OUT, STATE, FEATURES = 3, 6, 5, 4, 4


call = nnx.jit(lambda module, *inputs: module(*inputs))


def message_of(receivers):
    sizes = STATE, receivers, FEATURES, HIDDEN, OUT
    return randomised(lambda: LinearMessage(*sizes, rngs=nnx.Rngs(0)))


def states(edges, receivers, days=DAYS):
    rng = np.random.default_rng(3)
    x = rng.normal(size=(edges.sizes[0], DAYS, STATE)).astype(np.float32)
    if not receivers:
        return x, None
    return x, rng.normal(size=(edges.sizes[1], days, receivers)).astype(np.float32)


def plainly(message, x, s, edges):
    return plain.message(message, x, s, edges, edges.sizes[1])


@cache
def with_gradients(apply, name, receivers, days):
    """Return the messages and what a random gradient of them is for parameters, x and s."""
    edges = EDGES[name]
    graphdef, params = nnx.split(message_of(receivers))
    shape = edges.sizes[1], DAYS, OUT
    probe = np.random.default_rng(4).normal(size=shape).astype(np.float32)

    @jax.jit
    def run(*inputs):
        made, pull = jax.vjp(lambda p, x, s: apply(nnx.merge(graphdef, p), x, s, edges), *inputs)
        return made, pull(probe)

    return jax.tree.map(np.asarray, run(params, *states(edges, receivers, days)))


def fast(message, x, s, edges):
    return message(x, s, table_of(edges))


@pytest.mark.parametrize(
    ("name", "receivers", "days"),
    [("one-block", 0, DAYS), ("two-blocks", 3, DAYS), ("two-blocks", 3, 1), ("no-edges", 3, DAYS)],
)
def test_messages_and_all_gradients_are_those_of_the_plain_reference(name, receivers, days):
    made = with_gradients(fast, name, receivers, days)
    reference = with_gradients(plainly, name, receivers, days)
    for one, expected in zip(*map(jax.tree.leaves, (made, reference)), strict=True):
        size = max(1.0, np.abs(expected).max(initial=0.0))
        np.testing.assert_allclose(one, expected, rtol=1e-5, atol=3e-6 * size)


def test_nodes_without_edges_receive_nothing_and_send_no_gradient():
    edges = EDGES["two-blocks"]
    made, (_, to_x, to_s) = with_gradients(fast, "two-blocks", 3, DAYS)
    receives = np.isin(np.arange(100), edges.receivers)
    sends = np.isin(np.arange(90), edges.senders)
    for values, linked in ((made, receives), (to_x, sends), (to_s, receives)):
        assert not linked.all()
        assert np.all(values[~linked] == 0.0)
        assert np.all(np.abs(values[linked]).max(axis=(1, 2)) > 0.0)


def test_padded_senders_and_edges_have_no_say():
    edges = EDGES["one-block"]
    message, (x, s) = message_of(3), states(edges, 3)
    wild = np.full((10, DAYS, STATE), 1e4, np.float32)
    padding = Padding(40, 64, 80)
    padded = call(message, np.concatenate([x, wild]), s, table_of(edges, padding))
    np.testing.assert_allclose(padded, call(message, x, s, table_of(edges)), atol=1e-6)


def test_the_order_of_a_receivers_edges_does_not_matter():
    edges = EDGES["two-blocks"]
    mixed = np.random.default_rng(5).permutation(len(edges.senders))
    mixed = mixed[np.argsort(edges.receivers[mixed], kind="stable")]
    assert np.any(mixed != np.arange(len(mixed)))
    parts = edges.senders[mixed], edges.receivers, edges.features[mixed], edges.weights[mixed]
    message, (x, s) = message_of(3), states(edges, 3)
    made = call(message, x, s, build_edge_table(*parts, sizes=edges.sizes))
    np.testing.assert_allclose(made, call(message, x, s, table_of(edges)), atol=2e-5)


def layers(update, h, extra):
    """The node update, step by step."""
    mean, variance = h.mean(-1, keepdims=True), h.var(-1, keepdims=True)
    normed = (h - mean) / np.sqrt(variance + 1e-6)
    normed = normed * np.asarray(update.norm.scale) + np.asarray(update.norm.bias)
    first = normed @ np.asarray(update.state.kernel) + np.asarray(update.state.bias)
    if extra is not None:
        first = first + extra @ np.asarray(update.extra.kernel)
    silu = first / (1.0 + np.exp(-first))
    return h + silu @ np.asarray(update.out.kernel) + np.asarray(update.out.bias)


@pytest.mark.parametrize("extra", [0, 3])
def test_a_node_update_adds_a_perceptron_of_the_normalised_state(extra):
    update = randomised(lambda: NodeUpdate(STATE, extra, HIDDEN, rngs=nnx.Rngs(0)))
    rng = np.random.default_rng(6)
    h = rng.normal(2.0, 3.0, size=(7, DAYS, STATE)).astype(np.float32)
    given = rng.normal(size=(7, 1, extra)).astype(np.float32) if extra else None
    expected = layers(update, h, given)
    np.testing.assert_allclose(call(update, h, given), expected, rtol=1e-5, atol=1e-5)
