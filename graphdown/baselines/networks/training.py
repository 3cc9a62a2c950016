"""Train a small network on pairs of inputs and truth from several sources."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from flax import nnx
from jax import Array

from graphdown.baselines.networks.inputs import Inputs

AT_ONCE = 64  # days per evaluation of a network
VALIDATION_DAYS = 384


@dataclass(frozen=True)
class NetworkTraining:
    """How a network is trained: Adam, cosine decay to zero, the best validation is kept.

    Attributes:
        steps: optimiser steps.
        batch_size: days per step, all of one source, which is drawn at random.
        learning_rate: first rate.
        validate_every: steps between validations.
        patience: validations without improvement before stopping early.
        seed: of the weights and of the batches.
    """

    steps: int
    batch_size: int
    learning_rate: float
    validate_every: int = 100
    patience: int = 8
    seed: int = 0


class Samples(NamedTuple):
    """The days of one source: inputs, and the truth [T, N], NaN where missing."""

    inputs: Inputs
    truth: np.ndarray


Loss = Callable[[Any, Any], Array]


def train_network(
    network: nnx.Module,
    loss: Loss,
    sources: Sequence[Samples],
    validation: Sequence[Samples],
    training: NetworkTraining,
) -> nnx.Module:
    """Return the network with the weights that did best on the validation days.

    Args:
        network: maps [B, H, W, V] and vector [B, F] to outputs [B, N, K].
        loss: of outputs and truth [B, N] with NaN where missing, a scalar.
        sources: days to train on.
        validation: days to stop on; at most VALIDATION_DAYS of them, evenly spread.
        training: see there.

    Raises:
        ValueError: a source has no day, or the loss is not finite.
    """
    network.train()
    graphdef, params, rest = split(network)
    optimiser = optax.adam(optax.cosine_decay_schedule(training.learning_rate, training.steps))
    state = params, rest, optimiser.init(params)
    judged = list(_batches(validation, max(1, VALIDATION_DAYS // len(validation))))

    @jax.jit
    def step(state: Any, batch: Samples) -> tuple[Any, Array]:
        params, rest, moments = state

        def value(params: Any) -> tuple[Array, Any]:
            # Batch statistics may only be changed at the level of tracing they were made at.
            model = nnx.merge(graphdef, params, rest, copy=True)
            result = loss(model(*batch.inputs), batch.truth)
            return result, split(model)[2]

        (result, rest), gradient = jax.value_and_grad(value, has_aux=True)(params)
        updates, moments = optimiser.update(gradient, moments, params)
        return (optax.apply_updates(params, updates), rest, moments), result

    @jax.jit
    def judge(state: Any, batch: Samples) -> Array:
        model = nnx.merge(graphdef, *state[:2])
        model.eval()
        return loss(model(*batch.inputs), batch.truth)

    best, kept, stale = np.inf, state[:2], 0
    for k, batch in enumerate(_random_batches(sources, training), start=1):
        state, _ = step(state, batch)
        if k % training.validate_every and k < training.steps:
            continue
        score = float(np.mean([judge(state, batch) for batch in judged]))
        if score < best:
            best, kept, stale = score, state[:2], 0
        else:
            stale += 1
        if stale == training.patience:
            break
    if not np.isfinite(best):
        raise ValueError(
            "The validation loss of the network is not finite; lower the learning rate "
            f"({training.learning_rate:g}) or give validation days with values."
        )
    return nnx.merge(graphdef, *kept)


def split(network: nnx.Module) -> tuple[nnx.GraphDef, Any, Any]:
    """Return a network's structure, its weights, and what else it holds."""
    graphdef, *states = nnx.split(network, nnx.Param, ...)
    weights, rest = states
    return graphdef, weights, rest


def run_network(network: nnx.Module, inputs: Inputs) -> np.ndarray:
    """Return the outputs [T, N, K] of a network on any number of days."""
    network.eval()
    graphdef, state = nnx.split(network)

    @jax.jit
    def run(state: Any, batch: Inputs) -> Array:
        return nnx.merge(graphdef, state)(*batch)

    parts = []
    for begin in range(0, len(inputs.maps), AT_ONCE):
        days = np.arange(begin, begin + AT_ONCE)
        batch = Inputs(*(np.take(part, days, axis=0, mode="clip") for part in inputs))
        parts.append(np.asarray(run(state, batch))[: len(inputs.maps) - begin])
    return np.concatenate(parts)


def masked_mean(values: Array, truth: Array) -> Array:
    """Return the mean of the values where there is a truth; both of one shape."""
    known = jnp.isfinite(truth)
    return jnp.where(known, values, 0.0).sum() / jnp.maximum(known.sum(), 1)


def squared_error(outputs: Array, truth: Array) -> Array:
    """Return the mean squared error of outputs [B, N, 1] where there is a truth [B, N]."""
    return masked_mean((outputs[..., 0] - jnp.nan_to_num(truth)) ** 2, truth)


def _random_batches(sources: Sequence[Samples], training: NetworkTraining) -> Iterator[Samples]:
    """Yield a batch for each step, its days drawn without repetition from one source."""
    random = np.random.default_rng(training.seed)
    for _ in range(training.steps):
        inputs, truth = sources[int(random.integers(len(sources)))]
        days = np.sort(random.permutation(len(truth))[: training.batch_size])
        yield Samples(Inputs(*(part[days] for part in inputs)), truth[days])


def _batches(sources: Sequence[Samples], days_each: int) -> Iterator[Samples]:
    """Yield evenly spread days of each source, AT_ONCE at a time."""
    for inputs, truth in sources:
        count = min(days_each, len(truth))
        days = np.linspace(0, len(truth) - 1, count).round().astype(int)
        for begin in range(0, count, AT_ONCE):
            part = days[begin : begin + AT_ONCE]
            yield Samples(Inputs(*(values[part] for values in inputs)), truth[part])
