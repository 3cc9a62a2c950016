"""The networks' layers, written once more in numpy, give the same outputs with the same weights."""

from functools import partial

import jax
import numpy as np
import pytest
from flax import nnx
from scipy.signal import correlate

from graphdown.baselines.networks.deepesd import FILTERS, DeepESDNetwork
from graphdown.baselines.networks.error_predicting import ErrorPredictingNetwork
from graphdown.baselines.networks.unet import UNetNetwork

pytestmark = pytest.mark.usefixtures("compiled_in_haste")


def drawn(network):
    """A network with every number of its own drawn at random, spreads positive."""
    network = nnx.jit(network)()
    rng = np.random.default_rng(3)
    graphdef, own, rest = nnx.split(network, (nnx.Param, nnx.BatchStat), ...)

    def draw(path, old):
        values = 0.3 * rng.normal(size=old.shape).astype(np.float32)
        name = jax.tree_util.keystr(path)
        return 1.0 + np.abs(values) if "var" in name or "scale" in name else values

    made = nnx.merge(graphdef, jax.tree.map_with_path(draw, own), rest)
    made.eval()
    return made


def outputs(network, maps, vector):
    run = nnx.jit(lambda made, m, v: made(m, v))
    return run(network, np.float32(maps)[None], np.float32(vector)[None])[0]


def array(variable):
    return np.asarray(variable[...], np.float64)


def conv(layer, maps):
    """Correlation with zeros around, [H, W, in] to [H, W, out]."""
    kernel, bias = array(layer.kernel), array(layer.bias)
    made = []
    for o in range(kernel.shape[-1]):
        parts = [correlate(maps[..., i], kernel[..., i, o], "same") for i in range(kernel.shape[2])]
        made.append(np.sum(parts, axis=0) + bias[o])
    return np.stack(made, axis=-1)


def relu(maps):
    return np.maximum(maps, 0.0)


def dense(layer, vector):
    return vector @ array(layer.kernel) + array(layer.bias)


def normalised(layer, maps):
    spread = np.sqrt(array(layer.var) + 1e-3)
    return (maps - array(layer.mean)) / spread * array(layer.scale) + array(layer.bias)


def pooled(maps):
    rows, columns = (-(-n // 2) for n in maps.shape[:2])
    return np.array(
        [
            [maps[2 * r : 2 * r + 2, 2 * c : 2 * c + 2].max((0, 1)) for c in range(columns)]
            for r in range(rows)
        ]
    )


def block(layers, maps):
    maps = relu(normalised(layers.first_norm, conv(layers.first, maps)))
    return relu(normalised(layers.second_norm, conv(layers.second, maps)))


def transposed(layer, maps):
    """Twice the size: each cell spreads into its 3 x 3 neighbours of the finer lattice."""
    kernel, bias = array(layer.kernel), array(layer.bias)
    rows, columns, _ = maps.shape
    wide = np.zeros((2 * rows + 2, 2 * columns + 2, kernel.shape[-1]))
    for r in range(rows):
        for c in range(columns):
            # The kernel stands mirrored: an input lies 2 cells behind what its first weight makes.
            spread = np.einsum("i,abio->abo", maps[r, c], kernel[::-1, ::-1])
            wide[2 * r : 2 * r + 3, 2 * c : 2 * c + 3] += spread
    return wide[: 2 * rows, : 2 * columns] + bias


@pytest.mark.parametrize("numbers", [1, 3])
def test_deepesd_equals_three_correlations_and_a_product(numbers):
    network = drawn(lambda: DeepESDNetwork((5, 6), 4, 7, numbers, rngs=nnx.Rngs(0)))
    maps = np.random.default_rng(0).normal(size=(5, 6, 4))
    h = maps
    for layer in network.convolutions:
        h = relu(conv(layer, h))
    expected = dense(network.dense, h.reshape(-1)).reshape(7, numbers)
    found = outputs(network, maps, np.zeros(2))
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-4)
    # 50 and 25 filters of 3 x 3 as published, then 10 (published for temperature; 1 for rain).
    assert FILTERS == (50, 25, 10)
    by_hand = (9 * 4 + 1) * 50 + (9 * 50 + 1) * 25 + (9 * 25 + 1) * 10
    by_hand += (5 * 6 * 10 + 1) * 7 * numbers
    assert sum(leaf.size for leaf in jax.tree.leaves(nnx.state(network, nnx.Param))) == by_hand


def test_the_unet_equals_its_layers_in_numpy():
    ratio = np.array([1.25, 1.0])
    network = drawn(lambda: UNetNetwork(4, (7, 8), 3, 5, 4, ratio, rngs=nnx.Rngs(0)))
    rng = np.random.default_rng(1)
    maps, vector = rng.normal(size=(4, 4, 3)), rng.normal(size=5)
    h = relu(normalised(network.first_norm, conv(network.first, maps)))
    skips = []
    for layers in network.contracting:
        h = block(layers, h)
        skips.append(h)
        h = pooled(h)
    v = vector
    for layer in network.dense:
        v = dense(layer, v)
    assert h.shape[:2] == (1, 1)
    h = np.concatenate([block(network.last, h), v[None, None]], axis=-1)
    for i, expansion in enumerate(network.expanding):
        h = relu(transposed(expansion.expand, h))
        if i < len(skips):
            skip = skips[-1 - i]
            size = len(skip)
            for axis, r in ((1, ratio[0]), (0, ratio[1])):
                place = (np.arange(size) - (size - 1) / 2) / r + (size - 1) / 2
                read = partial(np.interp, place, np.arange(size))
                skip = np.apply_along_axis(read, axis, skip)
            h = np.concatenate([h, skip], axis=-1)
        h = block(expansion.block, h)
    expected = conv(network.output, h[0:7, 0:8]).reshape(-1, 1)
    found = outputs(network, maps, vector)
    np.testing.assert_allclose(found, expected, rtol=2e-3, atol=2e-3 * np.abs(expected).max())


def test_the_error_predicting_network_equals_its_layers_in_numpy():
    rng = np.random.default_rng(2)
    statics = rng.normal(size=(9, 11, 2)).astype(np.float32)
    network = drawn(lambda: ErrorPredictingNetwork(3, 1, statics, 4, 2, rngs=nnx.Rngs(0)))
    maps, vector = rng.normal(size=(9, 11, 3)), rng.normal(size=4)
    h = np.concatenate([relu(conv(network.first, maps)), statics], axis=-1)
    skips = []
    for level, layers in enumerate(network.contracting):
        h = pooled(h) if level else h
        for layer in layers:
            h = relu(conv(layer, h))
        skips.append(h)
    h = np.concatenate([h, np.broadcast_to(vector, (*h.shape[:2], 4))], axis=-1)
    for layers, skip in zip(list(network.expanding)[::-1], skips[-2::-1], strict=True):
        first, *rest = layers
        wide = np.kron(h, np.ones((2, 2, 1)))[: skip.shape[0], : skip.shape[1]]
        h = np.concatenate([skip, relu(conv(first, wide))], axis=-1)
        for layer in rest:
            h = relu(conv(layer, h))
    expected = (maps[..., 1] + conv(network.output, h)[..., 0]).reshape(-1, 1)
    found = outputs(network, maps, vector)
    np.testing.assert_allclose(found, expected, rtol=1e-3, atol=1e-3 * np.abs(expected).max())
