"""The network in 16 bits against itself in 32."""

from dataclasses import replace
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from graphdown.model import predict
from graphdown.model.edge_tables import wide
from graphdown.model.parameters import path_name

from .conftest import BOUND, PADDED, SCALES, SOURCE, new_network, season, table_of, weather
from .conftest import EDGES as EDGE_LISTS

EIGHT_BITS = 2.0**-8  # what rounding to bfloat16 changes at most, relative


@partial(jax.jit, static_argnames="graphdef")
def loss_and_gradient(graphdef, params, source, graph):
    def loss(params):
        made = predict(nnx.merge(graphdef, params), SCALES, source, season(), graph)
        return (made**2).mean(), made

    (_, made), gradient = jax.value_and_grad(loss, has_aux=True)(params)
    return made, gradient


SLOW = [pytest.param(kind, marks=pytest.mark.slow) for kind in ("mlp", "attention")]


@pytest.fixture(scope="module", params=["linear", *SLOW])
def both(request, listing):
    """Predictions and gradients in 32 and in 16 bits, of the same parameters."""
    source = np.pad(weather(SOURCE.size), ((0, 0), (0, PADDED - SOURCE.size), (0, 0)))
    made, given = {}, np.random.default_rng(1)
    params = None
    for precision in ("float32", "bfloat16"):
        spec = replace(BOUND, messages=request.param, precision=precision)
        graphdef, shapes = nnx.split(nnx.eval_shape(lambda spec=spec: new_network(spec)))
        if params is None:
            params = jax.tree_util.tree_map_with_path(
                lambda path, p: (
                    # They scale what is interpolated, in 32 bits: rounding would seem less.
                    jnp.zeros(p.shape)
                    if path_name(path) == "regression.factors"
                    else jnp.asarray(given.normal(0, 0.3, p.shape), jnp.float32)
                ),
                shapes,
            )
        made[precision] = loss_and_gradient(graphdef, params, source, listing)
    return made["float32"], made["bfloat16"]


def test_predictions_differ_by_rounding(both):
    (full, _), (low, _) = both
    assert low.dtype == jnp.float32
    difference = np.linalg.norm(low - full) / np.linalg.norm(full)
    assert 0.0 < difference < 4 * EIGHT_BITS


def test_gradients_differ_by_rounding_and_stay_in_32_bits(both):
    (_, full), (_, low) = both
    for one, other in zip(jax.tree.leaves(full), jax.tree.leaves(low), strict=True):
        assert other.dtype == jnp.float32
        assert np.linalg.norm(other - one) <= 16 * EIGHT_BITS * np.linalg.norm(one) + 1e-6


def test_sums_over_edges_are_taken_in_32_bits():
    table = table_of(EDGE_LISTS["two-blocks"])
    ones = [jnp.ones((*block.shape, 1), jnp.bfloat16) for block in table.weights]
    small = [(one + jnp.bfloat16(EIGHT_BITS)).astype(jnp.bfloat16) for one in ones]
    expected = table.sum_outgoing([wide(some) for some in small])
    made = table.sum_outgoing(small)
    assert made.dtype == jnp.bfloat16
    np.testing.assert_array_equal(made, expected.astype(jnp.bfloat16))
