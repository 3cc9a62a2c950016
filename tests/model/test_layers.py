"""The linear layer on several inputs."""

import jax.numpy as jnp
import numpy as np
from flax import nnx

from graphdown.model.layers import Linear

RNG = np.random.default_rng(0)


def test_several_inputs_are_as_if_concatenated():
    layer = Linear(5, 4, rngs=nnx.Rngs(0))
    layer.bias[...] = jnp.arange(4.0)
    whole = RNG.normal(size=(6, 3, 5)).astype(np.float32)
    expected = whole @ np.asarray(layer.kernel[...]) + np.arange(4.0)
    np.testing.assert_allclose(layer(whole), expected, atol=1e-5)
    np.testing.assert_allclose(layer(whole[..., :2], whole[..., 2:]), expected, atol=1e-5)


def test_an_input_that_is_the_same_for_all_nodes_or_samples_spreads():
    layer = Linear(5, 4, use_bias=False, rngs=nnx.Rngs(0))
    node, day = RNG.normal(size=(6, 1, 2)), RNG.normal(size=(1, 3, 3))
    spread = [np.broadcast_to(part, (6, 3, part.shape[-1])) for part in (node, day)]
    expected = np.concatenate(spread, axis=-1) @ np.asarray(layer.kernel[...])
    np.testing.assert_allclose(layer(jnp.asarray(node), jnp.asarray(day)), expected, atol=1e-5)


def test_an_input_without_channels_adds_nothing():
    layer = Linear(2, 4, rngs=nnx.Rngs(0))
    values = RNG.normal(size=(6, 3, 2)).astype(np.float32)
    made = layer(values, np.zeros((6, 1, 0), np.float32))
    np.testing.assert_array_equal(made, layer(values))
