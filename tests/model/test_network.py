"""The network: how it starts, what the target's own parameters do, and that nothing is idle."""

from dataclasses import replace
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from graphdown.model import Downscaler
from graphdown.model.network import UNROLLED, TargetEmbedding, TargetRegression
from graphdown.model.parameters import path_name

from .conftest import (
    BOUND,
    MODEL,
    PADDED,
    SOURCE,
    TARGET,
    corrected,
    new_network,
    randomised,
    season,
    shape,
)

X = np.random.default_rng(2).normal(size=(PADDED, 3, 3)).astype(np.float32)


def by_name(params):
    leaves = jax.tree_util.tree_flatten_with_path(params)[0]
    return {path_name(path).removesuffix(".value"): leaf for path, leaf in leaves}


def test_an_untrained_network_corrects_nothing(untrained, listing):
    assert np.all(corrected(untrained, X, listing) == 0.0)
    assert np.all(untrained.own.readout[...] == 0.0)
    assert np.all(untrained.own.bias[...] == 0.0)
    assert np.any(untrained.own.numbers[...] != 0.0)
    assert np.all(untrained.regression.coefficients[...] == 0.0)
    assert np.all(untrained.regression.factors[...] == 0.0)
    assert np.all(untrained.regression.constants[...] == 0.0)


def test_all_that_enters_reaches_the_output_and_the_regression_stays_as_it_is(bound, listing):
    probe = np.random.default_rng(3).normal(size=(TARGET.size, 3, 3)).astype(np.float32)
    graphdef, params = nnx.split(bound)

    @jax.jit
    def gradients(params, x, forcings):
        def loss(params, x, forcings):
            return (nnx.merge(graphdef, params)(x, forcings, listing) * probe).sum()

        return jax.grad(loss, argnums=(0, 1, 2))(params, x, forcings)

    to_params, to_x, to_forcings = gradients(params, X, season())
    for name, gradient in by_name(to_params).items():
        reached = np.any(np.asarray(gradient) != 0.0, axis=-1)
        assert np.all(reached != name.startswith("regression.")), name
    assert np.all(to_forcings != 0.0)
    assert np.all(to_x[SOURCE.size :] == 0.0)
    assert np.all(np.any(to_x != 0.0, axis=0))


def in_turn(network, mesh, graph):
    """The rounds, one after the other."""
    graphdef, params = nnx.split((network.messages, network.updates))
    for k in range(len(jax.tree.leaves(params)[0])):
        message, update = nnx.merge(graphdef, jax.tree.map(lambda p, k=k: p[k], params))
        mesh = update(mesh, message(mesh, mesh, graph.process))
    return mesh


@pytest.mark.parametrize("rounds", [UNROLLED, UNROLLED + 2])
def test_rounds_are_passed_in_turn_in_values_and_gradients(rounds, arrays):
    network = randomised(lambda: new_network(replace(MODEL, rounds=rounds)))
    graphdef, params = nnx.split(network)
    nodes = len(arrays.to_mesh.donors)
    mesh = np.random.default_rng(5).normal(size=(nodes, 2, MODEL.channels)).astype(np.float32)

    def of(process):
        def loss(params, mesh):
            made = process(nnx.merge(graphdef, params), mesh, arrays)
            return (made**2).mean(), made

        return jax.jit(jax.value_and_grad(loss, argnums=(0, 1), has_aux=True))(params, mesh)

    (_, made), slopes = of(Downscaler._process)
    (_, expected), expected_slopes = of(in_turn)
    np.testing.assert_allclose(made, expected, rtol=1e-4, atol=1e-5)
    for ours, theirs in zip(jax.tree.leaves(slopes), jax.tree.leaves(expected_slopes), strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-3, atol=1e-5 * np.abs(theirs).max() + 1e-9)


def test_each_round_starts_from_numbers_of_its_own():
    params = by_name(nnx.state(nnx.jit(lambda: new_network(replace(MODEL, rounds=3)))()))
    for name in ("messages.sender.kernel", "messages.out.kernel", "updates.state.kernel"):
        first, second, third = np.asarray(params[name])
        assert np.abs(first - second).min() > 0 and np.abs(second - third).min() > 0


@pytest.mark.parametrize("messages", ["linear", "attention"])
def test_the_program_does_not_grow_with_the_rounds(arrays, messages):
    def program(rounds):
        make = partial(new_network, replace(MODEL, rounds=rounds, messages=messages))
        graphdef, params = nnx.split(nnx.eval_shape(make))

        def loss(params, x):
            return nnx.merge(graphdef, params)(x, season(), arrays).sum()

        return len(jax.jit(jax.grad(loss)).lower(params, X).as_text())

    assert program(16) < 1.05 * program(2)


def test_a_network_needs_a_round():
    with pytest.raises(ValueError, match="rounds is 0, but must lie between 1 and"):
        replace(MODEL, rounds=0)


def test_values_at_padding_nodes_have_no_influence(bound, listing):
    wild = X.copy()
    wild[SOURCE.size :] = np.random.default_rng(4).normal(0.0, 1e6, wild[SOURCE.size :].shape)
    np.testing.assert_array_equal(corrected(bound, wild, listing), corrected(bound, X, listing))


def test_the_days_of_a_batch_do_not_mix(network, arrays):
    other = X.copy()
    other[:, 1] += 1.0
    made, plain = corrected(network, other, arrays), corrected(network, X, arrays)
    np.testing.assert_array_equal(made[:, [0, 2]], plain[:, [0, 2]])
    assert np.all(np.any(made[:, 1] != plain[:, 1], axis=0))


def test_a_regression_by_hand():
    regression = TargetRegression(nodes=2, around=2, predictors=2, targets=1)
    regression.coefficients[...] = jnp.array([[[[1.0], [2.0]], [[3.0], [4.0]]]] * 2)
    regression.constants[...] = jnp.array([[10.0], [20.0]])
    at_mesh = jnp.array([[[1.0, 0.0]], [[0.0, 1.0]], [[2.0, 5.0]]])
    made = regression(at_mesh, jnp.array([[0, 1], [2, 0]]))
    assert made.tolist() == [[[10.0 + 1.0 + 4.0]], [[20.0 + 2.0 + 10.0 + 3.0]]]


def test_the_factor_of_each_node_scales_what_is_corrected():
    regression = TargetRegression(nodes=3, around=1, predictors=1, targets=1)
    regression.factors[...] = jnp.array([[0.0], [-0.25], [1.0]])
    corrected = jnp.array([[[8.0], [4.0]]] * 3)
    assert regression.rescaled(corrected)[..., 0].tolist() == [[8.0, 4.0], [6.0, 3.0], [16.0, 8.0]]
    some = regression.rescaled(corrected[:2], jnp.array([2, 1]))
    assert some[..., 0].tolist() == [[16.0, 8.0], [6.0, 3.0]]


def test_the_regression_of_each_node_is_added_to_the_output(bound, graph, listing):
    silent = nnx.clone(bound)
    silent.regression.coefficients[...] *= 0.0
    silent.regression.constants[...] *= 0.0
    added = corrected(bound, X, listing) - corrected(silent, X, listing)
    assert np.abs(added).mean() > 0.3
    around = np.asarray(listing.around)
    at_mesh = np.einsum("ms,sbc->mbc", graph.to_mesh.matrix().toarray(), X[: SOURCE.size])
    for node in (0, 60, TARGET.size - 1):
        slopes = np.asarray(bound.regression.coefficients[node], np.float64)
        expected = sum(at_mesh[around[node, k]] @ slopes[k] for k in range(4))
        expected = expected + np.asarray(bound.regression.constants[node])
        np.testing.assert_allclose(added[node], expected, atol=2e-5)


def test_an_embedding_by_hand():
    embedding = TargetEmbedding(nodes=2, size=2, channels=2, targets=1, rngs=nnx.Rngs(0))
    embedding.project.kernel[...] = jnp.array([[1.0, 0.0], [1.0, 2.0]])
    embedding.project.bias[...] = jnp.array([0.5, 0.0])
    embedding.readout[...] = jnp.array([[[1.0], [10.0]], [[3.0], [0.0]]])
    embedding.bias[...] = jnp.array([[0.0], [100.0]])
    h = jnp.array([[[1.0, 2.0]], [[4.0, 0.0]]])
    assert embedding(h).tolist() == [[[3.5 + 40.0]], [[13.5 + 100.0]]]


@pytest.mark.parametrize("name", ["own.numbers", "own.readout", "own.bias"])
def test_the_numbers_of_a_target_node_change_that_node_alone(bound, listing, name):
    changed = nnx.clone(bound)
    numbers = getattr(changed.own, name.removeprefix("own."))
    numbers[...] = numbers[...].at[5].add(1.0)
    difference = corrected(changed, X, listing) - corrected(bound, X, listing)
    assert np.all(np.abs(difference[5]).max(axis=-1) > 1e-3)
    assert np.all(np.delete(difference, 5, axis=0) == 0.0)


def test_no_parameter_depends_on_a_grid_unless_it_is_bound_to_the_target():
    def sizes(spec, nodes):
        sketch = nnx.eval_shape(
            lambda: Downscaler(spec, shape(target_nodes=nodes), rngs=nnx.Rngs(0))
        )
        return {name: leaf.shape for name, leaf in by_name(nnx.split(sketch)[1]).items()}

    assert sizes(MODEL, 10) == sizes(MODEL, 1000)
    small, large = sizes(BOUND, 10), sizes(BOUND, 1000)
    differing = {name for name in small if small[name] != large[name]}
    assert differing == {
        *("own.numbers", "own.readout", "own.bias"),
        *("regression.coefficients", "regression.factors", "regression.constants"),
    }
    assert all(large[name][0] == 1000 for name in differing)
