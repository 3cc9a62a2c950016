"""Fit the training climate of an emulator on the days that it learned from."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import xarray as xr

from graphdown.applicability.block_statistics import FEW_DAYS, SeenDays, block_statistics
from graphdown.applicability.day_measures import (
    SEASONS,
    DayMeter,
    follows_of,
    months_of,
    own_step,
    seasons_of,
    to_states,
)
from graphdown.applicability.present_values import mean_of_present
from graphdown.applicability.reference_points import ReferencePoints
from graphdown.applicability.training_climate import TrainingClimate
from graphdown.model.transforms import NONE
from meshes import Grid

LEADING = 0.95  # share of the variance in the leading patterns
MOST_PATTERNS = 60
FAR = 0.99  # share of the validation days that are not far
MOST_BYTES = 256 * 2**20  # of the days that are kept to fit on
STRETCH = 30  # days in a row that are kept where not all can be
Values = Callable[[], Iterable[np.ndarray]]


@dataclass(frozen=True, eq=False)
class SourceRecord:
    """Days of a source, to be read in order.

    Attributes:
        name: of the source.
        grid: of the source, N nodes.
        values: yields the predictors [days, N, V] by parts.
        time: of the days [time].
        held_out: whether the network did not learn from them.
    """

    name: str
    grid: Grid
    values: Values
    time: xr.DataArray
    held_out: bool


def fit_climate(
    records: Sequence[SourceRecord],
    predictors: Sequence[str],
    transforms: dict[str, str],
    target: Grid,
    radius_km: float,
) -> TrainingClimate:
    """Fit the climate of training days; limits are those of the days that are held out.

    Without days held out, the training's own count in their place.

    Args:
        records: training days and held-out days of each source.
        predictors: names of all predictors of the records, V.
        transforms: of the predictors, by variable.
        target: the target grid.
        radius_km: of the means around the reference points.
    """
    points = ReferencePoints.over(target, radius_km)
    places = own_step(predictors)
    names = tuple(predictors[place] for place in places)
    chosen = tuple(transforms.get(name, NONE) for name in names)
    total = sum(record.time.size for record in records)
    size = 8 * len(points.xyz) * len(names)
    every = max(1, -(-total * size // MOST_BYTES))
    parts = [_seen(r, n, points, names, chosen, places, every) for n, r in enumerate(records)]
    seen = SeenDays(**{k: np.concatenate([vars(p)[k] for p in parts]) for k in vars(parts[0])})
    return _fitted(seen, points, names, chosen, [r.grid.spacing_km for r in records])


def _seen(
    record: SourceRecord,
    number: int,
    points: ReferencePoints,
    names: tuple[str, ...],
    transforms: tuple[str, ...],
    places: list[int],
    every: int,
) -> SeenDays:
    """Days of a record, or each so-manieth stretch of them."""
    meter = DayMeter.of(points, record.grid, names)
    kept = np.arange(record.time.size) // STRETCH % every == 0
    made = list(_measured(record.values(), meter, places, kept))
    fields, measures = (np.concatenate(column) for column in zip(*made, strict=True))
    time = record.time
    years = time.dt.year.values[kept]
    return SeenDays(
        fields=fields,
        states=to_states(fields, transforms, names),
        measures=measures,
        months=months_of(time)[kept],
        group=1_000_000 * number + years,
        follows=follows_of(time)[kept],
        held_out=np.full(int(kept.sum()), record.held_out),
    )


def _measured(
    parts: Iterable[np.ndarray], meter: DayMeter, places: list[int], kept: np.ndarray
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    start = 0
    for part in parts:
        chosen = np.flatnonzero(kept[start : start + len(part)])
        start += len(part)
        if len(chosen):
            days = meter(part[chosen][..., places])
            yield days.fields, days.measures


def _fitted(
    seen: SeenDays,
    points: ReferencePoints,
    names: tuple[str, ...],
    transforms: tuple[str, ...],
    spacing: Sequence[float],
) -> TrainingClimate:
    trained = seen.where(~seen.held_out)
    mean = _mean_by_month(trained.states, trained.months)
    centred = trained.states - mean[trained.months]
    level = np.sqrt(mean_of_present(np.square(centred), axis=(0, 1)))
    level = np.where(np.nan_to_num(level) > 0, level, 1.0)
    patterns, spread, residual = _leading(np.nan_to_num(centred / level))
    usual = _mean_by_month(trained.fields, trained.months)
    climate = TrainingClimate(
        names=np.asarray(names),
        transforms=np.asarray(transforms),
        xyz=points.xyz,
        radius_km=np.asarray(points.radius_km),
        mean=mean,
        usual=usual,
        level=level.astype(np.float32),
        patterns=patterns,
        spread=spread,
        residual=residual,
        limits=np.ones((len(SEASONS), 2)),
        spacing_km=np.asarray([min(spacing), max(spacing)]),
        **block_statistics(seen, usual),
    )
    reference = seen.where(seen.held_out) if seen.held_out.any() else trained
    standardised = climate.standardised(reference.states, reference.months)
    limits = _limits(climate.distances(standardised), seasons_of(reference.months))
    return TrainingClimate(**{**climate.arrays(), "limits": limits})


def _limits(distances: np.ndarray, season: np.ndarray) -> np.ndarray:
    """Limits [4, 2] of distances [days, 2] by season; of all days for seasons with few."""
    limits = np.tile(np.quantile(distances, FAR, axis=0), (len(SEASONS), 1))
    for number in range(len(SEASONS)):
        if (season == number).sum() >= FEW_DAYS:
            limits[number] = np.quantile(distances[season == number], FAR, axis=0)
    return limits


def _mean_by_month(values: np.ndarray, months: np.ndarray) -> np.ndarray:
    """Mean [12, P, V] of values [days, P, V] by month, the months beside counting half as much."""
    sums = np.zeros((12, *values.shape[1:]))
    counts = np.zeros(12)
    for month in np.unique(months):
        days = values[months == month]
        sums[month], counts[month] = days.sum(axis=0, dtype=np.float64), len(days)

    def beside(part: np.ndarray) -> np.ndarray:
        return part + 0.5 * (np.roll(part, 1, axis=0) + np.roll(part, -1, axis=0))

    total = beside(counts)[:, None, None]
    with np.errstate(invalid="ignore"):
        return np.asarray(np.where(total > 0, beside(sums) / total, np.nan), np.float32)


def _leading(standardised: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Leading EOFs [K, P * V], the spread in each [K] and the root mean square of the rest."""
    flat = standardised.reshape(len(standardised), -1).astype(np.float32)
    values, vectors = np.linalg.eigh((flat.T @ flat).astype(np.float64) / len(flat))
    order = np.argsort(values)[::-1]
    values, vectors = np.maximum(values[order], 0.0), vectors[:, order]
    share = np.cumsum(values) / max(values.sum(), 1e-30)
    count = min(int(np.searchsorted(share, LEADING)) + 1, MOST_PATTERNS, len(flat) - 1)
    count = max(1, min(count, int((values > 0).sum())))
    rest = np.sqrt(max(values[count:].sum(), 1e-12) / flat.shape[1])
    patterns = vectors[:, :count].T.astype(np.float32)
    return patterns, np.sqrt(values[:count]).astype(np.float32), np.asarray(rest)
