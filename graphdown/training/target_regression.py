"""The regression of each target node on its surroundings, fitted before training."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import jax.numpy as jnp
import numpy as np

from graphdown.data.normalise import Normaliser, warming_spread
from graphdown.model import Scaling
from graphdown.model.predict import standardise, uncorrected
from graphdown.model.spec import ModelSpec
from graphdown.model.transforms import transformed
from graphdown.statistics.least_squares import Design, FitWithOwn, warm_and_cold, without_gaps
from graphdown.training.paired_days import parts
from graphdown.training.samples import Samples
from graphdown.variables.names import variable_of

PENALTIES = tuple(10.0 ** (k / 2) for k in range(-4, 9))


@dataclass(frozen=True)
class TargetCoefficients:
    """The fitted regression, in standardised units.

    Attributes:
        slopes: on the channels at the mesh nodes around [Nt, K, C, T].
        factors: on what is corrected [Nt, T].
        constants: [Nt, T].
        penalty: the chosen one of each target variable [T].
    """

    slopes: np.ndarray
    factors: np.ndarray
    constants: np.ndarray
    penalty: np.ndarray


def fit_target_regression(
    train: Sequence[Samples],
    validation: Sequence[Samples],
    normaliser: Normaliser,
    warming_offset: tuple[float, float] = (0.0, 0.0),
    transforms: tuple[str, ...] = (),
) -> TargetCoefficients:
    """Fit regressions of what interpolation leaves on the channels at the mesh, and on itself.

    The target nodes that share their nearest mesh node share their K predictor nodes, and so one
    decomposition. The slopes on these are penalised, each channel in units of its own deviation
    from day to day; the factor of what is interpolated to the node itself is not, so that it says
    how far the interpolation is to be trusted. The penalty, one for each target variable, has the
    least mean square error on the validation days. Days on which a target node is missing count
    as its mean. The warming augmentation of the training step enters in closed form: as days that
    are the mean day plus and minus a uniform warming, with the variance of the augmentation's
    offsets, and unchanged corrections.

    Args:
        train, validation: days of each source.
        normaliser: names and statistics.
        warming_offset: uniformly drawn kelvin [low, high], as in `TrainingSpec`.
        transforms: of the targets, in whose spaces they are corrected.
    """
    scales = normaliser.scaling()
    around = np.asarray(train[0].graph.around)
    x, own, y = _tables(train, scales, transforms)
    further_x, further_own, further_y = _tables(validation, scales, transforms)
    spread = x.std(axis=0).mean(axis=0)
    unit = np.where(spread > 0, spread, 1.0)
    warming = _Warming.of(normaliser, warming_offset, unit)
    x, further_x = x / unit, further_x / unit
    groups = [(nodes, _fit(x, own, y, around, nodes, warming)) for nodes in _groups(around)]
    errors = np.zeros((len(PENALTIES), y.shape[-1]))
    for nodes, fit in groups:
        rotated = fit.of_own.design.rotate(_columns(further_x, around[nodes[0]]))
        interpolated, wanted = _flat(further_own[:, nodes]), further_y[:, nodes]
        for k, penalty in enumerate(PENALTIES):
            made = fit.predict(rotated, interpolated, penalty).reshape(wanted.shape)
            errors[k] += np.nansum((made - wanted) ** 2, axis=(0, 1))
    penalty = np.asarray(PENALTIES)[errors.argmin(axis=0)]
    slopes = np.zeros((*around.shape, x.shape[-1], y.shape[-1]), np.float32)
    factors, constants = (np.zeros(y.shape[1:], np.float32) for _ in range(2))
    for nodes, fit in groups:
        for i, k in enumerate(penalty):
            of_nodes, factor, constant = (
                part.reshape(*part.shape[:-1], len(nodes), -1)[..., i]
                for part in fit.coefficients(k)
            )
            in_units = of_nodes.reshape(*around.shape[1:], -1, len(nodes)) / unit[:, None]
            slopes[nodes, ..., i] = np.moveaxis(in_units, -1, 0)
            factors[nodes, i], constants[nodes, i] = factor, constant
    return TargetCoefficients(slopes, factors, constants, penalty)


def regressed(model: ModelSpec, targets: Sequence[str]) -> np.ndarray:
    """Tell which targets have the regression [T]."""
    wanted = model.regression_targets
    return np.array([not wanted or variable_of(name) in wanted for name in targets])


@dataclass(frozen=True)
class _Warming:
    """The standard deviation of the augmentation's warming in the tables' columns.

    Attributes:
        channels: in each channel at the mesh [C].
        targets: in what is interpolated of each target [T].
    """

    channels: np.ndarray
    targets: np.ndarray

    @classmethod
    def of(
        cls, normaliser: Normaliser, offset: tuple[float, float], unit: np.ndarray
    ) -> "_Warming":
        """Return those of an offset, for channels in units of their own."""
        spread = warming_spread(normaliser.predictors, offset)
        channels = spread[normaliser.inputs.predictors] / (np.asarray(normaliser.std) * unit)
        targets = warming_spread(normaliser.targets, offset) / np.asarray(normaliser.scale)
        return cls(channels, targets)


def _tables(
    sources: Sequence[Samples], scales: Scaling, transforms: tuple[str, ...]
) -> tuple[np.ndarray, ...]:
    """Return what days show, scaled.

    These are the channels at the mesh [days, Nm, C], what is corrected and the corrections
    [days, Nt, T].
    """
    each = [samples for source in sources for samples in source.by_grid()]
    days = [(samples, part) for samples in each for part in parts(samples.fine)]
    made = [_table(samples, part, scales, transforms) for samples, part in days]
    return tuple(map(np.concatenate, zip(*made, strict=True)))


def _table(
    samples: Samples, days: slice, scales: Scaling, transforms: tuple[str, ...]
) -> tuple[np.ndarray, ...]:
    graph = samples.graph
    values = jnp.swapaxes(jnp.asarray(samples.source[days]), 0, 1)
    x = graph.to_mesh(standardise(scales, values))
    own = transformed(uncorrected(scales, values, graph), transforms)
    fine = transformed(jnp.swapaxes(jnp.asarray(samples.fine[days]), 0, 1), transforms)
    shown = x, own / scales.scale, (fine - own) / scales.scale
    return tuple(np.asarray(jnp.swapaxes(part, 0, 1)) for part in shown)


def _groups(around: np.ndarray) -> Iterator[np.ndarray]:
    """Yield the target nodes that share their mesh nodes."""
    order = np.argsort(around[:, 0], kind="stable")
    starts = np.flatnonzero(np.diff(around[order, 0], prepend=-1))
    yield from np.split(order, starts[1:])


def _fit(
    x: np.ndarray,
    own: np.ndarray,
    y: np.ndarray,
    around: np.ndarray,
    nodes: np.ndarray,
    warming: _Warming,
) -> FitWithOwn:
    table, interpolated = _columns(x, around[nodes[0]]), _flat(own[:, nodes])
    wanted = _flat(without_gaps(y[:, nodes])[0])
    if warming.channels.any():
        channels, targets = (
            np.tile(spread, count)
            for spread, count in (
                (warming.channels, around.shape[1]),
                (warming.targets, len(nodes)),
            )
        )
        table = _with_pair(table, channels)
        interpolated = _with_pair(interpolated, targets)
        wanted = _with_pair(wanted, np.zeros(wanted.shape[1]))
    return Design.of(table).fit_with_own(wanted, interpolated)


def _with_pair(table: np.ndarray, spread: np.ndarray) -> np.ndarray:
    """Return days [T, ...] with those added that have the moments of a warming."""
    return np.concatenate([table, table.mean(axis=0) + warm_and_cold(spread, len(table))])


def _columns(x: np.ndarray, nodes: np.ndarray) -> np.ndarray:
    return _flat(x[:, nodes])


def _flat(values: np.ndarray) -> np.ndarray:
    """Return values of days [T, ...] as a table [T, columns]."""
    return values.reshape(len(values), -1).astype(np.float64)
