"""Scores of a task by seed, with the draws that their intervals come from.

Intervals cover what the days and the seeds leave open: days are resampled in each run
(`graphdown.evaluation.bootstrap`), and in each draw as many seeds as there are, with replacement.
Draws of one source are paired between runs, those of different sources are independent.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import xarray as xr

from graphdown.evaluation.bootstrap import interval
from graphdown.evaluation.measures import MEASURES
from graphdown.runtime.random_streams import RandomStream
from graphdown.transfer.plan import Task
from graphdown.transfer.study_run import DRAWS


@dataclass(frozen=True, eq=False)
class Values:
    """A measure by seed.

    Attributes:
        by_seed: on the days as they are [seeds].
        draws: on resampled days [seeds, draws]; None for a measure that is not resampled.
    """

    by_seed: np.ndarray
    draws: np.ndarray | None

    def __sub__(self, other: "Values") -> "Values":
        """Return the difference seed by seed, or to the only seed, and draw by draw."""
        if self.draws is None or other.draws is None:
            return Values(self.by_seed - other.by_seed, None)
        return Values(self.by_seed - other.by_seed, self.draws - other.draws)

    @classmethod
    def mean_of(cls, parts: Sequence["Values"]) -> "Values":
        """Return the mean of several, seed by seed and draw by draw."""
        draws = [part.draws for part in parts if part.draws is not None]
        mean_draws = np.mean(draws, axis=0) if len(draws) == len(parts) else None
        return cls(np.mean([part.by_seed for part in parts], axis=0), mean_draws)

    @property
    def mean(self) -> float:
        """Mean over the seeds."""
        return float(self.by_seed.mean())

    def columns(self, name: str = "value") -> dict[str, float]:
        """Return mean, standard deviation over the seeds and 95 % interval as a table's columns."""
        seeds = len(self.by_seed)
        spread = float(self.by_seed.std(ddof=1)) if seeds > 1 else np.nan
        low, high = self._interval()
        prefix = "" if name == "value" else f"{name}_"
        return {
            name: self.mean,
            f"{prefix}spread": spread,
            f"{prefix}low": low,
            f"{prefix}high": high,
        }

    def _interval(self) -> tuple[float, float]:
        if self.draws is None:
            return np.nan, np.nan
        seeds = len(self.by_seed)
        random = np.random.default_rng(RandomStream.STUDY_SEEDS)
        chosen = random.integers(seeds, size=(seeds, self.draws.shape[1]))
        return interval(self.mean, np.take_along_axis(self.draws, chosen, axis=0).mean(axis=0))


@dataclass(frozen=True, eq=False)
class Scored:
    """The scores of a task's runs.

    Attributes:
        sources: names.
        units: by variable.
        arrays: by measure [seeds, source, variable]; resampled ones, with `DRAWS` at the end of
            their names, [seeds, source, variable, draw].
    """

    sources: tuple[str, ...]
    units: dict[str, str]
    arrays: dict[str, np.ndarray]

    @classmethod
    def of(cls, runs: Sequence[xr.Dataset]) -> "Scored":
        """Return the scores of one dataset for each seed, see `graphdown.transfer.study_run`."""
        first = runs[0]
        names = [str(n) for n in first if str(n).removesuffix(DRAWS) in MEASURES]
        names = [n for n in names if all(n in run for run in runs)]
        dims = ("source", "variable", ...)
        variables = map(str, first["variable"].values)
        return cls(
            tuple(map(str, first["source"].values)),
            dict(zip(variables, map(str, first["units"].values), strict=True)),
            {n: np.stack([run[n].transpose(*dims).values for run in runs]) for n in names},
        )

    @property
    def seeds(self) -> int:
        """Number of runs."""
        return len(next(iter(self.arrays.values())))

    def values(self, source: str, variable: str, measure: str, distance: bool = False) -> Values:
        """Return a measure on a source, or its distance from the perfect value."""
        place = self.sources.index(source), [*self.units].index(variable)
        perfect = MEASURES[measure].perfect if distance else None

        def select(name: str) -> np.ndarray:
            array = self.arrays[name][:, *place]
            return array if perfect is None else np.abs(array - perfect)

        resampled = f"{measure}{DRAWS}"
        return Values(select(measure), select(resampled) if resampled in self.arrays else None)

    def mean(self, sources: Sequence[str], variable: str, measure: str) -> Values:
        """Return the mean distance from perfect over sources."""
        return Values.mean_of([self.values(s, variable, measure, distance=True) for s in sources])

    def measured(self, scoring: bool = False) -> Iterable[tuple[str, str, str]]:
        """Yield each variable and measure that has values, with its units.

        Args:
            scoring: leave out measures without a perfect value.
        """
        for place, (variable, units) in enumerate(self.units.items()):
            for name, measure in MEASURES.items():
                if scoring and measure.perfect is None:
                    continue
                if name in self.arrays and np.isfinite(self.arrays[name][0, :, place]).any():
                    yield variable, name, measure.units_for(variable, units)


Results = Mapping[Task, Scored]
