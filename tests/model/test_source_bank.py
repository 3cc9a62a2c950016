"""The bank of source grids on the device: means, selection, and one shape for all grids."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from graphdown.model import graph_arrays, source_arrays
from graphdown.model.arrays import with_source
from graphdown.model.source_bank import source_bank
from meshes import RandomGrids, build_graph, conservative, random_grids

from .conftest import GRAPH_SPEC, STATICS, TARGET, predicted, weather

FIELDS = TARGET
GRIDS = random_grids(FIELDS, RandomGrids(count=4, spacing=(1.2, 2.5), seed=2))
VALUES = weather(FIELDS.size)


@pytest.fixture(scope="module")
def weights():
    return [conservative(FIELDS, grid, 1e-6) for grid in GRIDS]


@pytest.fixture(scope="module")
def graphs():
    return [build_graph(grid, TARGET, GRAPH_SPEC) for grid in GRIDS]


@pytest.fixture(scope="module")
def bank(weights, graphs):
    return source_bank(weights, source_arrays(graphs, [STATICS] * 4, [None] * 4, [None] * 4))


def test_means_on_the_device_are_the_conservative_ones(bank, weights):
    for k, means in enumerate(weights):
        fields = jnp.swapaxes(jnp.asarray(VALUES), 0, 1)
        made = np.asarray(bank.select(jnp.asarray(k)).upscaling(fields, bank.nodes))
        expected = means.matrix() @ VALUES[..., 0].T
        np.testing.assert_allclose(made[: means.shape[0], :, 0], expected, atol=1e-6)
        assert np.all(made[means.shape[0] :] == 0.0)


@pytest.mark.parametrize("k", range(4))
def test_a_grid_of_the_bank_predicts_what_it_would_by_itself(bank, weights, graphs, network, k):
    own = bank.select(jnp.asarray(k))
    shared = with_source(graph_arrays(graphs[0], STATICS), own.arrays)
    fields = jnp.swapaxes(jnp.asarray(VALUES), 0, 1)
    source = np.asarray(jnp.swapaxes(own.upscaling(fields, bank.nodes), 0, 1))
    made = predicted(network, source, shared)
    coarse = np.stack([(weights[k].matrix() @ v.T).T for v in np.moveaxis(VALUES, -1, 0)], axis=-1)
    alone = predicted(network, np.nan_to_num(coarse), graph_arrays(graphs[k], STATICS))
    np.testing.assert_allclose(made, alone, rtol=2e-5, atol=2e-5)


def test_one_compilation_serves_all_grids(bank):
    traced = []

    @jax.jit
    def total(bank, k):
        traced.append(k)
        own = bank.select(k)
        return sum(jnp.sum(leaf) for leaf in jax.tree.leaves(own.arrays))

    totals = [float(total(bank, jnp.asarray(k))) for k in range(4)]
    assert len(traced) == 1
    assert len(set(totals)) == 4
