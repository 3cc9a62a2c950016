"""The climate that an emulator was trained in, as predictors show it at the reference points."""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from functools import cached_property
from typing import Any

import numpy as np

from graphdown.applicability.day_measures import MEAN, MEASURES, seasons_of, to_states
from graphdown.applicability.present_values import mean_of_present
from graphdown.applicability.reference_points import ReferencePoints


@dataclass(frozen=True, eq=False)
class TrainingClimate:
    """Statistics of the training days and of the validation days, none of which knows a grid.

    V predictors at P points, in K leading patterns, with M measures of a day (`MEASURES`); seasons
    are those of `SEASONS`.

    Attributes:
        names: of the predictors that are compared [V]; those of other steps are left out.
        transforms: of the predictors in the patterns, by name of the transform [V].
        xyz: reference points, unit vectors [P, 3].
        radius_km: of the means around them.
        mean: by month, over the months before and after too [12, P, V]; NaN for months without
            days.
        usual: the same of the fields without transforms [12, P, V].
        level: typical difference of a value from that mean [V].
        patterns: leading EOFs of the standardised differences [K, P * V].
        spread: standard deviation of the days' shares in them [K].
        residual: root mean square of what is left of a day.
        limits: the greatest distance of 99 % of the validation days by season, in the patterns and
            in what is left [4, 2].
        least, greatest: measures of single days [4, V, M].
        centre, half_width: of the measures' means over single seasons [4, V, M].
        day_spread: standard deviation of the measures of days in a season [4, V, M].
        season_days: of a single season [4]; 0 for seasons without training.
        likeness, least_likeness: correlation of a season's mean field with `usual`, usual and
            least [4, V].
        memory, least_memory: correlation of the regional mean with that of the step before [V].
        spacing_km: of the finest and of the coarsest training grid [2].
    """

    names: np.ndarray
    transforms: np.ndarray
    xyz: np.ndarray
    radius_km: np.ndarray
    mean: np.ndarray
    usual: np.ndarray
    level: np.ndarray
    patterns: np.ndarray
    spread: np.ndarray
    residual: np.ndarray
    limits: np.ndarray
    least: np.ndarray
    greatest: np.ndarray
    centre: np.ndarray
    half_width: np.ndarray
    day_spread: np.ndarray
    season_days: np.ndarray
    likeness: np.ndarray
    least_likeness: np.ndarray
    memory: np.ndarray
    least_memory: np.ndarray
    spacing_km: np.ndarray

    def arrays(self) -> dict[str, np.ndarray]:
        """The statistics as arrays by name."""
        return {field.name: getattr(self, field.name) for field in fields(self)}

    @classmethod
    def of_arrays(cls, arrays: Mapping[str, np.ndarray]) -> "TrainingClimate":
        """Rebuild from `arrays`; raises a `KeyError` if one is absent."""
        return cls(**{field.name: arrays[field.name] for field in fields(cls)})

    @cached_property
    def predictors(self) -> tuple[str, ...]:
        """Names of the predictors that are compared."""
        return tuple(str(name) for name in self.names)

    @cached_property
    def points(self) -> ReferencePoints:
        """The reference points."""
        return ReferencePoints(self.xyz.astype(np.float64), float(self.radius_km))

    def standardised(self, states: np.ndarray, months: np.ndarray) -> np.ndarray:
        """Differences of states [days, P, V] from the mean of their months, in levels of a day.

        Those of months that training has no days of are from the nearest month that it has; those
        of absent predictors are 0.
        """
        return np.nan_to_num((states - self.mean[self.nearest_month[months]]) / self.level)

    def distances(self, standardised: np.ndarray) -> np.ndarray:
        """Distance of days from the training in its patterns and outside of them [days, 2].

        In the patterns it is Mahalanobis', as a root mean square over patterns, outside of them the
        root mean square of what is left, against that of the training: both about 1 for its days.
        """
        flat = standardised.reshape(len(standardised), -1)
        shares = flat @ self.patterns.T
        left = flat - shares @ self.patterns
        within = np.sqrt(np.mean(np.square(shares / self.spread), axis=1))
        outside = np.sqrt(np.mean(np.square(left), axis=1)) / float(self.residual)
        return np.stack([within, outside], axis=1)

    def novelty_of(self, fields: np.ndarray, months: np.ndarray) -> np.ndarray:
        """The novelty [days] of fields at the reference points [days, P, V].

        It is the larger one of the distances, each against its limit: above 1 is far.
        """
        states = to_states(fields, [str(t) for t in self.transforms], self.predictors)
        distances = self.distances(self.standardised(states, months))
        return np.asarray((distances / self.limits[seasons_of(months)]).max(axis=1))

    @cached_property
    def nearest_month(self) -> np.ndarray:
        """The month nearest to each that the training has days of, or around [12]."""
        known = np.flatnonzero(self.season_months)
        gaps = np.abs(np.arange(12)[:, None] - known)
        return known[np.minimum(gaps, 12 - gaps).argmin(axis=1)]

    @cached_property
    def season_months(self) -> np.ndarray:
        """Whether a month has training days or neighbours with some [12]."""
        return np.isfinite(self.mean).any(axis=(1, 2))

    @cached_property
    def level_of_fields(self) -> np.ndarray:
        """Typical spread of a predictor's regional mean from day to day [V]."""
        spread = mean_of_present(self.day_spread[..., MEAN], axis=0)
        return np.where(spread > 0, spread, 1.0)

    @property
    def schema(self) -> dict[str, Any]:
        """What the statistics are of, as plain values."""
        return {"predictors": list(self.predictors), "measures": list(MEASURES)}
