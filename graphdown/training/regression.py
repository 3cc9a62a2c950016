"""The regression of each target node on the mesh nodes around it, fitted before training."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import jax.numpy as jnp
import numpy as np

from graphdown.data.normalise import Normaliser, warming_spread
from graphdown.model import Scaling
from graphdown.model.predict import standardise, uncorrected
from graphdown.model.spec import ModelSpec
from graphdown.model.transforms import transformed
from graphdown.penalised import Design, Fit, warm_and_cold, without_gaps
from graphdown.training.days import parts
from graphdown.training.samples import Samples
from graphdown.variables import variable_of

PENALTIES = tuple(10.0 ** (k / 2) for k in range(-4, 9))


@dataclass(frozen=True)
class TargetCoefficients:
    """The fitted regression, in standardised units.

    Attributes:
        slopes: [Nt, K, C, T].
        constants: [Nt, T].
        penalty: the chosen one of each target variable [T].
    """

    slopes: np.ndarray
    constants: np.ndarray
    penalty: np.ndarray


def fit_target_regression(
    train: Sequence[Samples],
    validation: Sequence[Samples],
    normaliser: Normaliser,
    warming_offset: tuple[float, float] = (0.0, 0.0),
    transforms: tuple[str, ...] = (),
) -> TargetCoefficients:
    """Fit ridge regressions of what interpolation leaves on the channels at the mesh.

    The target nodes that share their nearest mesh node share their K predictor nodes, and so one
    decomposition. The penalty, one for each target variable, has the least mean square error on
    the validation days. Days on which a target node is missing count as its mean. The warming
    augmentation of the training step enters in closed form: as days that are the mean day plus
    and minus a uniform warming, with the variance of the augmentation's offsets, and unchanged
    corrections.

    Args:
        train, validation: days of each source.
        normaliser: names and statistics.
        warming_offset: uniformly drawn kelvin [low, high], as in `TrainingSpec`.
        transforms: of the targets, in whose spaces they are corrected.
    """
    scales = Scaling(**{k: jnp.asarray(v) for k, v in normaliser.arrays().items()})
    around = np.asarray(train[0].graph.around)
    x, y = _tables(train, scales, transforms)
    further_x, further_y = _tables(validation, scales, transforms)
    warming = _warming_step(normaliser, warming_offset)
    groups = [(nodes, _fit(x, y, around, nodes, warming)) for nodes in _groups(around)]
    errors = np.zeros((len(PENALTIES), y.shape[-1]))
    for nodes, fit in groups:
        rotated = fit.design.rotate(_columns(further_x, around[nodes[0]]))
        for k, penalty in enumerate(PENALTIES):
            made = fit.predict(rotated, penalty).reshape(len(rotated), len(nodes), -1)
            errors[k] += np.nansum((made - further_y[:, nodes]) ** 2, axis=(0, 1))
    penalty = np.asarray(PENALTIES)[errors.argmin(axis=0)]
    channels, targets = x.shape[-1], y.shape[-1]
    slopes = np.zeros((*around.shape, channels, targets), np.float32)
    constants = np.zeros((len(around), targets), np.float32)
    for nodes, fit in groups:
        for i, k in enumerate(penalty):
            own, constant = fit.coefficients(k)
            own = own.reshape(*around.shape[1:], channels, len(nodes), targets)
            slopes[nodes, ..., i] = np.moveaxis(own[..., i], -1, 0)
            constants[nodes, i] = constant.reshape(len(nodes), targets)[:, i]
    return TargetCoefficients(slopes, constants, penalty)


def regressed(model: ModelSpec, targets: Sequence[str]) -> np.ndarray:
    """Tell which targets have the regression [T]."""
    wanted = model.regression_targets
    return np.array([not wanted or variable_of(name) in wanted for name in targets])


def _tables(
    sources: Sequence[Samples], scales: Scaling, transforms: tuple[str, ...]
) -> tuple[np.ndarray, np.ndarray]:
    """Return the channels at the mesh [days, Nm, C] and the scaled corrections [days, Nt, T]."""
    each = [samples for source in sources for samples in source.by_grid()]
    days = [(samples, part) for samples in each for part in parts(samples.fine)]
    made = [_table(samples, part, scales, transforms) for samples, part in days]
    return np.concatenate([x for x, _ in made]), np.concatenate([y for _, y in made])


def _table(
    samples: Samples, days: slice, scales: Scaling, transforms: tuple[str, ...]
) -> tuple[np.ndarray, np.ndarray]:
    graph = samples.graph
    values = jnp.swapaxes(jnp.asarray(samples.source[days]), 0, 1)
    x = graph.to_mesh(standardise(scales, values))
    fine = transformed(jnp.swapaxes(jnp.asarray(samples.fine[days]), 0, 1), transforms)
    y = fine - transformed(uncorrected(scales, values, graph), transforms)
    swapped = [np.asarray(jnp.swapaxes(part, 0, 1)) for part in (x, y / scales.scale)]
    return swapped[0], swapped[1]


def _groups(around: np.ndarray) -> Iterator[np.ndarray]:
    """Yield the target nodes that share their mesh nodes."""
    order = np.argsort(around[:, 0], kind="stable")
    starts = np.flatnonzero(np.diff(around[order, 0], prepend=-1))
    yield from np.split(order, starts[1:])


def _fit(
    x: np.ndarray, y: np.ndarray, around: np.ndarray, nodes: np.ndarray, warming: np.ndarray
) -> Fit:
    table = _columns(x, around[nodes[0]])
    wanted, mean = without_gaps(y[:, nodes])
    wanted = wanted.reshape(len(wanted), -1)
    if warming.any():
        pair = warm_and_cold(np.tile(warming, around.shape[1]), len(table))
        table = np.concatenate([table, table.mean(axis=0) + pair])
        wanted = np.concatenate([wanted, np.stack([mean.ravel()] * 2)])
    return Design.of(table).fit(wanted)


def _columns(x: np.ndarray, nodes: np.ndarray) -> np.ndarray:
    return x[:, nodes].reshape(len(x), -1).astype(np.float64)


def _warming_step(normaliser: Normaliser, offset: tuple[float, float]) -> np.ndarray:
    """Return the standard deviation of the augmentation's warming in each channel [C]."""
    spread = warming_spread(normaliser.predictors, offset)
    return spread[normaliser.arrays()["variable"]] / np.asarray(normaliser.std)
