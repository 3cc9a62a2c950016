"""Running totals over the days of an input, from which it is judged as a whole."""

import numpy as np

from graphdown.applicability.block_statistics import by_month, likeness, memory_of
from graphdown.applicability.day_measures import MEASURES, SEASONS, MeasuredDays, seasons_of
from graphdown.applicability.training_climate import TrainingClimate


class InputTally:
    """Totals over days that are added in order, in memory that does not grow with them.

    Args:
        climate: of the training, to compare with.

    Attributes:
        days: number of days by season [4].
        beyond: number of days by season on which a measure lies outside of the training's range
            [4, V, M].
    """

    def __init__(self, climate: TrainingClimate) -> None:
        points, variables = climate.usual.shape[1:]
        self.climate = climate
        self.days = np.zeros(len(SEASONS))
        self.beyond = np.zeros((len(SEASONS), variables, len(MEASURES)))
        self._measures = np.zeros_like(self.beyond)
        self._fields = np.zeros((len(SEASONS), points, variables))
        self._usual = np.zeros_like(self._fields)
        self._squares, self._steps = np.zeros((2, variables))
        self._sums, self._counts = np.zeros((12, variables)), np.zeros(12)
        self._pairs = 0
        self._last: np.ndarray | None = None

    def add(self, days: MeasuredDays, months: np.ndarray, follows: np.ndarray) -> None:
        """Add days in order.

        Args:
            days: measured.
            months: of the days, 0 to 11.
            follows: whether a day follows the one before it.
        """
        climate, season = self.climate, seasons_of(months)
        usual = climate.usual[climate.nearest_month[months]]
        least, greatest = climate.least[season], climate.greatest[season]
        margin = 0.25 * (greatest - least)
        out = (days.measures < least - margin) | (days.measures > greatest + margin)
        for number in np.unique(season):
            of_season = season == number
            self.days[number] += of_season.sum()
            self.beyond[number] += out[of_season].sum(axis=0)
            self._measures[number] += days.measures[of_season].sum(axis=0)
            self._fields[number] += days.fields[of_season].sum(axis=0)
            self._usual[number] += usual[of_season].sum(axis=0)
        self._add_steps((days.fields - usual).mean(axis=1), months, follows)

    def _add_steps(self, anomaly: np.ndarray, months: np.ndarray, follows: np.ndarray) -> None:
        before = anomaly[:1] if self._last is None else self._last
        steps = np.square(np.diff(anomaly, axis=0, prepend=before))
        valid = follows & ((np.arange(len(follows)) > 0) | (self._last is not None))
        sums, counts = by_month(anomaly, months)
        self._sums += sums
        self._counts += counts
        self._squares += np.square(anomaly).sum(axis=0)
        self._steps += steps[valid].sum(axis=0)
        self._pairs += int(valid.sum())
        self._last = anomaly[-1:]

    @property
    def measures(self) -> np.ndarray:
        """Means of the measures by season [4, V, M], NaN without days."""
        return self._by_season(self._measures)

    @property
    def fields(self) -> np.ndarray:
        """Mean fields by season [4, P, V], NaN without days."""
        return self._by_season(self._fields)

    @property
    def usual(self) -> np.ndarray:
        """Fields that are usual in training in the months of the days, by season [4, P, V]."""
        return self._by_season(self._usual)

    @property
    def anomalies(self) -> np.ndarray:
        """Mean differences from the fields that are usual in training [4, P, V]."""
        return self._by_season(self._fields - self._usual)

    @property
    def likeness(self) -> np.ndarray:
        """Correlation of the mean fields with those that are usual in training [4, V]."""
        pairs = zip(self._by_season(self._fields), self._by_season(self._usual), strict=True)
        return np.stack([likeness(field, usual) for field, usual in pairs])

    @property
    def memory(self) -> np.ndarray:
        """Correlation [V] of the regional means with those of the step before; NaN for few days."""
        return memory_of(self._squares, self._sums, self._counts, self._steps, self._pairs)

    @property
    def strangeness(self) -> np.ndarray:
        """Difference of the measures from the training's, in half-widths [4, V, M].

        Half-widths are of single seasons and wider for fewer days than a season has.
        """
        climate, days = self.climate, np.maximum(self.days, 1.0)[:, None]
        kept = np.clip(np.nan_to_num(climate.memory), 0.0, 0.95)
        inflation = (1 + kept) / (1 - kept)
        whole = np.maximum(climate.season_days, 1.0)[:, None]
        error = np.sqrt(inflation * np.maximum(1 / days - 1 / whole, 0.0))[..., None]
        width = climate.half_width + 2.0 * climate.day_spread * error
        with np.errstate(invalid="ignore", divide="ignore"):
            return np.asarray((self.measures - climate.centre) / width)

    def _by_season(self, totals: np.ndarray) -> np.ndarray:
        days = self.days.reshape(-1, *[1] * (totals.ndim - 1))
        return np.where(days > 0, totals / np.maximum(days, 1.0), np.nan)
