"""The regression of each target node on its surroundings, fitted before training."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import product

import numpy as np

from graphdown.data.normalise import Normaliser
from graphdown.model.spec import ModelSpec
from graphdown.runtime.progress import Progress
from graphdown.runtime.threads import in_threads
from graphdown.statistics.partitioned import DaysToPredict
from graphdown.training.regression_days import (
    ChannelSpread,
    RegressionDays,
    Warming,
    day_blocks,
    day_count,
    nodes_present,
)
from graphdown.training.regression_sums import (
    Collected,
    CollectedDays,
    CollectedSums,
    Groups,
    flat,
)
from graphdown.training.samples import Samples
from graphdown.variables.names import lag_of, variable_of

PENALTIES = tuple(10.0 ** (k / 2) for k in range(-4, 9))
CHOOSING_FITS = 240  # most of them to choose the settings by: groups beyond are thinned
COLLECTED_BYTES = 2 * 2**30  # of the groups that are fitted at once
# Of the steps before and after the step itself, if the window has any: the smaller, the more their
# slopes are penalised.
WINDOW_WEIGHTS = ((1.0, 1.0), (0.7, 0.3), (0.3, 0.7), (0.0, 0.0))
WHAT = "the target regression"

Split = tuple[list[int], list[int]]
Scales = dict[tuple[float, float], np.ndarray]


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
    matrix of products. The slopes on these are penalised, each channel in units of its own
    deviation from day to day; the factor of what is interpolated to the node itself is not, so
    that it says how far the interpolation is to be trusted. Penalty and weights of the window's
    steps, one for each target variable, have the least mean square error on the validation days
    or, with folds, on the days of all blocks, each predicted from the other blocks. Days on which a
    target node is missing count as its mean. The warming augmentation of the training step enters
    in closed form, see `Warming`.

    Memory does not grow with the days beyond the number of predictors: they are read in blocks,
    once for each `COLLECTED_BYTES` of what groups are fitted from.

    Args:
        train, validation: days of each source.
        normaliser: names and statistics.
        warming_offset: uniformly drawn kelvin [low, high], as in `TrainingSpec`.
        transforms: of the targets, in whose spaces they are corrected.
        folds: blocks of years that both kinds of samples are divided into, 0 for none.

    Returns:
        The fit without each block; without folds, a single one to all training days.
    """
    warming = Warming.of(normaliser, warming_offset)
    fitting = _Fitting(train, normaliser, transforms, warming, folds)
    groups = Groups.of(np.asarray(train[0].graph.around), nodes_present(train))
    windows = _window_scales(normaliser)
    step = -(-len(groups) * len(fitting.splits) * len(windows) // CHOOSING_FITS)
    chosen: _Chosen | None = None
    coefficients: list[TargetCoefficients] = []
    for portion, thinned in fitting.portions(groups, step):
        collected, unit = fitting.collect(portion)
        if chosen is None:
            scales = {weights: factor / unit for weights, factor in windows.items()}
            blocks = list(fitting.blocks(validation, portion.those(thinned).all_nodes))
            checked = RegressionDays.joined(blocks)
            errors = fitting.errors(collected, portion, thinned, checked, scales)
            chosen = _Chosen.of(errors)
            coefficients = [chosen.zeros(groups.around.shape, len(unit)) for _ in fitting.splits]
        fitting.solve(collected, portion, chosen, scales, coefficients)
    return coefficients


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
        least = table.reshape(-1, table.shape[-1]).argmin(axis=0)
        window, penalty = np.unravel_index(least, table.shape[:2])
        return cls(np.asarray(PENALTIES)[penalty], [weights[w] for w in window])

    def zeros(self, around: tuple[int, ...], channels: int) -> TargetCoefficients:
        """Coefficients of 0, for arrays of mesh nodes [Nt, K]."""
        targets = len(self.penalty)
        factors, constants = (np.zeros((around[0], targets), np.float32) for _ in range(2))
        slopes = np.zeros((*around, channels, targets), np.float32)
        return TargetCoefficients(slopes, factors, constants, self.penalty, np.asarray(self.window))


@dataclass(frozen=True, eq=False)
class _Fitting:
    """What is fitted, and to what.

    Attributes:
        train: days of each source.
        normaliser: names and statistics.
        transforms: of the targets.
        warming: of the augmentation.
        folds: number of blocks of years, 0 for none.
    """

    train: Sequence[Samples]
    normaliser: Normaliser
    transforms: tuple[str, ...]
    warming: Warming
    folds: int

    @property
    def splits(self) -> list[Split]:
        """Numbers of the blocks that are fitted to, and of those whose days choose settings."""
        every = list(range(self.folds))
        return [([f for f in every if f != k], [k]) for k in every] or [([0], [0])]

    def blocks(self, samples: Sequence[Samples], nodes: np.ndarray) -> Iterator[RegressionDays]:
        """Yield days at some target nodes."""
        for block in day_blocks(samples, self.normaliser, self.transforms):
            yield block.at(nodes)

    def portions(self, groups: Groups, step: int) -> Iterator[tuple[Groups, range]]:
        """Yield groups that are fitted at once, with the places of those that choose settings.

        These are every `step`-th group, and come with the first portion.
        """
        numbers = sorted(range(len(groups)), key=lambda number: number % step != 0)
        thinned = -(-len(groups) // step)
        sizes = np.cumsum([len(groups.nodes[number]) for number in numbers])
        most = max(COLLECTED_BYTES // self._node_bytes(groups), 1)
        start = 0
        while start < len(groups):
            before = sizes[start - 1] if start else 0
            end = max(int(np.searchsorted(sizes, before + most, side="right")), start + 1)
            if not start:
                end = max(end, thinned)
            yield groups.those(numbers[start:end]), range(0 if start else thinned)
            start = end

    @property
    def _channels(self) -> int:
        return len(self.normaliser.inputs.predictors)

    def _few(self, groups: Groups) -> bool:
        """Whether the days are no more than the predictors of a target node."""
        return day_count(self.train) <= groups.around.shape[1] * self._channels

    def _node_bytes(self, groups: Groups) -> int:
        """Size of what is collected for a target node."""
        columns = groups.around.shape[1] * self._channels
        values = 4 * day_count(self.train) if self._few(groups) else 8 * columns * len(self.splits)
        return 2 * len(self.normaliser.targets) * values

    def collect(self, groups: Groups) -> tuple[Collected, np.ndarray]:
        """What some groups are fitted from, and the unit of each channel [C]."""
        few, folds = self._few(groups), len(self.splits)
        collected: Collected = (
            CollectedDays(groups, self.warming, day_count(self.train))
            if few
            else CollectedSums(groups, self.warming, folds)
        )
        spread = ChannelSpread()
        with Progress(day_count(self.train), what=f"summing days for {WHAT}", quick=True) as bar:
            for block in self.blocks(self.train, groups.all_nodes):
                collected.add(block)
                spread.add(block.x)
                bar.add(len(block))
        return collected, spread.unit

    def errors(
        self,
        collected: Collected,
        groups: Groups,
        thinned: range,
        checked: RegressionDays,
        scales: Scales,
    ) -> Scales:
        """Sums of squared errors [penalties, T] by weights of the window.

        Args:
            collected: what the groups are fitted from.
            groups: the groups.
            thinned: numbers of those that count.
            checked: days, at the nodes of these.
            scales: factors of the channels [C] by weights of the window.
        """
        places = groups.those(thinned).places
        days_of = [
            checked.those(np.isin(checked.fold, left_out)) if self.folds else checked
            for _, left_out in self.splits
        ]

        def of_one(case: tuple[tuple[float, float], int, int]) -> np.ndarray:
            weights, split, number = case
            scale, days = scales[weights], days_of[split]
            fit = collected.fit(number, self.splits[split][0], scale)
            table = flat(days.x[:, groups.mesh_of(number)] * scale)
            here = places[thinned.index(number)]
            predictors, truth = (
                DaysToPredict(table, flat(days.start[:, here])),
                flat(days.y[:, here]),
            )
            predictions = fit.predict(predictors, PENALTIES)
            errors = [np.nansum((made - truth) ** 2, axis=0) for made in predictions]
            return np.asarray(errors).reshape(len(PENALTIES), -1, checked.y.shape[-1]).sum(axis=1)

        cases = list(product(scales, range(len(self.splits)), thinned))
        errors = {weights: np.zeros((len(PENALTIES), checked.y.shape[-1])) for weights in scales}
        what = f"choosing the penalties of {WHAT}"
        with Progress(len(cases), what=what, unit="fits", quick=True) as bar:
            for (weights, _, _), error in zip(cases, in_threads(of_one, cases), strict=True):
                errors[weights] += error
                bar.add(1)
        return errors

    def solve(
        self,
        collected: Collected,
        groups: Groups,
        chosen: _Chosen,
        scales: Scales,
        coefficients: Sequence[TargetCoefficients],
    ) -> None:
        """Put the coefficients of some groups' target nodes into their places.

        Args:
            collected: what the groups are fitted from.
            groups: the groups.
            chosen: settings.
            scales: factors of the channels [C] by weights of the window.
            coefficients: of each split.
        """
        targets = len(chosen.penalty)

        def solve(number: int) -> None:
            nodes = groups.nodes[number]
            for (learned, _), own in zip(self.splits, coefficients, strict=True):
                for window in set(chosen.window):
                    fit = collected.fit(number, learned, scales[window])
                    for i in (k for k, w in enumerate(chosen.window) if w == window):
                        of_nodes, factors, constants = fit.solve(
                            chosen.penalty[i], slice(i, None, targets)
                        )
                        shape = groups.around.shape[1], self._channels, len(nodes)
                        scaled = of_nodes.reshape(shape) * scales[window][:, None]
                        own.slopes[nodes, ..., i] = np.moveaxis(scaled, -1, 0)
                        own.factors[nodes, i], own.constants[nodes, i] = factors, constants

        with Progress(len(groups), what=f"solving {WHAT}", unit="groups", quick=True) as bar:
            for _ in in_threads(solve, range(len(groups))):
                bar.add(1)


def _window_scales(normaliser: Normaliser) -> Scales:
    """Factors of the channels [C] by the weights of the steps before and after."""
    names = np.asarray(normaliser.predictors)[np.asarray(normaliser.inputs.predictors)]
    lags = np.array([lag_of(str(name)) for name in names])
    candidates = WINDOW_WEIGHTS if lags.any() else WINDOW_WEIGHTS[:1]
    return {
        (before, after): np.where(lags < 0, before, np.where(lags > 0, after, 1.0))
        for before, after in candidates
    }


def regressed(model: ModelSpec, targets: Sequence[str]) -> np.ndarray:
    """Which targets have the regression [T]."""
    chosen = model.regression_targets
    return np.array([not chosen or variable_of(name) in chosen for name in targets])
