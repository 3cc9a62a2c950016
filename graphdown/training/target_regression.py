"""The regression of each target node on its surroundings, fitted before training."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import jax.numpy as jnp
import numpy as np

from graphdown.data.normalise import Normaliser, warming_spread
from graphdown.emulator.inference import scaling_of
from graphdown.model import Scaling
from graphdown.model.predict import standardise, uncorrected
from graphdown.model.spec import ModelSpec
from graphdown.model.transforms import transformed
from graphdown.statistics.least_squares import (
    Design,
    PartitionedFit,
    solve_partitioned,
    warm_and_cold,
    without_gaps,
)
from graphdown.training.paired_days import parts
from graphdown.training.samples import Samples
from graphdown.variables.names import lag_of, variable_of

PENALTIES = tuple(10.0 ** (k / 2) for k in range(-4, 9))
DECOMPOSITIONS = 240  # most of them to choose the settings by: groups beyond are thinned
# Of the steps before and after the step itself, if the window has any: the smaller, the more their
# slopes are penalised.
WINDOW_WEIGHTS = ((1.0, 1.0), (0.7, 0.3), (0.3, 0.7), (0.0, 0.0))


@dataclass(frozen=True)
class TargetCoefficients:
    """The fitted regression, in standardised units.

    Attributes:
        slopes: on the channels at the mesh nodes around [Nt, K, C, T].
        factors: on what is corrected [Nt, T].
        constants: [Nt, T].
        penalty: the chosen one of each target variable [T].
        window: the chosen of WINDOW_WEIGHTS of each target variable [T, 2].
    """

    slopes: np.ndarray
    factors: np.ndarray
    constants: np.ndarray
    penalty: np.ndarray
    window: np.ndarray


def fit_target_regression(
    train: Sequence[Samples],
    validation: Sequence[Samples],
    normaliser: Normaliser,
    warming_offset: tuple[float, float] = (0.0, 0.0),
    transforms: tuple[str, ...] = (),
    folds: int = 0,
) -> list[TargetCoefficients]:
    """Fit regressions of what interpolation leaves on the channels at the mesh, and on itself.

    The target nodes that share their nearest mesh node share their K predictor nodes, and so one
    decomposition. The slopes on these are penalised, each channel in units of its own deviation
    from day to day; the factor of what is interpolated to the node itself is not, so that it says
    how far the interpolation is to be trusted. Penalty and weights of the window's steps, one for
    each target variable, have the least mean square error on the validation days or, with folds,
    on the days of all blocks, each predicted from the other blocks. Days on which a target node is
    missing count as its mean. The warming augmentation of the training step enters in closed form:
    as days that are the mean day plus and minus a uniform warming, with the variance of the
    augmentation's offsets, and unchanged corrections.

    Args:
        train, validation: days of each source.
        normaliser: names and statistics.
        warming_offset: uniformly drawn kelvin [low, high], as in `TrainingSpec`.
        transforms: of the targets, in whose spaces they are corrected.
        folds: blocks of years that both kinds of samples are divided into, 0 for none.

    Returns:
        The fit without each block; without folds, a single one to all training days.
    """
    scales = scaling_of(normaliser)
    around = np.asarray(train[0].graph.around)
    learned, checked = (_Tables.of(days, scales, transforms) for days in (train, validation))
    spread = learned.x.std(axis=0).mean(axis=0)
    unit = np.where(spread > 0, spread, 1.0)
    warming = _Warming.of(normaliser, warming_offset)
    windows = _window_scales(normaliser)
    splits = [
        (learned.without(block), checked.of_block(block)) for block in (range(folds) or (None,))
    ]
    present = np.isfinite(learned.y).any(axis=(0, 2))
    groups, errors = list(_groups(around, np.flatnonzero(present))), {}
    step = -(-len(groups) * len(splits) * len(windows) // DECOMPOSITIONS)
    for weights, factor in windows.items():
        scale = factor / unit
        each = [
            _errors(_fit(known, around, nodes, warming, scale), new, around, nodes, scale)
            for known, new in splits
            for nodes in groups[::step]
        ]
        errors[weights] = np.sum(each, axis=0)
    chosen = _Chosen.of(errors)
    scales_of = {weights: windows[weights] / unit for weights in set(chosen.window)}
    return [_coefficients(known, around, groups, warming, chosen, scales_of) for known, _ in splits]


def _window_scales(normaliser: Normaliser) -> dict[tuple[float, float], np.ndarray]:
    """Factors of the channels [C] by the weights of the steps before and after."""
    names = np.asarray(normaliser.predictors)[np.asarray(normaliser.inputs.predictors)]
    lags = np.array([lag_of(str(name)) for name in names])
    candidates = WINDOW_WEIGHTS if lags.any() else WINDOW_WEIGHTS[:1]
    return {
        (before, after): np.where(lags < 0, before, np.where(lags > 0, after, 1.0))
        for before, after in candidates
    }


@dataclass(frozen=True)
class _Chosen:
    """Penalty and weights of the window of each target variable."""

    penalty: np.ndarray
    window: list[tuple[float, float]]

    @classmethod
    def of(cls, errors: dict[tuple[float, float], np.ndarray]) -> "_Chosen":
        """Those with the least error, of errors [penalties, T] by weights of the window."""
        weights = list(errors)
        table = np.stack([errors[w] for w in weights])
        flat = table.reshape(-1, table.shape[-1]).argmin(axis=0)
        window, penalty = np.unravel_index(flat, table.shape[:2])
        return cls(np.asarray(PENALTIES)[penalty], [weights[w] for w in window])


def _errors(
    fit: PartitionedFit, tables: "_Tables", around: np.ndarray, nodes: np.ndarray, scale: np.ndarray
) -> np.ndarray:
    """Sums of the squared errors of some target nodes for each penalty [penalties, T]."""
    rotated = fit.of_further.design.rotate(_columns(tables.x, around[nodes[0]], scale))
    interpolated, truth = _flat(tables.start[:, nodes]), tables.y[:, nodes]
    errors = []
    for penalty in PENALTIES:
        predicted = fit.predict(rotated, interpolated, penalty).reshape(truth.shape)
        errors.append(np.nansum((predicted - truth) ** 2, axis=(0, 1)))
    return np.asarray(errors)


def _coefficients(
    tables: "_Tables",
    around: np.ndarray,
    groups: Sequence[np.ndarray],
    warming: "_Warming",
    chosen: _Chosen,
    scales: dict[tuple[float, float], np.ndarray],
) -> TargetCoefficients:
    """Coefficients of the target nodes of all groups for the chosen settings."""
    channels, targets = tables.x.shape[-1], len(chosen.penalty)
    slopes = np.zeros((*around.shape, channels, targets), np.float32)
    factors, constants = (np.zeros((len(around), targets), np.float32) for _ in range(2))
    for nodes in groups:
        tables_of = {w: _training(tables, around, nodes, warming, x) for w, x in scales.items()}
        for i, (penalty, window) in enumerate(zip(chosen.penalty, chosen.window, strict=True)):
            table, corrections, interpolated = tables_of[window]
            of_nodes, factor, constant = solve_partitioned(
                table, corrections[:, i::targets], interpolated[:, i::targets], penalty
            )
            scaled = of_nodes.reshape(*around.shape[1:], -1, len(nodes)) * scales[window][:, None]
            slopes[nodes, ..., i] = np.moveaxis(scaled, -1, 0)
            factors[nodes, i], constants[nodes, i] = factor, constant
    return TargetCoefficients(slopes, factors, constants, chosen.penalty, np.asarray(chosen.window))


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
    def of(cls, normaliser: Normaliser, offset: tuple[float, float]) -> "_Warming":
        """Deviations for an offset."""
        spread = warming_spread(normaliser.predictors, offset)
        channels = spread[normaliser.inputs.predictors] / np.asarray(normaliser.std)
        targets = warming_spread(normaliser.targets, offset) / np.asarray(normaliser.scale)
        return cls(channels, targets)


@dataclass(frozen=True)
class _Tables:
    """Days as the regression sees them, scaled.

    Attributes:
        x: channels at the mesh [days, Nm, C].
        start: what is corrected [days, Nt, T].
        y: the corrections [days, Nt, T].
        block: number of each day's block of years [days], None for one block.
    """

    x: np.ndarray
    start: np.ndarray
    y: np.ndarray
    block: np.ndarray | None

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
        blocks = [samples.block[part] for samples, part in days if samples.block is not None]
        return cls(x, start, y, np.concatenate(blocks) if blocks else None)

    def without(self, block: int | None) -> "_Tables":
        """Days of all other blocks; all days for None."""
        return self if block is None else self._of(self.block != block)

    def of_block(self, block: int | None) -> "_Tables":
        """Days of a block; all days for None."""
        return self if block is None else self._of(self.block == block)

    def _of(self, days: Any) -> "_Tables":
        return _Tables(self.x[days], self.start[days], self.y[days], None)


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


def _groups(around: np.ndarray, nodes: np.ndarray) -> Iterator[np.ndarray]:
    """Yield those of some target nodes that share their mesh nodes."""
    order = nodes[np.argsort(around[nodes, 0], kind="stable")]
    starts = np.flatnonzero(np.diff(around[order, 0], prepend=-1))
    yield from np.split(order, starts[1:])


def _fit(
    tables: _Tables, around: np.ndarray, nodes: np.ndarray, warming: _Warming, scale: np.ndarray
) -> PartitionedFit:
    """Fit the target nodes that share their mesh nodes to channels times a scale [C]."""
    table, corrections, interpolated = _training(tables, around, nodes, warming, scale)
    return Design.of(table).fit_partitioned(corrections, interpolated)


def _training(
    tables: _Tables, around: np.ndarray, nodes: np.ndarray, warming: _Warming, scale: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Table of the channels [T, K C], the corrections and the interpolated values [T, N]."""
    table = _columns(tables.x, around[nodes[0]], scale)
    interpolated = _flat(tables.start[:, nodes])
    corrections = _flat(without_gaps(tables.y[:, nodes])[0])
    if warming.channels.any():
        channels, targets = (
            np.tile(spread, count)
            for spread, count in (
                (warming.channels * scale, around.shape[1]),
                (warming.targets, len(nodes)),
            )
        )
        table = _with_pair(table, channels)
        interpolated = _with_pair(interpolated, targets)
        corrections = _with_pair(corrections, np.zeros(corrections.shape[1]))
    return table, corrections, interpolated


def _with_pair(table: np.ndarray, spread: np.ndarray) -> np.ndarray:
    """Days [T, ...] with a pair added that has the moments of a warming."""
    return np.concatenate([table, table.mean(axis=0) + warm_and_cold(spread, len(table))])


def _columns(x: np.ndarray, nodes: np.ndarray, scale: np.ndarray) -> np.ndarray:
    return _flat(x[:, nodes] * scale)


def _flat(values: np.ndarray) -> np.ndarray:
    """Values of days [T, ...] as a table [T, columns]."""
    return values.reshape(len(values), -1).astype(np.float64)
