"""Target nodes that several devices share: each part on its own, put together."""

import jax
import numpy as np

from graphdown.model import SourceArrays
from graphdown.model.edge_tables import stack
from graphdown.model.shards import GRAPH, graph_specs, shard_graph, shard_sources, source_specs

from ..invariants import case, laid_out
from ..invariants import predicted as eof_arrays
from .conftest import SOURCE, TARGET, predicted, weather

SHARDS = 3  # which does not divide the number of target nodes


def part(sharded, k):
    """What device k of SHARDS gets."""

    def own(values, spec):
        if GRAPH not in spec:
            return values
        return np.split(np.asarray(values), SHARDS, axis=spec.index(GRAPH))[k]

    return jax.tree.map(own, sharded, graph_specs(sharded))


def whole(parts):
    return np.concatenate(parts, axis=1)[:, : TARGET.size]


def test_the_parts_of_the_target_make_the_whole(bound, listing):
    source, sharded = weather(SOURCE.size), shard_graph(listing, SHARDS)
    made = whole([predicted(bound, source, part(sharded, k)) for k in range(SHARDS)])
    np.testing.assert_allclose(made, predicted(bound, source, listing), atol=1e-5)
    sizes = {len(part(sharded, k).decode.weights[0]) for k in range(SHARDS)}
    assert sizes == {-(-TARGET.size // SHARDS)}


def test_modes_are_shared_too():
    network, source = case(6).network, weather(SOURCE.size)
    graph = laid_out(case(6).domain, SOURCE)
    sharded = shard_graph(graph, SHARDS)
    made = whole([eof_arrays(network, source, part(sharded, k)) for k in range(SHARDS)])
    np.testing.assert_allclose(made, eof_arrays(network, source, graph), atol=1e-4)


def test_the_parts_of_a_banks_sources_make_the_whole(listing):
    names = SourceArrays._fields
    stacked = stack([SourceArrays(*(getattr(listing, name) for name in names))] * 2)
    sharded = shard_sources(stacked, SHARDS)
    specs = source_specs(sharded)
    for values, spec, whole in zip(*map(jax.tree.leaves, (sharded, specs, stacked)), strict=True):
        if GRAPH not in spec:
            np.testing.assert_array_equal(values, whole)
            continue
        assert spec.index(GRAPH) == 1 and values.shape[1] % SHARDS == 0
        np.testing.assert_array_equal(values[:, : TARGET.size], whole)
        assert not np.any(values[:, TARGET.size :])
