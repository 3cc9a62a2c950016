"""A small real graph, random edges and networks in which no layer is silent."""

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from types import SimpleNamespace

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from graphdown.model import (
    Downscaler,
    GraphArrays,
    ModelSpec,
    NetworkShape,
    Scaling,
    graph_arrays,
    predict,
)
from graphdown.model.edge_tables import EdgeTable, Padding, bucket, build_edge_table
from graphdown.model.padding import pad_nodes
from meshes import DownscalingGraph, GraphSpec, Grid, build_graph

SOURCE = Grid.regular(1.875, 1.25, (-7.5, 36.25, 20.625, 55.0))
TARGET = Grid.rotated(-162.0, 39.25, np.arange(-4.0, 4.1, 0.8), np.arange(-3.1, 3.1, 0.6))
PADDED = bucket(SOURCE.size)
GRAPH_SPEC = GraphSpec(mesh_level=5, coarsest_level=3)
MODEL = ModelSpec(channels=8, rounds=1, target_channels=8)
BOUND = replace(MODEL, rounds=2, target_embedding=2, target_regression=4)  # to the target
STATICS = np.random.default_rng(11).normal(size=(TARGET.size, 3)).astype(np.float32)
# Predictors tas and pr, targets pr, tas and one that is no predictor.
SCALES = Scaling(
    variable=jnp.array([0, 1, 1]),
    log=jnp.array([False, False, True]),
    mean=jnp.array([1.0, 0.7, 0.5]),
    std=jnp.array([2.0, 1.5, 0.3]),
    column=jnp.array([1, 0, 2]),
    base=jnp.array([0.0, 0.0, 5.0]),
    scale=jnp.array([0.5, 1.0, 0.7]),
)


@pytest.fixture(scope="session")
def graph() -> DownscalingGraph:
    return build_graph(SOURCE, TARGET, GRAPH_SPEC)


@pytest.fixture(scope="session")
def arrays(graph: DownscalingGraph) -> GraphArrays:
    return graph_arrays(graph, STATICS)


@pytest.fixture(scope="session")
def listing(graph: DownscalingGraph) -> GraphArrays:
    """The arrays with the mesh nodes around each target node."""
    return graph_arrays(graph, STATICS, BOUND.target_regression)


@pytest.fixture(scope="session")
def network() -> Downscaler:
    return randomised(lambda: new_network(MODEL))


@pytest.fixture(scope="session")
def bound() -> Downscaler:
    return randomised(lambda: new_network(BOUND))


@pytest.fixture(scope="session")
def untrained() -> Downscaler:
    return nnx.jit(lambda: new_network(BOUND))()


def shape(**changes: int) -> NetworkShape:
    sizes = {"encode_features": 5, "process_features": 5, "decode_features": 4}
    sizes |= {"predictors": 3, "targets": 3, "forcings": 2, "target_statics": 3}
    return NetworkShape(**{**sizes, "target_nodes": TARGET.size, **changes})


def new_network(spec: ModelSpec) -> Downscaler:
    return Downscaler(spec, shape(), rngs=nnx.Rngs(0))


def randomised(make: Callable[[], nnx.Module], seed: int = 1) -> nnx.Module:
    """Return what `make` makes with random numbers for all parameters, the zero ones too."""
    rng = np.random.default_rng(seed)
    graphdef, params = nnx.split(nnx.eval_shape(make))
    return nnx.merge(
        graphdef,
        jax.tree.map(lambda p: jnp.asarray(rng.normal(0, 0.4, p.shape), jnp.float32), params),
    )


def weather(size: int, days: int = 3) -> np.ndarray:
    """Return predictors [days, size, 2], the second not negative."""
    rng = np.random.default_rng(7)
    tas, pr = rng.normal(1.0, 2.0, (days, size)), rng.gamma(0.5, 1.5, (days, size))
    return np.stack([tas, pr], axis=-1).astype(np.float32)


def season(days: int = 3) -> np.ndarray:
    return np.random.default_rng(8).normal(size=(days, 2)).astype(np.float32)


@partial(jax.jit, static_argnames="graphdef")
def _predicted(graphdef, params, source, forcings, graph):
    return predict(nnx.merge(graphdef, params), SCALES, source, forcings, graph)


@partial(jax.jit, static_argnames="graphdef")
def _corrected(graphdef, params, x, forcings, graph):
    return nnx.merge(graphdef, params)(x, forcings, graph)


def corrected(network: Downscaler, x: np.ndarray, graph: GraphArrays) -> np.ndarray:
    """Return the normalised correction [Nt, days, 3] from channels [PADDED, days, 3]."""
    return np.asarray(_corrected(*nnx.split(network), x, season(x.shape[1]), graph))


def predicted(network: Downscaler, values: np.ndarray, graph: GraphArrays) -> np.ndarray:
    """Return the physical prediction [days, Nt, 3] from predictors [days, Ns, 2]."""
    made = _predicted(*nnx.split(network), pad_nodes(values), season(len(values)), graph)
    return np.asarray(made)


def random_edges(senders: int, receivers: int, seed: int = 0, hubs: int = 0) -> SimpleNamespace:
    """Return edges with 4 features; some nodes have none, the first `hubs` receivers have many."""
    rng = np.random.default_rng(seed)
    degree = rng.integers(0, 4, receivers)
    degree[:hubs] += 20
    degree[[receivers // 2, receivers - 1]] = 0
    to = np.repeat(np.arange(receivers), degree)
    come = rng.integers(1, senders - 1, len(to))  # the first and the last send nothing
    features, weights = rng.normal(size=(len(to), 4)), rng.uniform(0.1, 1.0, len(to))
    return SimpleNamespace(
        senders=come,
        receivers=to,
        features=features.astype(np.float32),
        weights=weights.astype(np.float32),
        sizes=(senders, receivers),
    )


def table_of(edges: SimpleNamespace, padding: Padding | None = None) -> EdgeTable:
    parts = edges.senders, edges.receivers, edges.features, edges.weights
    return build_edge_table(*parts, sizes=edges.sizes, padding=padding)


EDGES = {
    "one-block": random_edges(30, 40),
    "two-blocks": random_edges(90, 100, hubs=6),
    "no-edges": random_edges(3, 1),
}
SQUARE = random_edges(50, 50, hubs=5)  # from nodes to themselves


def normal(seed, *shape):
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


def assert_same(fast, plain, modules, *inputs):
    """Compare values, and what random gradients of them are for all parameters and inputs."""
    graphdef, params = nnx.split(modules)

    def with_gradients(apply):
        def run(params, *inputs):
            return apply(nnx.merge(graphdef, params), *inputs)

        @jax.jit
        def both(*inputs):
            made, pull = jax.vjp(run, *inputs)
            return made, pull(jax.tree.map(lambda v: jnp.asarray(normal(4, *v.shape)), made))

        return both(params, *inputs)

    for one, expected in zip(
        *map(jax.tree.leaves, map(with_gradients, (fast, plain))), strict=True
    ):
        size = max(1.0, np.abs(expected).max(initial=0.0))
        np.testing.assert_allclose(one, expected, rtol=1e-5, atol=1e-5 * size)
