"""Innovations: what a source shows over its cells beyond the means of the fields."""

from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from graphdown.model import chunks, graph_arrays
from graphdown.model.innovation import KERNELS, InnovationRound
from meshes.graphs.direct_edges import direct_edges
from meshes.graphs.source_comparison import LEAST_COVERED, Comparison
from meshes.remapping.remap import cell_means

from .conftest import MODEL, SCALES, SOURCE, STATICS, TARGET, new_network, predicted, randomised
from .conftest import weather as make_weather

ROUNDS = replace(MODEL, innovation_rounds=2)
VALUES = make_weather(SOURCE.size)


@pytest.fixture(scope="module")
def arrays(graph):
    return graph_arrays(graph, STATICS, comparison=Comparison.between(SOURCE, TARGET))


@pytest.fixture(scope="module")
def innovating():
    return randomised(lambda: new_network(ROUNDS))


def silent(network):
    """The network whose correction is zero before the innovations."""
    changed = nnx.clone(network)
    changed.head.kernel[...] = jnp.zeros_like(changed.head.kernel[...])
    changed.head.bias[...] = jnp.zeros_like(changed.head.bias[...])
    return changed


def test_an_innovation_is_what_the_source_has_beyond_the_means_over_its_cells(arrays):
    rng = np.random.default_rng(0)
    source, fields = (rng.normal(size=(n, 2, 3)) for n in (SOURCE.size, TARGET.size))
    weights, share = cell_means(TARGET, SOURCE, LEAST_COVERED)
    means = np.nan_to_num(np.moveaxis(weights.apply(np.moveaxis(fields, 0, -1)), -1, 0))
    expected = (source - means) * np.minimum(2.0 * share, 1.0)[:, None, None]
    padded = np.pad(source, ((0, len(arrays.source_axes) - SOURCE.size), (0, 0), (0, 0)))
    made = np.asarray(arrays.feedback.innovation(padded, fields))
    np.testing.assert_allclose(made[: SOURCE.size], expected, atol=1e-5)
    assert 0 < np.count_nonzero(share) < SOURCE.size
    assert np.any((share > 0.5) & (share < 1.0)) and np.all(made[SOURCE.size :] == 0.0)


def test_fields_whose_means_the_source_shows_are_left_as_they_are(arrays, innovating):
    rng = np.random.default_rng(1)
    fields = rng.normal(size=(TARGET.size, 2, 3)).astype(np.float32)
    states = rng.normal(size=(TARGET.size, 2, MODEL.target_channels)).astype(np.float32)
    shown = np.array(arrays.feedback.means(fields, len(arrays.source_axes)))
    made = innovating.innovated(fields, shown, SCALES.scale, states, arrays)
    np.testing.assert_allclose(made, fields, atol=1e-5)
    shown[:, :, 1] += 0.1
    assert (
        np.abs(innovating.innovated(fields, shown, SCALES.scale, states, arrays) - made).max() > 0.1
    )


def test_targets_that_are_no_predictors_are_not_corrected(arrays, innovating):
    made = predicted(silent(innovating), VALUES, arrays)
    assert np.all(made[..., 2] == 5.0)


def test_rounds_of_an_untrained_network_change_nothing(arrays):
    untrained = nnx.jit(lambda: new_network(ROUNDS))()
    plain = nnx.jit(lambda: new_network(MODEL))()
    np.testing.assert_array_equal(
        predicted(untrained, VALUES, arrays), predicted(plain, VALUES, arrays)
    )


def by_hand(layer, innovation, statics, states):
    """The correction of one day by loops over target nodes, in double precision."""
    edges = direct_edges(SOURCE, TARGET)
    number = {k: np.asarray(v, float) for k, v in named(layer).items()}

    def silu(x):
        return x / (1.0 + np.exp(-x))

    out = []
    for t in range(TARGET.size):
        of_t = edges.receivers == t
        hidden = edges.features[of_t] @ number["edge.kernel"] + number["edge.bias"]
        hidden = silu(hidden + statics[t] @ number["receiver.kernel"])
        hidden = silu(hidden @ number["hidden.kernel"] + number["hidden.bias"])
        kernel = 1.0 + hidden @ number["kernel.kernel"] + number["kernel.bias"]
        kernel = kernel.reshape(len(kernel), -1, KERNELS) * edges.weights[of_t][:, None, None]
        means = np.einsum("kv,kvh->vh", innovation[edges.senders[of_t]], kernel).ravel()
        h = (states[t] - states[t].mean()) / np.sqrt(states[t].var() + 1e-6)
        h = h * number["norm.scale"] + number["norm.bias"]
        gate = 1.0 + h @ number["gate.kernel"] + number["gate.bias"]
        out.append((means * gate) @ number["out.kernel"])
    return np.array(out)


def named(layer):
    return {".".join(map(str, k)): v for k, v in nnx.to_flat_state(nnx.state(layer))}


@pytest.mark.parametrize("chunk", [2**18, 2**12])
def test_a_round_is_the_plain_sum_however_it_is_cut(chunk, arrays, monkeypatch):
    monkeypatch.setitem(chunks.CHUNK, "cpu", chunk)
    layer = randomised(lambda: InnovationRound(3, 5, 3, 8, rngs=nnx.Rngs(0)))
    rng = np.random.default_rng(3)
    innovation = rng.normal(size=(len(arrays.source_axes), 2, 3)).astype(np.float32)
    states = rng.normal(size=(TARGET.size, 2, 8)).astype(np.float32)
    made = layer(innovation, STATICS, states, arrays.feedback.edges)
    for day in range(2):
        expected = by_hand(layer, innovation[:, day], STATICS, states[:, day])
        np.testing.assert_allclose(made[:, day], expected, atol=2e-4)


def test_gradients_do_not_depend_on_the_chunks(arrays, monkeypatch):
    graphdef, params = nnx.split(randomised(lambda: InnovationRound(3, 5, 3, 8, rngs=nnx.Rngs(0))))
    rng = np.random.default_rng(4)
    innovation = rng.normal(size=(len(arrays.source_axes), 2, 3)).astype(np.float32)
    states = rng.normal(size=(TARGET.size, 2, 8)).astype(np.float32)

    def loss(params, innovation, states):
        made = nnx.merge(graphdef, params)(innovation, STATICS, states, arrays.feedback.edges)
        return jnp.sum(jnp.sin(made))

    found = []
    for chunk in (2**22, 2**12):
        monkeypatch.setitem(chunks.CHUNK, "cpu", chunk)
        found.append(jax.grad(loss, (0, 1, 2))(params, innovation, states))
    for whole, cut in zip(*map(jax.tree.leaves, found), strict=True):
        np.testing.assert_allclose(cut, whole, atol=1e-4 * max(1.0, np.abs(whole).max()))
