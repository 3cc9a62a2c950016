"""Fit the errors to expect on days that the network did not learn from."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import xarray as xr

from graphdown.applicability.day_errors import DayErrors
from graphdown.applicability.day_measures import months_of, seasons_of
from graphdown.applicability.error_calibration import (
    SPANS,
    ErrorCalibration,
    span_labels,
    span_novelty,
)

COVERED = 0.9
FEWEST_SPANS = 24  # below, the ends of a 90 % interval are not known
FEW_DAYS = 15
ROUNDS = 12
GREATEST_POWER = 1.5


@dataclass(frozen=True, eq=False)
class SpanErrors:
    """Errors of months or seasons, N of them, in T targets.

    Attributes:
        novelty: of the spans [N].
        season: they belong to [N].
        rmse, bias: [N, T].
        amount: mean amounts of the targets, see `amounts_of` [N, T].
        group: name of the source [N].
    """

    novelty: np.ndarray
    season: np.ndarray
    rmse: np.ndarray
    bias: np.ndarray
    amount: np.ndarray
    group: np.ndarray

    def where(self, keep: np.ndarray) -> "SpanErrors":
        """Some of the spans."""
        return SpanErrors(**{name: values[keep] for name, values in vars(self).items()})


def span_errors(
    group: str, novelty: xr.DataArray, amount: np.ndarray, errors: DayErrors, span: str
) -> SpanErrors:
    """Errors by month or season.

    Args:
        group: name of the source.
        novelty: of the days [time].
        amount: of the targets [time, T], see `amounts_of`.
        errors: of the days.
        span: "month" or "season".
    """
    label = span_labels(novelty.time, span)
    season = seasons_of(months_of(novelty.time))
    rows = [r for n in np.unique(label) if len(r := np.flatnonzero(label == n)) >= FEW_DAYS]
    count = errors.weight.shape[-1]
    return SpanErrors(
        novelty=np.asarray([span_novelty(novelty.values[days]) for days in rows]),
        season=np.asarray([int(season[days[0]]) for days in rows], np.int64),
        rmse=np.asarray([errors.rmse(days) for days in rows]).reshape(-1, count),
        bias=np.asarray([errors.bias(days) for days in rows]).reshape(-1, count),
        amount=np.asarray([amount[days].mean(axis=0) for days in rows]).reshape(-1, count),
        group=np.full(len(rows), group, dtype=f"U{max(len(group), 1)}"),
    )


def joined(parts: Sequence[SpanErrors]) -> SpanErrors:
    """Spans of several groups together."""
    return SpanErrors(
        **{name: np.concatenate([vars(part)[name] for part in parts]) for name in vars(parts[0])}
    )


def fit_error_calibration(
    errors: SpanErrors, targets: Sequence[str], span: str
) -> ErrorCalibration | None:
    """Fit monotone maps from novelty to errors; None if there are too few spans.

    In logarithms, each target's RMSE is the sum of that of its season, that of its source, which
    counts as none for others, a multiple of the amount, and a term that never falls with novelty
    (pools of adjacent violators), fitted in turns. Intervals are conformal: from the ratios of true
    to expected errors of each group, by the fit to the others (cross-conformal prediction, Vovk
    2015).

    Args:
        errors: of days that the network did not learn from.
        targets: their names.
        span: of the errors, "month" or "season".
    """
    if len(errors.novelty) < FEWEST_SPANS:
        return None
    whole = ErrorCalibration(
        names=np.asarray(targets),
        span=np.asarray(span),
        **_maps(errors),
        ratios=np.ones((2, len(targets))),
        groups=np.unique(errors.group),
        spans=np.asarray(len(errors.novelty)),
    )
    ratios = conformal_ends(np.concatenate(list(_left_out_ratios(errors, whole))))
    return ErrorCalibration(**{**whole.arrays(), "ratios": ratios})


def best_span(days: int) -> str:
    """The longer span if so many held-out days are enough of them."""
    month, season = SPANS
    return season if days >= 92 * FEWEST_SPANS * 1.5 else month


def _left_out_ratios(errors: SpanErrors, whole: ErrorCalibration) -> list[np.ndarray]:
    """Ratios of true to expected RMSE of each part, by the fit to the others."""
    groups = np.unique(errors.group)
    part = np.searchsorted(groups, errors.group)
    if len(groups) < 2:
        part = np.arange(len(errors.novelty)) * 4 // len(errors.novelty)
    found = []
    for number in np.unique(part):
        arrays = whole.arrays() | _maps(errors.where(part != number))
        left = errors.where(part == number)
        expected = ErrorCalibration(**arrays).rmse(left.novelty, left.season, left.amount)[..., 0]
        found.append(left.rmse / np.maximum(expected, 1e-30))
    return found


def conformal_ends(ratios: np.ndarray) -> np.ndarray:
    """Ends [2, T] between which 90 % of further ratios [N, T] lie, by their ranks."""
    ordered = np.sort(ratios, axis=0)
    count = len(ordered)
    tail = 0.5 * (1.0 - COVERED) * (count + 1)
    low, high = max(int(np.floor(tail)) - 1, 0), min(int(np.ceil(count + 1 - tail)) - 1, count - 1)
    return np.stack([ordered[low], ordered[high]])


def _maps(errors: SpanErrors) -> dict[str, np.ndarray]:
    """Attributes `base`, `novelty`, `power`, `factor` and `bias` of `ErrorCalibration`."""
    ordered = errors.where(np.argsort(errors.novelty, kind="stable"))
    terms = [_terms(ordered, t) for t in range(errors.rmse.shape[1])]
    base, power, factor = (np.stack(column, axis=-1) for column in zip(*terms, strict=True))
    bias = [_rising(column) for column in np.abs(ordered.bias).T]
    return {
        "base": np.exp(base),
        "novelty": ordered.novelty,
        "power": power,
        "factor": np.exp(factor),
        "bias": np.stack(bias, axis=-1),
    }


def _terms(errors: SpanErrors, t: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Terms of a target's RMSE: of the season [4], of the amount, and of the novelty [N].

    The power of the amount is that within sources and seasons.
    """
    size = np.log(np.maximum(errors.rmse[:, t], 1e-30))
    amount = np.log(errors.amount[:, t])
    source = np.unique(errors.group, return_inverse=True)[1]
    cell = np.unique(4 * source + errors.season, return_inverse=True)[1]
    within = amount - _means(amount, cell)[cell]
    base, novel, power, own = np.full(4, np.nan), np.zeros(len(size)), 0.0, np.zeros(len(size))
    for _ in range(ROUNDS):
        left = size - novel - power * amount - own
        for season in np.unique(errors.season):
            base[season] = left[errors.season == season].mean()
        own_mean = _means(size - novel - power * amount - base[errors.season], source)
        own = (own_mean - own_mean.mean())[source]
        rest = size - base[errors.season] - own
        if (within**2).sum() > 0:
            slope = (within * (rest - novel)).sum() / (within**2).sum()
            power = float(np.clip(slope, 0.0, GREATEST_POWER))
        novel = _rising(rest - power * amount)
        novel -= novel.mean()
    return base, np.asarray(power), novel


def _means(values: np.ndarray, label: np.ndarray) -> np.ndarray:
    """Mean of values [N] by label [N], numbers from 0."""
    return np.bincount(label, values) / np.bincount(label)


def _rising(values: np.ndarray) -> np.ndarray:
    """Values [N] nearest to those given that never fall."""
    from scipy.optimize import isotonic_regression

    return np.asarray(isotonic_regression(values).x)
