"""Floor of a score: what a perfect emulator gets on the same days, by chance of the weather."""

from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING

import numpy as np
import xarray as xr

from graphdown.evaluation.days import Days
from graphdown.evaluation.ensemble import member_dim
from graphdown.evaluation.evaluate import evaluate
from graphdown.evaluation.measures import MEASURES, Measure

if TYPE_CHECKING:
    import pandas as pd

LEAST_YEARS = 10
GROUPS = (
    "variance",
    "distribution",
    "temperature extremes",
    "precipitation",
    "structure",
    "multivariate",
    "persistence",
)
BIASES = ("bias", "mean_bias")
DAY_BY_DAY = ("fss",)
Scores = dict[tuple[str, str], float]  # by variable and measure


def has_floor(measure: Measure) -> bool:
    """Whether a measure compares climates, not fields day by day, so that resampling floors it."""
    if measure.perfect is None or measure.name in DAY_BY_DAY:
        return False
    return measure.group in GROUPS or measure.name in BIASES


def ensemble_floor(prediction: xr.Dataset, most: int = 10) -> xr.Dataset:
    """Score of members for each other, which are to each other as the truth is to a perfect one.

    Args:
        prediction: an ensemble, as for `evaluate_ensemble`.
        most: pairs of members that are compared, each member with the next one.

    Returns:
        The measures of `evaluate`, means over the pairs of their distances from a perfect score.

    Raises:
        ValueError: fewer than two members.
    """
    dim = member_dim(prediction)
    count = 0 if dim is None else prediction.sizes[dim]
    if count < 2:
        raise ValueError(
            f"The prediction has {count} members; the floor of an ensemble needs two or more."
        )
    pairs = [(k, (k + 1) % count) for k in range(1 if count == 2 else min(count, most))]
    members = [prediction.isel({dim: k}, drop=True) for k in range(count)]
    return _mean_distance([evaluate(members[a], members[b]) for a, b in pairs], lambda m: True)


def climate_floor(truth: xr.Dataset, draws: int = 10, seed: int = 0) -> xr.Dataset:
    """Score of the truth of drawn years for the truth, for measures that compare climates.

    In each year stand the days of a year that is drawn with replacement, in their calendar order;
    with fewer than ten years, in each month those of the same calendar month of a drawn year
    (Kunsch 1989, doi:10.1214/aos/1176347265). Days that the drawn block lacks are left out. It is
    the chance of other weather in the same climate: an emulator that is told the weather of each
    day may get below it, and one that is not has more, since the truth's own years are among the
    drawn ones.

    Args:
        truth: daily fields of two years or more.
        draws: how often years are drawn.
        seed: of the draws.

    Returns:
        The measures of `evaluate` that `has_floor`, means over the draws of their distances from a
        perfect score.

    Raises:
        ValueError: fewer than two years.
    """
    scores = []
    for rows in resampled_days(truth["time"], draws, seed):
        there = np.nonzero(rows >= 0)[0]
        real = truth.isel(time=there)
        drawn = truth.isel(time=rows[there]).assign_coords(time=real["time"])
        scores.append(evaluate(drawn, real))
    return _mean_distance(scores, has_floor)


def climate_floors(truths: Mapping[str, xr.Dataset], draws: int = 4) -> dict[str, xr.Dataset]:
    """Floors of several cases, as of `climate_floor`, without those of fewer than two years.

    Args:
        truths: of each case.
        draws: how often years are drawn.
    """
    years = {case: Days.from_index(ds["time"].to_index()).years for case, ds in truths.items()}
    return {case: climate_floor(ds, draws) for case, ds in truths.items() if years[case] > 1}


def resampled_days(time: xr.DataArray, draws: int, seed: int) -> Iterator[np.ndarray]:
    """Yield for each draw the index of the day that stands in for each day [T], -1 for none.

    Raises:
        ValueError: fewer than two years.
    """
    days = Days.from_index(time.to_index())
    if days.years < 2:
        raise ValueError("The truth has fewer than two years; its years cannot be resampled.")
    clock = days.time_of_day.astype(np.int64)
    place = time.dt.month.values * 100 + time.dt.day.values
    index = {key: t for t, key in enumerate(zip(days.year, place, clock, strict=True))}
    rng = np.random.default_rng(seed)
    by_month = days.years < LEAST_YEARS
    for _ in range(draws):
        blocks = rng.integers(days.years, size=(days.years, 13 if by_month else 1))
        chosen = blocks[days.year, days.month if by_month else 0]
        keys = zip(chosen, place, clock, strict=True)
        found = np.array([index.get(key, -1) for key in keys])
        yield np.where(days.year >= 0, found, -1)


def _mean_distance(scores: list[xr.Dataset], chosen: Callable[[Measure], bool]) -> xr.Dataset:
    """Mean over scores of the distances from a perfect one, of measures that have one."""
    names = [
        name
        for name, measure in MEASURES.items()
        if name in scores[0] and measure.perfect is not None and chosen(measure)
    ]
    stacked = xr.concat([score[names] for score in scores], "draw", combine_attrs="override")
    perfect = xr.Dataset({name: MEASURES[name].perfect for name in names})
    with xr.set_options(keep_attrs=True):
        return abs(stacked - perfect).mean("draw")


def with_floors(scores: "pd.DataFrame", floors: Mapping[str, xr.Dataset]) -> "pd.DataFrame":
    """Tidy table of scores with the columns `floor` and `above`, NaN where there is no floor.

    Args:
        scores: as of `score_cases`.
        floors: of each case, as of `climate_floor` or `ensemble_floor`.

    Returns:
        The table; `above` is the distance from a perfect score less the floor.
    """
    known = {case: _by_variable(floor) for case, floor in floors.items()}
    keys = zip(scores["case"], scores["variable"], scores["measure"], strict=True)
    floor = np.array([known.get(c, {}).get((v, m), np.nan) for c, v, m in keys])
    distances = [
        MEASURES[name].distance(value)
        for name, value in zip(scores["measure"], scores["value"], strict=True)
    ]
    return scores.assign(floor=floor, above=np.asarray(distances) - floor)


def _by_variable(floor: xr.Dataset) -> Scores:
    return {
        (str(variable), str(name)): float(values.sel(variable=variable))
        for name, values in floor.data_vars.items()
        for variable in floor["variable"].values
    }
