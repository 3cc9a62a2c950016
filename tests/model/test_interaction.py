"""The interaction network against the plain one: concatenate, perceptron, segment sum."""

from functools import cache

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from graphdown.model import chunks
from graphdown.model.interaction import (
    EdgeStates,
    InteractionMessage,
    InteractionUpdate,
    MlpMessage,
)

from .conftest import EDGES, SQUARE, assert_same, normal, randomised, table_of

DAYS, CHANNELS, OUT, STATE, FEATURES = 3, 6, 5, 4, 4
CHUNKED = 8 * DAYS * CHANNELS  # numbers in a chunk that holds a few edges


def norm(values, scale, shift):
    spread = jnp.sqrt(values.var(-1, keepdims=True) + 1e-5)
    return (values - values.mean(-1, keepdims=True)) / spread * scale[...] + shift[...]


def perceptron(module, values):
    hidden = jax.nn.silu(values @ module.first.kernel[...] + module.first.bias[...])
    out = hidden @ module.second.kernel[...] + module.second.bias[...]
    return norm(out, module.norm.scale, module.norm.bias)


def on_edges(message, states, x, s, edges):
    """What the perceptron makes of each edge [E, DAYS, out]."""
    parts, kernels = [states, x[edges.senders]], [message.mlp.edge, message.mlp.sender]
    if s is not None:
        parts.append(jnp.broadcast_to(s, (len(s), DAYS, s.shape[2]))[edges.receivers])
        kernels.append(message.receiver)
    first = jnp.concatenate([linear.kernel[...] for linear in kernels])
    hidden = jax.nn.silu(jnp.concatenate(parts, -1) @ first + message.mlp.edge.bias[...])
    out = hidden @ message.mlp.out.kernel[...] + message.mlp.out.bias[...]
    return norm(out, message.mlp.scale, message.mlp.shift)


def reaching(sent, edges):
    weighted = sent * edges.weights[:, None, None]
    return jax.ops.segment_sum(weighted, edges.receivers, edges.sizes[1])


def embedded(module, edges):
    states = perceptron(module, edges.features)[:, None]
    return jnp.broadcast_to(states, (len(states), DAYS, states.shape[-1]))


@pytest.mark.parametrize(
    ("name", "receivers", "days", "numbers"),
    [
        ("one-block", 0, DAYS, 10**6),
        ("two-blocks", 3, DAYS, CHUNKED),
        ("one-block", 3, 1, CHUNKED),
        ("no-edges", 3, DAYS, CHUNKED),
    ],
)
def test_messages_and_all_gradients_are_those_of_the_plain_reference(
    monkeypatch, name, receivers, days, numbers
):
    monkeypatch.setattr(chunks, "CHUNK", {jax.default_backend(): numbers})
    edges = EDGES[name]
    sizes = STATE, receivers, FEATURES, CHANNELS, OUT
    message = randomised(lambda: MlpMessage(*sizes, rngs=nnx.Rngs(0)))
    x = normal(1, edges.sizes[0], DAYS, STATE)
    s = normal(2, edges.sizes[1], days, receivers) if receivers else None

    def fast(message, x, s):
        return message(x, s, table_of(edges))

    def plain(message, x, s):
        return reaching(on_edges(message, embedded(message.embed, edges), x, s, edges), edges)

    assert_same(fast, plain, message, x, s)


class Rounds(nnx.Module):
    """Two rounds of messages on edges with states."""

    def __init__(self, rngs):
        self.states = EdgeStates(FEATURES, CHANNELS, rngs=rngs)
        self.messages = nnx.List(InteractionMessage(CHANNELS, rngs=rngs) for _ in range(2))


@cache
def rounds():
    return randomised(lambda: Rounds(nnx.Rngs(0)))


def test_rounds_that_carry_edge_states_are_those_of_the_plain_reference(monkeypatch):
    monkeypatch.setattr(chunks, "CHUNK", {jax.default_backend(): CHUNKED})

    def fast(rounds, x):
        table, received = table_of(SQUARE), []
        states = rounds.states(table, DAYS)
        for message in rounds.messages:
            made, states = message.between(x, states, table)
            x = x + made
            received.append(made)
        return received

    def plain(rounds, x):
        states, received = embedded(rounds.states.embed, SQUARE), []
        for message in rounds.messages:
            sent = on_edges(message, states, x, x, SQUARE)
            made, states = reaching(sent, SQUARE), states + sent
            x = x + made
            received.append(made)
        return received

    assert_same(fast, plain, rounds(), normal(1, 50, DAYS, CHANNELS))


def test_the_messages_of_a_round_depend_on_those_before_through_the_edges():
    table, x = table_of(SQUARE), normal(1, 50, DAYS, CHANNELS)
    first, second = rounds().messages
    start = rounds().states(table, DAYS)
    _, carried = first.between(x, start, table)
    anew, after = (second.between(x, states, table)[0] for states in (start, carried))
    assert np.abs(anew - after).max() > 0.1


def test_a_node_update_adds_a_normalised_perceptron():
    update = randomised(lambda: InteractionUpdate(STATE, 3, CHANNELS, rngs=nnx.Rngs(0)))

    def plain(update, h, extra):
        extra = jnp.broadcast_to(extra, (7, DAYS, 3))
        return h + perceptron(update.perceptron, jnp.concatenate([h, extra], -1))

    inputs = normal(6, 7, DAYS, STATE), normal(7, 7, 1, 3)
    assert_same(lambda update, *given: update(*given), plain, update, *inputs)
