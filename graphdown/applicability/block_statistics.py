"""Statistics of seasons and years as a whole: their usual values and how far they range."""

from dataclasses import dataclass

import numpy as np

from graphdown.applicability.day_measures import SEASONS, seasons_of
from graphdown.applicability.present_values import mean_of_present

FEW_DAYS = 20
NARROWEST = 0.5  # half-width, of the spread of days: one source and few years range too little


@dataclass(frozen=True, eq=False)
class SeenDays:
    """Days of all sources at the reference points.

    Attributes:
        fields: predictors [days, P, V].
        states: the same as the network takes them.
        measures: [days, V, M].
        months: of the days, 0 to 11.
        group: number of the source and year of a day.
        follows: whether a day follows the one before it.
        held_out: whether the network did not learn from it.
    """

    fields: np.ndarray
    states: np.ndarray
    measures: np.ndarray
    months: np.ndarray
    group: np.ndarray
    follows: np.ndarray
    held_out: np.ndarray

    def where(self, keep: np.ndarray) -> "SeenDays":
        """Some of the days."""
        return SeenDays(**{name: values[keep] for name, values in vars(self).items()})


def block_statistics(seen: SeenDays, usual: np.ndarray) -> dict[str, np.ndarray]:
    """Attributes of `TrainingClimate` on single seasons and years, by name.

    Args:
        seen: training days and held-out ones.
        usual: mean field by month [12, P, V].
    """
    shape = (len(SEASONS), *seen.measures.shape[1:])
    found = {
        name: np.full(shape, np.nan)
        for name in ("least", "greatest", "centre", "half_width", "day_spread")
    }
    count, variables = len(SEASONS), shape[1]
    found |= {n: np.full((count, variables), np.nan) for n in ("likeness", "least_likeness")}
    found["season_days"] = np.zeros(count)
    season = seasons_of(seen.months)
    for number in range(count):
        if (season == number).any():
            of_season = _of_season(seen.where(season == number), usual)
            for name, value in of_season.items():
                found[name][number] = value
    memory = np.stack([_memory(part, usual) for part in _groups(seen)])
    found["memory"] = mean_of_present(memory, axis=0)
    found["least_memory"] = np.fmin.reduce(memory, axis=0)
    return found


def _of_season(seen: SeenDays, usual: np.ndarray) -> dict[str, np.ndarray]:
    """Statistics of one season, by name."""
    groups = [part for part in _groups(seen) if len(part.months) >= FEW_DAYS] or [seen]
    with np.errstate(invalid="ignore"):
        means = np.stack([part.measures.mean(axis=0) for part in groups])
        spreads = np.stack([part.measures.std(axis=0) for part in groups])
    centre = 0.5 * (means.min(axis=0) + means.max(axis=0))
    day_spread = spreads.mean(axis=0)
    half = np.maximum(0.5 * np.ptp(means, axis=0), 2.0 * means.std(axis=0))
    half = np.maximum(half, NARROWEST * day_spread)
    alike = np.stack(
        [likeness(part.fields.mean(axis=0), usual[part.months].mean(axis=0)) for part in groups]
    )
    return {
        "least": seen.measures.min(axis=0),
        "greatest": seen.measures.max(axis=0),
        "centre": centre,
        "half_width": half,
        "day_spread": day_spread,
        "likeness": alike.mean(axis=0),
        "least_likeness": alike.min(axis=0),
        "season_days": np.asarray(np.median([len(part.months) for part in groups])),
    }


def _groups(seen: SeenDays) -> list[SeenDays]:
    return [seen.where(seen.group == group) for group in np.unique(seen.group)]


def likeness(field: np.ndarray, usual: np.ndarray) -> np.ndarray:
    """Correlation over points [V] of fields [P, V]."""
    one, other = (values - values.mean(axis=0) for values in (field, usual))
    size = np.sqrt((one**2).sum(axis=0) * (other**2).sum(axis=0))
    return np.asarray((one * other).sum(axis=0) / np.where(size > 0, size, np.nan))


def _memory(seen: SeenDays, usual: np.ndarray) -> np.ndarray:
    """Memory [V] of the regional means of some days; see `memory_of`."""
    anomaly = (seen.fields - usual[seen.months]).mean(axis=1)
    sums, counts = by_month(anomaly, seen.months)
    steps = np.square(np.diff(anomaly, axis=0))[seen.follows[1:]]
    return memory_of(np.square(anomaly).sum(axis=0), sums, counts, steps.sum(axis=0), len(steps))


def by_month(values: np.ndarray, months: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Sums [12, V] of values [days, V] by month, and numbers of days [12]."""
    belongs = (months == np.arange(12)[:, None]).astype(np.float64)
    return belongs @ values, belongs.sum(axis=1)


def memory_of(
    squares: np.ndarray, sums: np.ndarray, counts: np.ndarray, steps: np.ndarray, pairs: int
) -> np.ndarray:
    """Correlation [V] with the step before: 1 - half the mean squared step over the variance.

    The variance is that within months, so that a calendar that does not fit has no memory.

    Args:
        squares: sum of squares of the values [V].
        sums, counts: of the values and days by month [12, V] and [12].
        steps: sum of squared differences between days in a row [V], so many pairs.
    """
    if pairs < FEW_DAYS:
        return np.full(squares.shape, np.nan)
    between = np.square(sums) / np.maximum(counts, 1.0)[:, None]
    variance = (squares - between.sum(axis=0)) / counts.sum()
    return np.asarray(1.0 - 0.5 * steps / pairs / np.where(variance > 0, variance, np.nan))
