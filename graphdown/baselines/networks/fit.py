"""Train a small network on pairs of inputs and truth from several sources."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
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
    """Settings of a training: Adam, cosine decay to zero, weights of the best validation.

    Attributes:
        steps: optimiser steps.
        batch_size: days per step, all of one source, which is drawn at random.
        learning_rate: first rate.
        validate_every: steps between validations.
        patience: validations without improvement before stopping early.
    """

    steps: int
    batch_size: int
    learning_rate: float
    validate_every: int = 100
    patience: int = 8


class BoxSamples(NamedTuple):
    """The days of one source: inputs, and the truth [T, N], NaN where missing."""

    inputs: Inputs
    truth: np.ndarray


Loss = Callable[[Any, Any], Array]


def train_network(
    network: nnx.Module,
    loss: Loss,
    sources: Sequence[BoxSamples],
    validation: Sequence[BoxSamples],
    training: NetworkTraining,
    seed: int,
) -> nnx.Module:
    """Return the network with the weights that did best on the validation days.

    Args:
        network: maps [B, H, W, V] and vector [B, F] to outputs [B, N, K].
        loss: of outputs and truth [B, N] with NaN where missing, a scalar.
        sources: days to train on.
        validation: days to stop on; at most VALIDATION_DAYS of them, evenly spread.
        training: see there.
        seed: of the batches.

    Raises:
        ValueError: nothing to validate on, or the loss is not finite.
    """
    if not any(np.isfinite(batch.truth).any() for batch in validation):
        raise ValueError("No validation day has a value of the target; choose other days.")
    network.train()
    graphdef, params, rest = split(network)
    state = params, rest, make_optimiser(training).init(params)
    judged = list(_batches(validation, max(1, VALIDATION_DAYS // len(validation))))
    best, kept, stale = np.inf, state[:2], 0
    for k, batch in enumerate(_random_batches(sources, training, seed), start=1):
        state = step(state, batch, graphdef, loss, training)
        if k % training.validate_every and k < training.steps:
            continue
        score = float(np.mean([judge(state[:2], batch, graphdef, loss) for batch in judged]))
        if score < best:
            best, kept, stale = score, state[:2], 0
        else:
            stale += 1
        if stale == training.patience:
            break
    if not np.isfinite(best):
        raise ValueError(
            "The validation loss of the network is not finite; lower the learning rate "
            f"({training.learning_rate:g})."
        )
    return nnx.merge(graphdef, *kept)


def make_optimiser(training: NetworkTraining) -> optax.GradientTransformation:
    """Return Adam with cosine decay to zero."""
    return optax.adam(optax.cosine_decay_schedule(training.learning_rate, training.steps))


# Compiled once for all networks of one structure: those of other variables, sources and seeds.
@partial(jax.jit, static_argnames=("graphdef", "loss", "training"))
def step(
    state: Any, batch: BoxSamples, graphdef: nnx.GraphDef, loss: Loss, training: NetworkTraining
) -> Any:
    """Return the weights, the rest and the moments after one step."""
    params, rest, moments = state

    def value(params: Any) -> tuple[Array, Any]:
        # Batch statistics may only be changed at the level of tracing they were made at.
        network = nnx.merge(graphdef, params, rest, copy=True)
        return loss(network(*batch.inputs), batch.truth), split(network)[2]

    gradient, rest = jax.grad(value, has_aux=True)(params)
    updates, moments = make_optimiser(training).update(gradient, moments, params)
    return optax.apply_updates(params, updates), rest, moments


@partial(jax.jit, static_argnames=("graphdef", "loss"))
def judge(state: Any, batch: BoxSamples, graphdef: nnx.GraphDef, loss: Loss) -> Array:
    """Return the loss of weights and rest on validation days."""
    network = nnx.merge(graphdef, *state)
    network.eval()
    return loss(network(*batch.inputs), batch.truth)


@partial(jax.jit, static_argnames=("graphdef",))
def run(state: Any, inputs: Inputs, graphdef: nnx.GraphDef) -> Array:
    """Return the outputs [B, N, K] of a network."""
    network = nnx.merge(graphdef, *state)
    network.eval()
    return network(*inputs)


def split(network: nnx.Module) -> tuple[nnx.GraphDef, Any, Any]:
    """Return a network's structure, its weights, and what else it holds."""
    graphdef, *states = nnx.split(network, nnx.Param, ...)
    weights, rest = states
    return graphdef, weights, rest


def run_network(network: nnx.Module, inputs: Inputs) -> np.ndarray:
    """Return the outputs [T, N, K] of a network on any number of days."""
    graphdef, *state = split(network)
    parts = []
    for begin in range(0, len(inputs.maps), AT_ONCE):
        days = np.arange(begin, begin + AT_ONCE)
        batch = Inputs(*(np.take(part, days, axis=0, mode="clip") for part in inputs))
        parts.append(np.asarray(run(state, batch, graphdef))[: len(inputs.maps) - begin])
    return np.concatenate(parts)


def masked_mean(values: Array, truth: Array) -> Array:
    """Return the mean of the values where there is a truth; both of one shape."""
    known = jnp.isfinite(truth)
    return jnp.where(known, values, 0.0).sum() / jnp.maximum(known.sum(), 1)


def squared_error(outputs: Array, truth: Array) -> Array:
    """Return the mean squared error of outputs [B, N, 1] where there is a truth [B, N]."""
    return masked_mean((outputs[..., 0] - jnp.nan_to_num(truth)) ** 2, truth)


def _random_batches(
    sources: Sequence[BoxSamples], training: NetworkTraining, seed: int
) -> Iterator[BoxSamples]:
    """Yield a batch for each step, its days drawn without repetition from one source."""
    random = np.random.default_rng(seed)
    for _ in range(training.steps):
        inputs, truth = sources[int(random.integers(len(sources)))]
        days = np.sort(random.permutation(len(truth))[: training.batch_size])
        yield BoxSamples(Inputs(*(part[days] for part in inputs)), truth[days])


def _batches(sources: Sequence[BoxSamples], days_each: int) -> Iterator[BoxSamples]:
    """Yield evenly spread days of each source, AT_ONCE at a time."""
    for inputs, truth in sources:
        count = min(days_each, len(truth))
        days = np.linspace(0, len(truth) - 1, count).round().astype(int)
        for begin in range(0, count, AT_ONCE):
            part = days[begin : begin + AT_ONCE]
            yield BoxSamples(Inputs(*(values[part] for values in inputs)), truth[part])
