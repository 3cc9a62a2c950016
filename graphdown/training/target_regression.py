"""The regression of each target node on its surroundings, fitted before training."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import jax.numpy as jnp
import numpy as np

from graphdown.data.normalise import Normaliser, warming_spread
from graphdown.emulator.inference import scaling_of
from graphdown.model import Scaling
from graphdown.model.predict import standardise, uncorrected
from graphdown.model.spec import ModelSpec
from graphdown.model.transforms import transformed
from graphdown.statistics.least_squares import Design, PartitionedFit, warm_and_cold, without_gaps
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
    scales = scaling_of(normaliser)
    around = np.asarray(train[0].graph.around)
    learned, checked = (_Tables.of(days, scales, transforms) for days in (train, validation))
    spread = learned.x.std(axis=0).mean(axis=0)
    unit = np.where(spread > 0, spread, 1.0)
    warming = _Warming.of(normaliser, warming_offset, unit)
    learned, checked = learned.in_units(unit), checked.in_units(unit)
    groups = [(nodes, _fit(learned, around, nodes, warming)) for nodes in _groups(around)]
    errors = np.zeros((len(PENALTIES), learned.y.shape[-1]))
    for nodes, fit in groups:
        errors += _errors(fit, checked, around, nodes)
    penalty = np.asarray(PENALTIES)[errors.argmin(axis=0)]
    return _coefficients(groups, penalty, around, unit)


def _errors(
    fit: PartitionedFit, tables: "_Tables", around: np.ndarray, nodes: np.ndarray
) -> np.ndarray:
    """Sums of the squared errors of some target nodes for each penalty [penalties, T]."""
    rotated = fit.of_further.design.rotate(_columns(tables.x, around[nodes[0]]))
    interpolated, truth = _flat(tables.start[:, nodes]), tables.y[:, nodes]
    errors = []
    for penalty in PENALTIES:
        predicted = fit.predict(rotated, interpolated, penalty).reshape(truth.shape)
        errors.append(np.nansum((predicted - truth) ** 2, axis=(0, 1)))
    return np.asarray(errors)


def _coefficients(
    groups: Sequence[tuple[np.ndarray, PartitionedFit]],
    penalty: np.ndarray,
    around: np.ndarray,
    unit: np.ndarray,
) -> TargetCoefficients:
    """Coefficients of the target nodes of all groups, for the chosen penalties."""
    shape = len(around), len(penalty)
    slopes = np.zeros((*around.shape, len(unit), len(penalty)), np.float32)
    factors, constants = np.zeros(shape, np.float32), np.zeros(shape, np.float32)
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
    """Which targets have the regression [T]."""
    chosen = model.regression_targets
    return np.array([not chosen or variable_of(name) in chosen for name in targets])


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
        """Deviations for an offset, with channels in their own units."""
        spread = warming_spread(normaliser.predictors, offset)
        channels = spread[normaliser.inputs.predictors] / (np.asarray(normaliser.std) * unit)
        targets = warming_spread(normaliser.targets, offset) / np.asarray(normaliser.scale)
        return cls(channels, targets)


@dataclass(frozen=True)
class _Tables:
    """Days as the regression sees them, scaled.

    Attributes:
        x: channels at the mesh [days, Nm, C].
        start: what is corrected [days, Nt, T].
        y: the corrections [days, Nt, T].
    """

    x: np.ndarray
    start: np.ndarray
    y: np.ndarray

    @classmethod
    def of(
        cls, sources: Sequence[Samples], scales: Scaling, transforms: tuple[str, ...]
    ) -> "_Tables":
        """Tables of the days of all sources, one after the other."""
        each = [samples for source in sources for samples in source.by_grid()]
        days = [(samples, part) for samples in each for part in parts(samples.fine)]
        columns = zip(
            *(_table(samples, part, scales, transforms) for samples, part in days), strict=True
        )
        x, start, y = map(np.concatenate, columns)
        return cls(x, start, y)

    def in_units(self, unit: np.ndarray) -> "_Tables":
        """Tables with the channels [C] in units."""
        return replace(self, x=self.x / unit)


def _table(
    samples: Samples, days: slice, scales: Scaling, transforms: tuple[str, ...]
) -> tuple[np.ndarray, ...]:
    graph = samples.graph
    values = jnp.swapaxes(jnp.asarray(samples.source[days]), 0, 1)
    x = graph.to_mesh(standardise(scales, values))
    start = transformed(uncorrected(scales, values, graph), transforms)
    fine = transformed(jnp.swapaxes(jnp.asarray(samples.fine[days]), 0, 1), transforms)
    columns = x, start / scales.scale, (fine - start) / scales.scale
    return tuple(np.asarray(jnp.swapaxes(part, 0, 1)) for part in columns)


def _groups(around: np.ndarray) -> Iterator[np.ndarray]:
    """Yield the target nodes that share their mesh nodes."""
    order = np.argsort(around[:, 0], kind="stable")
    starts = np.flatnonzero(np.diff(around[order, 0], prepend=-1))
    yield from np.split(order, starts[1:])


def _fit(
    tables: _Tables, around: np.ndarray, nodes: np.ndarray, warming: _Warming
) -> PartitionedFit:
    """Fit the target nodes that share their mesh nodes."""
    table, interpolated = _columns(tables.x, around[nodes[0]]), _flat(tables.start[:, nodes])
    corrections = _flat(without_gaps(tables.y[:, nodes])[0])
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
        corrections = _with_pair(corrections, np.zeros(corrections.shape[1]))
    return Design.of(table).fit_partitioned(corrections, interpolated)


def _with_pair(table: np.ndarray, spread: np.ndarray) -> np.ndarray:
    """Days [T, ...] with a pair added that has the moments of a warming."""
    return np.concatenate([table, table.mean(axis=0) + warm_and_cold(spread, len(table))])


def _columns(x: np.ndarray, nodes: np.ndarray) -> np.ndarray:
    return _flat(x[:, nodes])


def _flat(values: np.ndarray) -> np.ndarray:
    """Values of days [T, ...] as a table [T, columns]."""
    return values.reshape(len(values), -1).astype(np.float64)
