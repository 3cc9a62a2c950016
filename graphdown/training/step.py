"""The training step: loss, gradient and update for one device's share of the batch."""

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax
from flax import nnx
from jax import Array

from graphdown.config.training import TrainingSpec
from graphdown.model.arrays import GraphArrays, with_spacing_offset
from graphdown.model.deep_ensemble import DeepEnsemble, divided, rejoined
from graphdown.model.optimal_interpolation import LeftOut
from graphdown.model.parameters import path_name
from graphdown.model.predict import Scaling, outputs
from graphdown.model.source_bank import SourceBank
from graphdown.training.augmentation import Augmentation
from graphdown.training.losses import Gammas, Losses, step_noise
from graphdown.training.parallel import AXIS
from graphdown.training.trainable import Trainable, whole_network

Loss = Callable[[Any, Any, Any, Array], Array]


class Batch(NamedTuple):
    """Days of one source, physical units; B is this device's share.

    Attributes:
        source: predictors [B, Ns, V], or fields [B, Nf, V] to upscale to a grid of the bank.
        fine: targets [B, Nt, T], NaN where missing.
        forcings: numbers per day [B, F].
        warming: kelvin to add to the air temperatures [B].
        spacing: what to add to the logarithm of the source spacing [B], the same for all days.
        grid: number of the bank's grid to upscale to [B], the same for all days.
        share: of the days in the EOFs [B, K], None without EOFs.
    """

    source: Any
    fine: Any
    forcings: Any
    warming: Any
    spacing: Any
    grid: Any
    share: Any = None


class Constants(NamedTuple):
    """Arrays of one source that stay the same from step to step.

    Attributes:
        graph: edges, interpolations, static features.
        bank: the source grids to draw from, None for a source with its own.
        scales: statistics.
        area: weight of each target node [Nt], mean 1.
        warmed: 1 for the predictors [V] and for the targets [T] that are air temperatures.
        smoother: means over neighbourhoods of each of the source's grids, None without smoothing.
        kept: what training leaves of the network as it is, see `whole_network`.
        gammas: distributions of each cell's wet days, for losses that need them.
        means: over neighbourhoods of the target, for each of `training.multiscale_km`.
    """

    graph: GraphArrays
    bank: SourceBank | None
    scales: Scaling
    area: Array
    warmed: tuple[Array, Array]
    smoother: Any = None
    kept: Any = None
    gammas: Gammas | None = None
    means: Any = ()


class State(NamedTuple):
    """Weights, their moving average, the optimiser's state and the number of steps done."""

    params: Any
    ema: Any
    optimiser: Any
    step: Array


def make_optimiser(
    spec: TrainingSpec, trainable: Trainable | None = None
) -> optax.GradientTransformation:
    """AdamW with clipping, linear warm-up and cosine decay to zero.

    Only the kernels of linear layers and their adapters decay. In fine-tuning, each parameter has
    the learning rate of its stage.
    """
    rate = optax.warmup_cosine_decay_schedule(
        0.0, spec.learning_rate, min(spec.warmup_steps, spec.steps - 1), max(spec.steps, 2)
    )
    return optax.chain(
        optax.clip_by_global_norm(spec.clip_norm),
        optax.adamw(rate, weight_decay=spec.weight_decay, mask=_kernels),
        optax.identity() if trainable is None else optax.stateless(partial(_by_stage, trainable)),
    )


def _kernels(params: Any) -> Any:
    return jax.tree.map_with_path(lambda path, _: "kernel" in path_name(path).split("."), params)


def _by_stage(trainable: Trainable, updates: Any, params: Any) -> Any:
    return jax.tree.map_with_path(
        lambda path, update: trainable.slowed(path_name(path), update), updates
    )


def initial_state(params: Any, optimiser: optax.GradientTransformation) -> State:
    """State before the first step."""
    # Copies: a step donates its state, and the parameters must serve another run.
    copied, average = (jax.tree.map(jnp.copy, params) for _ in range(2))
    return State(copied, average, optimiser.init(params), jnp.zeros((), jnp.int32))


def make_step(
    graphdef: nnx.GraphDef,
    optimiser: optax.GradientTransformation,
    ema_decay: float,
    trainable: Trainable | None = None,
    augment: Augmentation | None = None,
    losses: Losses | None = None,
    seed: int = 0,
    axes: tuple[str, ...] = (AXIS,),
) -> Callable[[State, Batch, Constants], tuple[State, dict[str, Array]]]:
    """Make the step for one device, with sums over the named axes.

    Args:
        graphdef: the network.
        optimiser: see `make_optimiser`.
        ema_decay: as in `TrainingSpec`.
        trainable: what the state's parameters are of the network's; all of them by default.
        augment: what changes the source fields, see `make_augmentation`.
        losses: of the targets; mean square errors by default.
        seed: of the noise of members.
        axes: that devices lie along, see `DataParallel`.
    """

    def loss(params: Any, batch: Batch, constants: Constants, number: Array) -> Array:
        """This device's part of the area-weighted mean loss, per value."""
        whole = whole_network(params, constants.kept, trainable)
        shown = _shown(batch, constants, number, augment)
        members = None if losses is None or not losses.model.noise else losses
        noise = None
        if members is not None:
            noise = _noise(members, number, len(batch.fine), seed)
            shown = _repeated(shown, members.members)
        repeats = 1 if members is None else members.members
        network = nnx.merge(graphdef, whole)
        predicted = _predicted(network, constants.scales, shown, noise, repeats)
        return _mean_loss(predicted, shown.fine, constants, losses, axes)

    return make_descent(loss, optimiser, ema_decay, trainable, axes)


class _Shown(NamedTuple):
    """Input of the network made of a batch, and the targets [B, Nt, T] that belong to it."""

    source: Array
    forcings: Array
    graph: GraphArrays
    left_out: LeftOut | None
    fine: Array


def _shown(
    batch: Batch, constants: Constants, number: Array, augment: Augmentation | None
) -> _Shown:
    """Upscale the source to a grid of the bank and augment it."""
    source, graph = batch.source, constants.graph
    if constants.bank is not None:
        source, graph = constants.bank.upscaled(source, batch.grid[0], graph)
    left_out = None if batch.share is None else _left_out(source, batch)
    warm_source, warm_fine = constants.warmed
    warming = batch.warming[:, None, None]
    source, fine = source + warming * warm_source, batch.fine + warming * warm_fine
    if augment is not None:
        smoother = jax.tree.map(lambda stacked: stacked[batch.grid[0]], constants.smoother)
        source = augment(source, number, constants.scales, smoother)
    graph = with_spacing_offset(graph, batch.spacing[0])
    return _Shown(source, batch.forcings, graph, left_out, fine)


def _predicted(
    network: Any, scales: Scaling, shown: _Shown, noise: Array | None, repeats: int
) -> Array:
    """Outputs [B, Nt, O]; each network of an ensemble makes those of its own days.

    Days come in turns, one for each network, and each of them is repeated for its members.
    """
    if not isinstance(network, DeepEnsemble):
        arrays = shown.source, shown.forcings, shown.graph, shown.left_out, noise
        return outputs(network, scales, *arrays)
    share = partial(divided, networks=network.size, repeats=repeats)
    left_out = None
    if shown.left_out is not None:
        values, truth, eofs = shown.left_out
        values, truth = (
            jnp.swapaxes(share(jnp.swapaxes(part, 0, 1)), 1, 2) for part in (values, truth)
        )
        left_out = LeftOut(values, truth, share(eofs))

    def of_one(one: Any, source: Array, season: Array, days: Any, own: Any) -> Array:
        return outputs(one, scales, source, season, shown.graph, days, own)

    own = share(shown.source), share(shown.forcings), left_out, jax.tree.map(share, noise)
    return rejoined(network.each(of_one, *own), repeats)


def _noise(losses: Losses, number: Array, days: int, seed: int) -> Array:
    """Noise of the members of this device's days."""
    first = jax.lax.axis_index(AXIS) * days
    return step_noise(number, first, days, losses.members, losses.model.noise, seed)


def _mean_loss(
    predicted: Array,
    fine: Array,
    constants: Constants,
    losses: Losses | None,
    axes: tuple[str, ...],
) -> Array:
    """Area-weighted mean loss per value that is not missing; by default the squared error."""
    scale, valid = constants.scales.scale, jnp.isfinite(fine)
    weight = jnp.where(valid, constants.area[:, None], 0.0)
    total = jax.lax.psum(weight.sum(), axes)
    truth = jnp.where(valid, fine, 0.0)
    if losses is None or losses.plain:
        error = jnp.where(valid, predicted - truth, 0.0) / scale
        return (error**2 * weight).sum() / total
    terms = losses.terms(predicted, truth, scale, constants.gammas)
    value = jnp.where(valid, terms, 0.0) * weight
    further = losses.over_scales(predicted, truth, weight, scale, constants.means)
    return (value.sum() + further) / total


def make_descent(
    loss: Loss,
    optimiser: optax.GradientTransformation,
    ema_decay: float,
    trainable: Trainable | None = None,
    axes: tuple[str, ...] = (AXIS,),
) -> Callable[[State, Any, Any], tuple[State, dict[str, Array]]]:
    """Make the step for one device that lowers a loss.

    Where the loss or the gradient is not finite, the step leaves everything but its number as it
    was, and its loss is NaN.

    Args:
        loss: this device's part of it, of parameters, batch, constants and the step's number.
        optimiser, ema_decay, trainable, axes: as for `make_step`.
    """

    def step(state: State, batch: Any, constants: Any) -> tuple[State, dict[str, Array]]:
        value, gradient = jax.value_and_grad(loss)(state.params, batch, constants, state.step)
        value, gradient = jax.lax.psum((value, gradient), axes)
        if trainable is not None and trainable.spec.l2_sp:
            of_penalty = jax.grad(trainable.penalty)(state.params, constants.kept)
            gradient = jax.tree.map(jnp.add, gradient, of_penalty)
        norm = optax.tree.norm(gradient)
        updates, inner = optimiser.update(gradient, state.optimiser, state.params)
        params = optax.apply_updates(state.params, updates)
        # A short memory at first, or the average would stay close to the random start.
        decay = jnp.minimum(ema_decay, (1.0 + state.step) / (10.0 + state.step))
        ema = jax.tree.map(lambda a, p: a + (1 - decay) * (p - a), state.ema, params)
        sound = jnp.isfinite(value) & jnp.isfinite(norm)
        moved, before = (params, ema, inner), (state.params, state.ema, state.optimiser)
        params, ema, inner = jax.tree.map(partial(jnp.where, sound), moved, before)
        metrics = {"loss": jnp.where(sound, value, jnp.nan), "gradient_norm": norm}
        return State(params, ema, inner, state.step + 1), metrics

    return step


def _repeated(shown: _Shown, members: int) -> _Shown:
    """Repeat each day of the network's input, once for each member."""
    left_out = shown.left_out
    if left_out is not None:
        values, truth, share = left_out
        values, truth = (jnp.repeat(part, members, axis=1) for part in (values, truth))
        left_out = LeftOut(values, truth, jnp.repeat(share, members, axis=0))
    return shown._replace(
        source=jnp.repeat(shown.source, members, axis=0),
        forcings=jnp.repeat(shown.forcings, members, axis=0),
        left_out=left_out,
    )


def _left_out(source: Array, batch: Batch) -> LeftOut:
    """The batch's own days, without which the EOFs make their estimate."""
    return LeftOut(jnp.swapaxes(source, 0, 1), jnp.swapaxes(batch.fine, 0, 1), batch.share)
