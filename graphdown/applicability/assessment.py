"""Whether an emulator may be used on an input: the verdict, the reasons and the days."""

import dataclasses
from collections.abc import Generator
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal

import numpy as np
import xarray as xr

from graphdown.applicability.block_statistics import likeness
from graphdown.applicability.day_measures import (
    MEAN,
    SEASONS,
    DayMeter,
    follows_of,
    months_of,
    own_step,
    seasons_of,
)
from graphdown.applicability.input_tally import InputTally
from graphdown.applicability.misuses import EDGE, Finding, in_percent, misuses
from graphdown.applicability.novelty_meter import NOVELTY, NOVELTY_ATTRS, covers_region
from graphdown.applicability.present_values import mean_of_present
from graphdown.applicability.training_climate import TrainingClimate
from graphdown.data.reading.rules import counted
from meshes import EARTH_RADIUS_KM, Grid
from meshes.geometry.neighbours import nearest_points
from meshes.geometry.sphere import angle_to_chord, xyz_to_lonlat

NOT_CALIBRATED = (
    "not known, for there was nothing to calibrate on; graphdown evaluate calibrates a run on the "
    "days that it did not learn from"
)
Verdict = Literal["inside", "edge", "outside"]
PLACES = {
    "inside": "inside the range of the training",
    "edge": "at the edge of the range of the training",
    "outside": "outside of the range of the training",
}
SOME_FAR, MOST_FAR = 0.12, 0.6  # shares of days
VERY_FAR = 1.5  # novelty, for the median day
ENOUGH_DAYS = 20
UNEVEN = 1.3
MUCH_OUTSIDE = 0.1  # share of a target
STRETCHES, STRETCH = 24, 10  # of days that are sampled
GOLDEN = 0.618


@dataclass(frozen=True, eq=False)
class Assessment:
    """Whether an emulator may be used on an input.

    Attributes:
        novelty: distance of each day from the training [time]; above 1 is far.
        means: of the predictors over the region [time, predictor].
        findings: what is strange about the input as a whole.
        strangeness: of the means by season and predictor, in half-widths of the training's range.
        where: part of the region that is farthest from the training, in words.
        expected_error: of the targets, in words.
    """

    novelty: xr.DataArray
    means: xr.DataArray
    findings: tuple[Finding, ...]
    strangeness: xr.DataArray
    where: str
    expected_error: str = NOT_CALIBRATED

    @property
    def far_share(self) -> float:
        """Share of the days that are farther than 99 % of the held-out days of the training."""
        return float((self.novelty > 1.0).mean())

    @property
    def verdict(self) -> Verdict:
        """Whether the input is inside of what was learned, at its edge or outside."""
        severities = {finding.severity for finding in self.findings}
        share = self.far_share if self.novelty.size >= ENOUGH_DAYS else 0.0
        very_far = float(self.novelty.median()) > VERY_FAR
        if "outside" in severities or share > MOST_FAR or very_far:
            return "outside"
        return "edge" if severities or share > SOME_FAR else "inside"

    def to_dataset(self) -> xr.Dataset:
        """Novelty by day and strangeness by season and variable, the verdict as an attribute."""
        attrs = {
            "verdict": self.verdict,
            "findings": "; ".join(self.sentences),
            "where": self.where,
            "expected_error": self.expected_error,
        }
        return xr.Dataset({"novelty": self.novelty, "strangeness": self.strangeness}, attrs=attrs)

    def to_dict(self) -> dict[str, Any]:
        """The verdict and its reasons as plain values that json can write."""
        return {
            "verdict": self.verdict,
            "times": int(self.novelty.size),
            "far_share": self.far_share,
            "findings": [dataclasses.asdict(finding) for finding in self.findings],
            "variables": self.variables,
            "where": self.where,
            "expected_error": self.expected_error,
        }

    @property
    def sentences(self) -> list[str]:
        """What is strange, one sentence each without a full stop."""
        return [finding.sentence for finding in self.findings]

    @property
    def sentence(self) -> str:
        """Verdict, days and variables in one sentence without a full stop."""
        listed = ", ".join(self.variables)
        most = f" most in {listed};" if listed else ""
        reasons = f"; {'; '.join(self.sentences)}" if self.findings else ""
        return (
            f"The input lies {PLACES[self.verdict]}:{most} {in_percent(self.far_share)} of "
            f"{counted(self.novelty.size, 'time')} looked at are farther from it than 99 % of its "
            f"own held-out days{reasons}"
        )

    @property
    def variables(self) -> list[str]:
        """Variables beyond the training's range, the farthest first."""
        size = abs(self.strangeness).fillna(0.0).max(dim="season").to_series()
        named = {v for finding in self.findings for v in finding.variables}
        order = size.sort_values(ascending=False)
        return [str(v) for v, amount in order.items() if v in named or amount > EDGE]

    def to_text(self) -> str:
        """The verdict in five lines."""
        days = counted(self.novelty.size, "time")
        far = f"{in_percent(self.far_share)} of {days} are farther from it than 99 % of its own"
        place = PLACES[self.verdict]
        head = f"{place[0].upper()}{place[1:]}: {far} held-out days."
        reasons = "; ".join(self.sentences) or self._no_reason
        return "\n".join(
            (
                head,
                f"Why: {reasons}.",
                f"Variables: {', '.join(self.variables) or 'none'}; {self._seasons()}.",
                f"Where: {self.where}.",
                f"Expected error: {self.expected_error}.",
            )
        )

    @property
    def _no_reason(self) -> str:
        if self.verdict == "outside":
            return "no measure alone, but fields of single days are unlike those of the training"
        return "no measure of the input as a whole lies beyond the training's range"

    def _seasons(self) -> str:
        """Share of far days in each season."""
        season = seasons_of(months_of(self.novelty.time))
        parts = [
            f"{name} {in_percent(float((self.novelty.values[season == s] > 1).mean()))}"
            for s, name in enumerate(SEASONS)
            if (season == s).any()
        ]
        return f"far days by season: {', '.join(parts)}"


def sampled(size: int) -> np.ndarray:
    """Numbers of times, out of so many, by which an input is judged before it is downscaled.

    They are stretches of days in a row, spread unevenly so that all seasons are among them.
    """
    if size <= STRETCHES * STRETCH:
        return np.arange(size)
    spacing = size / STRETCHES
    turn = np.arange(STRETCHES)
    first = ((turn + turn * GOLDEN % 1.0 * (1.0 - STRETCH / spacing)) * spacing).astype(int)
    return np.unique((first[:, None] + np.arange(STRETCH)).clip(max=size - 1))


def assess(
    climate: TrainingClimate,
    grid: Grid,
    parts: Generator[np.ndarray],
    time: xr.DataArray,
    predictors: tuple[str, ...],
    target: Grid,
) -> Assessment:
    """Compare days of a source with the training climate.

    Args:
        climate: of the training.
        grid: of the source, N nodes.
        parts: yields the predictors [days, N, V].
        time: of all days.
        predictors: names of the V predictors.
        target: that the days are to be downscaled to.
    """
    if not covers_region(grid, climate.points):
        return _unknown(climate, time)
    meter, places = DayMeter.of(climate.points, grid, climate.predictors), own_step(predictors)
    tally, months, follows = InputTally(climate), months_of(time), follows_of(time)
    novelty, total, start = np.zeros(time.size, np.float32), np.zeros(()), 0
    means = np.zeros((time.size, len(places)), np.float32)
    with closing(parts):
        for part in parts:
            values = part[..., places]
            rows = slice(start, start + len(part))
            start += len(part)
            days = meter(values)
            tally.add(days, months[rows], follows[rows])
            novelty[rows] = climate.novelty_of(days.fields, months[rows])
            means[rows] = days.measures[..., MEAN]
            total = total + values.sum(axis=0, dtype=np.float64)
    turned = partial(_turned, climate, tally, meter, grid, total / max(time.size, 1))
    return Assessment(
        novelty=xr.DataArray(novelty, {"time": time}, ("time",), NOVELTY, NOVELTY_ATTRS),
        means=_of_times(climate, time, means),
        findings=(*_other_target(climate, target), *misuses(tally, turned)),
        strangeness=_by_predictor(climate, tally.strangeness[..., MEAN]),
        where=_where(tally),
    )


def _unknown(climate: TrainingClimate, time: xr.DataArray) -> Assessment:
    """Assessment of a source that does not cover the region of the training."""
    text = (
        "the input does not cover the region of the training, so that its distance from the "
        "training is not known"
    )
    novelty = np.full(time.size, np.nan, np.float32)
    return Assessment(
        novelty=xr.DataArray(novelty, {"time": time}, ("time",), NOVELTY, NOVELTY_ATTRS),
        means=_of_times(climate, time, np.full((time.size, len(climate.predictors)), np.nan)),
        findings=(Finding("region", (), text),),
        strangeness=_by_predictor(climate, np.full(climate.centre.shape[:2], np.nan)),
        where="outside of it",
    )


def _other_target(climate: TrainingClimate, target: Grid) -> list[Finding]:
    """Finding about a target that lies outside of the region of the training."""
    xyz = target.xyz[target.mask]
    near = angle_to_chord(climate.points.spacing_km / EARTH_RADIUS_KM)
    outside = float((nearest_points(climate.points.xyz, xyz)[0][:, 0] > near).mean())
    if outside < MUCH_OUTSIDE:
        return []
    text = (
        f"{in_percent(outside)} of the target lie outside of the region of the training, where the "
        "emulator knows neither climate nor terrain"
    )
    return [Finding("target", (), text)]


def _of_times(climate: TrainingClimate, time: xr.DataArray, values: np.ndarray) -> xr.DataArray:
    coords = {"time": time, "predictor": list(climate.predictors)}
    return xr.DataArray(values, coords, ("time", "predictor"))


def _by_predictor(climate: TrainingClimate, values: np.ndarray) -> xr.DataArray:
    coords = {"season": list(SEASONS), "predictor": list(climate.predictors)}
    return xr.DataArray(values, coords, ("season", "predictor"))


def _turned(
    climate: TrainingClimate, tally: InputTally, meter: DayMeter, grid: Grid, mean: np.ndarray
) -> dict[str, np.ndarray]:
    """Likeness [4, V] of the mean field [N, V] with rows or columns of its grid reversed."""
    if len(grid.shape) != 2:
        return {}
    found = {}
    for axis, way in enumerate(("upside down", "reversed from west to east")):
        turned = np.flip(mean.reshape(*grid.shape, -1), axis).reshape(mean.shape)
        field = meter.narrow @ turned
        found[way] = np.stack([likeness(field, usual) for usual in tally.usual])
    return found


def _where(tally: InputTally) -> str:
    """Part of the region with the largest mean differences, in words."""
    anomalies, level = tally.anomalies, tally.climate.level_of_fields
    size = np.sqrt(mean_of_present(np.square(anomalies / level), axis=(0, 2)))
    lon, lat = xyz_to_lonlat(tally.climate.xyz.astype(np.float64))
    lon = (lon - lon[0] + 180.0) % 360.0 - 180.0
    east, north = lon > np.median(lon), lat > np.median(lat)
    quarters = {
        f"{a}-{b}": float(size[(north == (a == "north")) & (east == (b == "east"))].mean())
        for a in ("north", "south")
        for b in ("east", "west")
        if ((north == (a == "north")) & (east == (b == "east"))).any()
    }
    worst = max(quarters, key=quarters.__getitem__)
    if quarters[worst] < UNEVEN * np.median(list(quarters.values())):
        return "all over the region alike"
    return f"most in its {worst}"
