"""The training step: loss, augmentation, decay, averages."""

from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from graphdown.config.training import TrainingSpec
from graphdown.model.parameters import named_values
from graphdown.training.parallel import DataParallel
from graphdown.training.step import initial_state, make_optimiser, make_step
from meshes import bilinear
from meshes.graphs.features import LOG_SPACING

from .conftest import COARSE, FINE, make_trainer, perturbed

MODEL = {"target_embedding": 3, "target_regression": 3}
EMA_DECAY = 0.22


@pytest.fixture(scope="module")
def trainer(data):
    return make_trainer(data, MODEL, steps=100, batch_size=3, warmup_steps=0, clip_norm=1.0)


@pytest.fixture(scope="module")
def stepper(trainer):
    """The step of the trainer on one device; it leaves the state that it is given intact."""
    step = make_step(trainer.graphdef, trainer.optimiser, EMA_DECAY)
    mapped, own = DataParallel(step, "shard_map", 1), trainer.constants_of(trainer.samples[0])

    def call(state, batch, constants=own):
        return mapped(jax.tree.map(jnp.copy, mapped.replicate(state)), batch, constants)

    return call


def start(trainer, params=None):
    return initial_state(perturbed(trainer.params) if params is None else params, trainer.optimiser)


@pytest.fixture(scope="module")
def batch(trainer):
    samples = trainer.samples[0]
    made = samples.batch(np.asarray([3, 20, 41]), np.zeros(3, np.float32), 0.0, 0)
    fine = made.fine.copy()
    fine[0, 10:60, 0] = fine[2, 7, 1] = np.nan
    return made._replace(fine=fine)


def loss(trainer, stepper, batch, params=None, **changed):
    constants = trainer.constants_of(trainer.samples[0])._replace(**changed)
    return float(stepper(start(trainer, params), batch, constants)[1]["loss"])


def by_hand(trainer, batch, correction):
    """Loss where the network adds a correction [T] in units of its scale to interpolation."""
    weights, source = bilinear(COARSE, FINE), batch.source.astype(np.float64)
    made = np.stack([weights.apply(source[..., i]) for i in (0, 1)], axis=-1)
    error = (made - batch.fine) / np.asarray(trainer.normaliser.scale) + correction
    weight = np.isfinite(error) * FINE.area[:, None]
    return np.sum(np.nan_to_num(error) ** 2 * weight) / weight.sum()


def test_loss_is_the_area_weighted_mean_squared_normalised_error(trainer, stepper, batch):
    params, kept = (jax.tree.map(jnp.copy, tree) for tree in (trainer.params, trainer.kept))
    kept = jax.tree.map(jnp.zeros_like, kept)
    result = loss(trainer, stepper, batch, params, kept=kept)
    np.testing.assert_allclose(result, by_hand(trainer, batch, [0.0, 0.0]), rtol=1e-5)
    params["head"]["bias"][...] = jnp.asarray([3.0, -1.0])
    result = loss(trainer, stepper, batch, params, kept=kept)
    np.testing.assert_allclose(result, by_hand(trainer, batch, [3.0, -1.0]), rtol=1e-5)


def test_missing_targets_teach_nothing(trainer, stepper, batch):
    before = start(trainer)
    fine = batch.fine.copy()
    fine[:, 11, 1] = np.nan
    after, _ = stepper(before, batch._replace(fine=fine))
    moved = np.asarray(
        after.params["node_embedding"]["bias"][...] - before.params["node_embedding"]["bias"][...]
    )
    assert moved[11, 1] == 0.0
    assert np.count_nonzero(moved) == moved.size - 1
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(after.params))


def test_warming_is_added_to_air_temperatures_of_source_and_target_alone(trainer, stepper, batch):
    offset = np.asarray([-1.5, 0.0, 4.0], np.float32)
    source, fine = batch.source.copy(), batch.fine.copy()
    source[..., 0] += offset[:, None]
    fine[..., 0] += offset[:, None]
    expected = loss(trainer, stepper, batch._replace(source=source, fine=fine))
    warmed = loss(trainer, stepper, batch._replace(warming=offset))
    np.testing.assert_allclose(warmed, expected, rtol=1e-5)
    assert abs(warmed / loss(trainer, stepper, batch) - 1) > 1e-3


def test_spacing_offset_is_added_to_the_spacing_that_encode_edges_show(trainer, stepper, batch):
    graph = trainer.samples[0].graph
    column = graph.encode.names.column(LOG_SPACING)
    features = tuple(f.at[..., column].add(0.4) for f in graph.encode.features)
    graph = graph._replace(encode=graph.encode._replace(features=features))
    expected = loss(trainer, stepper, batch, graph=graph)
    result = loss(trainer, stepper, batch._replace(spacing=np.full(3, 0.4, np.float32)))
    np.testing.assert_allclose(result, expected, rtol=1e-5)
    assert abs(result / loss(trainer, stepper, batch) - 1) > 1e-4


def test_weight_decay_shrinks_kernels_and_nothing_else(trainer):
    spec = TrainingSpec(warmup_steps=0, learning_rate=0.1, weight_decay=0.5)
    params, optimiser = perturbed(trainer.params), make_optimiser(spec)
    still = jax.tree.map(jnp.zeros_like, params)
    update, _ = jax.jit(optimiser.update)(still, optimiser.init(params), params)
    update = named_values(update)
    assert any("kernel" in name for name in update)
    for name, value in named_values(params).items():
        expected = -0.1 * 0.5 * value if "kernel" in name else np.zeros_like(value)
        np.testing.assert_allclose(update[name], expected, rtol=1e-5, err_msg=name)


def test_the_average_of_the_weights_has_a_short_memory_at_first(trainer, stepper, batch):
    state = start(trainer)
    expected = named_values(state.ema)
    for step in range(4):
        state, _ = stepper(state, batch)
        decay = [1 / 10, 2 / 11, EMA_DECAY, EMA_DECAY][step]
        params = named_values(state.params)
        expected = {k: decay * v + (1 - decay) * params[k] for k, v in expected.items()}
    assert int(state.step) == 4
    for name, value in named_values(state.ema).items():
        np.testing.assert_allclose(value, expected[name], rtol=1e-6, atol=1e-6, err_msg=name)


def trained(trainer, stepper):
    state = start(trainer, trainer.params)
    for step in range(12):
        state, _ = stepper(state, trainer.batch(step)[0])
    return state


def test_training_moves_the_rest_and_holds_no_copy_of_the_target_regression(trainer, stepper):
    state = trained(trainer, stepper)
    assert not any("regression" in name for name in named_values(state))
    assert named_values(trainer.kept)["regression.coefficients"].any()
    moved = np.asarray(state.params["node_embedding"]["readout"][...])
    assert np.abs(moved).max() > 1e-3


def updates(optimiser, gradients):
    params = {"a": {"kernel": jnp.ones(3)}, "b": jnp.ones(2)}
    state, made = optimiser.init(params), []
    for gradient in gradients:
        update, state = optimiser.update(gradient, state, params)
        made.append(update)
    return made


def gradient(factor):
    return {"a": {"kernel": factor * jnp.asarray([1.0, -2.0, 2.0])}, "b": factor * jnp.zeros(2)}


def test_gradients_are_clipped_by_their_global_norm():
    spec = TrainingSpec(steps=100, warmup_steps=0, weight_decay=0.0, clip_norm=0.6)
    plain = make_optimiser(replace(spec, clip_norm=1e9))
    large, small = gradient(30.0), gradient(0.1)  # norms 90 and 0.3
    given = updates(make_optimiser(spec), [large, small])
    expected = updates(plain, [gradient(0.2), small])
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-5), given, expected)
    unclipped = updates(plain, [large, small])[1]["a"]["kernel"]
    assert np.abs(unclipped / given[1]["a"]["kernel"] - 1).max() > 0.05


def test_gradient_norm_is_reported_before_clipping(trainer, stepper, batch):
    _, metrics = stepper(start(trainer), batch)
    assert metrics["gradient_norm"] > 1.5 * trainer.experiment.training.clip_norm


def test_the_learning_rate_warms_up_and_decays_to_zero_as_a_cosine():
    spec = TrainingSpec(steps=20, warmup_steps=5, learning_rate=0.3, weight_decay=0.0)
    made = updates(make_optimiser(spec), [gradient(0.1)] * 21)
    rate = [-float(u["a"]["kernel"][0]) for u in made]
    step = np.arange(21)
    cosine = 0.15 * (1 + np.cos(np.pi * (step - 5) / 15))
    np.testing.assert_allclose(rate, np.where(step < 5, 0.3 * step / 5, cosine), rtol=2e-5)


def test_a_run_of_one_step_and_a_warm_up_longer_than_the_run_are_possible():
    for steps in (1, 3):
        made = updates(make_optimiser(TrainingSpec(steps=steps)), [gradient(0.1)] * steps)
        assert np.isfinite(optax.tree.norm(made))
