"""Attention against the plain one: exponents of each edge, softmax by segments, segment sum."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from graphdown.model import ModelSpec, chunks
from graphdown.model.attention import EXPANSION, AttentionMessage, AttentionUpdate
from graphdown.model.attention_kernel import attend

from .conftest import EDGES, SQUARE, assert_same, normal, random_edges, randomised, table_of

pytestmark = pytest.mark.usefixtures("compiled_in_haste")
DAYS, HEADS, WIDTH, FEATURES = 3, 2, 3, 4
CHANNELS = HEADS * WIDTH
CHUNKED = 8 * DAYS * CHANNELS  # numbers in a chunk that holds a few edges
LISTS = {**EDGES, "square": SQUARE, "crowd": random_edges(40, 70, seed=2, hubs=3)}


def softmax(exponents, edges):
    """Return the shares [E, DAYS, H] of exponents, of each receiver's edges together."""
    receivers, nodes = edges.receivers, edges.sizes[1]
    largest = jax.ops.segment_max(exponents, receivers, nodes)[receivers]
    sizes = edges.weights[:, None, None] * jnp.exp(exponents - largest)
    return sizes / jax.ops.segment_sum(sizes, receivers, nodes)[receivers]


def heads_of(values):
    return values.reshape(*values.shape[:-1], HEADS, -1)


def plainly(q, k, v, slopes, edges):
    to, come, e = edges.receivers, edges.senders, jnp.asarray(edges.features)[:, None, None]
    exponents = (heads_of(q)[to] * heads_of(k)[come]).sum(-1) / np.sqrt(WIDTH)
    shares = softmax(exponents + (slopes[to] * e).sum(-1), edges)[..., None]
    means, seen = (
        jax.ops.segment_sum(shares * values, to, edges.sizes[1])
        for values in (heads_of(v)[come], e)
    )
    return means.reshape(len(means), DAYS, CHANNELS), seen


def inputs(edges, size=1.0):
    senders, receivers = edges.sizes
    q, k, v = (
        normal(n, m, DAYS, CHANNELS) for n, m in ((1, receivers), (2, senders), (3, senders))
    )
    return size * q, k, v, normal(5, receivers, DAYS, HEADS, FEATURES)


@pytest.mark.parametrize(
    ("name", "numbers"),
    [("one-block", 10**6), ("two-blocks", CHUNKED), ("no-edges", 10**6), ("crowd", 10**6)],
)
def test_means_and_all_gradients_are_those_of_the_plain_reference(monkeypatch, name, numbers):
    monkeypatch.setattr(chunks, "CHUNK", {jax.default_backend(): numbers})
    edges, none = LISTS[name], nnx.Dict()
    assert_same(
        lambda _, *given: attend(*given, table_of(edges)),
        lambda _, *given: plainly(*given, edges),
        none,
        *inputs(edges),
    )


def test_large_exponents_choose_one_sender_and_overflow_nowhere():
    edges, table = LISTS["crowd"], table_of(LISTS["crowd"])
    q, k, v, slopes = inputs(edges, size=1e4)

    def loss(*given):
        means, seen = attend(*given, table)
        return (means**2).sum() + (seen**2).sum(), means

    (_, means), slopes_of_all = jax.jit(
        jax.value_and_grad(loss, argnums=(0, 1, 2, 3), has_aux=True)
    )(q, k, v, slopes)
    expected, _ = plainly(q, k, v, slopes, edges)
    np.testing.assert_allclose(means, expected, atol=1e-4)
    assert all(np.isfinite(some).all() for some in slopes_of_all)


def test_nodes_without_edges_receive_nothing_and_send_no_gradient():
    edges = LISTS["two-blocks"]

    @jax.jit
    def both(*given):
        made, pull = jax.vjp(lambda *given: attend(*given, table_of(edges)), *given)
        return made, pull(made)

    (means, seen), (to_q, to_k, to_v, to_slopes) = jax.tree.map(np.asarray, both(*inputs(edges)))
    receives = np.isin(np.arange(edges.sizes[1]), edges.receivers)
    sends = np.isin(np.arange(edges.sizes[0]), edges.senders)
    for values, linked in ((means, receives), (seen, receives), (to_v, sends)):
        assert np.all(values[~linked] == 0.0)
        assert np.all(np.abs(values[linked]).sum(axis=(1, 2)) > 0.0)
    for values, linked in ((to_q, receives), (to_slopes, receives), (to_k, sends)):
        assert np.all(values[~linked] == 0.0) and np.any(values[linked] != 0.0)


def new_message():
    return AttentionMessage(CHANNELS, FEATURES, HEADS, rngs=nnx.Rngs(0))


def norm(values, own):
    spread = jnp.sqrt(values.var(-1, keepdims=True) + own.epsilon)
    return (values - values.mean(-1, keepdims=True)) / spread * own.scale[...] + own.bias[...]


def test_the_message_is_that_of_aifs_with_a_bias_of_the_geometry():
    """Edges are added to keys and to values there, by matrices A and D of their features."""
    edges, message = SQUARE, randomised(new_message)
    to_keys, to_values = normal(7, FEATURES, CHANNELS), normal(8, FEATURES, CHANNELS)
    bias = message.slopes.bias[...].reshape(HEADS, FEATURES)
    query, out = (np.asarray(layer.kernel[...]) for layer in (message.query, message.out))
    by_head = (np.split(m, HEADS, axis=1) for m in (query, to_keys, to_values, out[:CHANNELS].T))
    parts = list(zip(*by_head, strict=True))
    tied = [q @ a.T / np.sqrt(WIDTH) for q, a, _, _ in parts]
    message.slopes.kernel[...] = jnp.concatenate(tied, axis=1)
    message.out.kernel[...] = jnp.concatenate(
        [out[:CHANNELS], *(d @ rows.T for _, _, d, rows in parts)]
    )

    def plain(message, x):
        n, features = norm(x, message.norm), edges.features[:, None]
        q, k, v = (n @ layer.kernel[...] for layer in (message.query, message.key, message.value))
        keys, values = (
            heads_of(nodes[edges.senders] + features @ matrix)
            for nodes, matrix in ((k, to_keys), (v, to_values))
        )
        exponents = (heads_of(q)[edges.receivers] * keys).sum(-1) / np.sqrt(WIDTH)
        shares = softmax(exponents + features @ bias.T, edges)[..., None]
        means = jax.ops.segment_sum(shares * values, edges.receivers, 50)
        return means.reshape(x.shape) @ out[:CHANNELS] + message.out.bias[...]

    x = normal(1, 50, DAYS, CHANNELS)
    made, states = nnx.jit(lambda message, x: message.between(x, (), table_of(edges)))(message, x)
    np.testing.assert_allclose(made, nnx.jit(plain)(message, x), rtol=1e-4, atol=2e-5)
    assert states == ()


def test_an_update_adds_what_was_received_and_a_wide_perceptron_of_the_normalised_sum():
    update = randomised(lambda: AttentionUpdate(CHANNELS, rngs=nnx.Rngs(0)))

    def plain(update, h, received):
        own, h = update.perceptron, h + received
        hidden = norm(h, own.norm) @ own.state.kernel[...] + own.state.bias[...]
        assert hidden.shape[-1] == EXPANSION * CHANNELS
        return h + jax.nn.silu(hidden) @ own.out.kernel[...] + own.out.bias[...]

    given = normal(6, 7, DAYS, CHANNELS), normal(7, 7, DAYS, CHANNELS)
    assert_same(lambda update, *given: update(*given), plain, update, *given)


def test_noise_moves_the_update():
    update = randomised(lambda: AttentionUpdate(CHANNELS, 2, rngs=nnx.Rngs(0)))
    h, noise = normal(6, 7, DAYS, CHANNELS), normal(8, DAYS, 2)
    made, still, plain = (update(h, h, noise=some) for some in (noise, 0 * noise, None))
    np.testing.assert_array_equal(still, plain)
    assert np.abs(made - plain).max() > 0.1


def test_heads_share_the_channels_evenly():
    with pytest.raises(ValueError, match="the 4 attention_heads cannot share 10 channels evenly"):
        ModelSpec(channels=10, messages="attention")
    with pytest.raises(ValueError, match="attention_heads is 0, but must lie between 1 and"):
        ModelSpec(messages="attention", attention_heads=0)
