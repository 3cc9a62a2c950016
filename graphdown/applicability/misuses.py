"""What is strange about an input as a whole, each named by one sentence."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import combinations
from typing import Literal

import numpy as np

from graphdown.applicability.block_statistics import FEW_DAYS
from graphdown.applicability.day_measures import MEAN, ROUGHNESS, SEASONS, SPREAD, WET
from graphdown.applicability.input_tally import InputTally
from graphdown.applicability.present_values import mean_of_present, ratio
from graphdown.variables.catalogue import describe

EDGE, OUTSIDE = 2.0, 3.5  # half-widths of the training's seasons
ALIKE, UNLIKE = 0.6, 1.0  # least likeness that says something, and its loss (Fisher's z)
FORGETFUL = 0.5  # of the training's memory
FEWER_WET = 0.3  # of the training's share
SMOOTHER = -1.25  # half-widths, in the median over variables
SOMEWHAT_SMOOTH, SMOOTH = 0.87, 0.78  # of the training's variation over short distances
OTHER_UNITS = 20.0  # factor of the mean
KELVIN = 273.15
Severity = Literal["edge", "outside"]


@dataclass(frozen=True)
class Finding:
    """Something strange about an input.

    Attributes:
        name: of the kind of finding.
        variables: in question.
        sentence: what it is, and what to check.
        severity: whether the input is at the edge of the training or outside.
        seasons: in which it shows, names of SEASONS; empty for all.
    """

    name: str
    variables: tuple[str, ...]
    sentence: str
    severity: Severity = "outside"
    seasons: tuple[str, ...] = ()


Turned = Callable[[], dict[str, np.ndarray]]


def misuses(tally: InputTally, turned: Turned) -> list[Finding]:
    """What is strange about an input, the plainest cause of each thing alone.

    Args:
        tally: of its days.
        turned: likeness [4, V] of its mean fields, turned over, by words for how; asked for only
            if the fields are unlike those of the training.
    """
    found = [*_constant(tally)]
    found += _units(tally, _told(found))
    found += _exchanged(tally, _told(found))
    found += _order_of_days(tally, _told(found))
    found += _places(tally, turned, _told(found))
    found += _wet_days(tally, _told(found))
    found += _roughness(tally, _told(found))
    shuffled = any(finding.name == "order of days" for finding in found)
    return found if shuffled else [*found, *_means(tally, _told(found))]


def _told(found: list[Finding]) -> set[str]:
    return {variable for finding in found for variable in finding.variables}


def _constant(tally: InputTally) -> Iterator[Finding]:
    spread, usual = tally.measures[..., SPREAD], tally.climate.centre[..., SPREAD]
    for v, name in enumerate(tally.climate.predictors):
        if np.fmax.reduce(ratio(spread[:, v], usual[:, v]), initial=0.0) < 1e-3 and _there(
            tally, v
        ):
            mean = mean_of_present(tally.measures[:, v, MEAN])
            yield Finding(
                "constant",
                (name,),
                f"{name!r} has the same value ({mean:.4g}) all over the region; look whether the "
                "file holds it at all",
            )


def _units(tally: InputTally, told: set[str]) -> Iterator[Finding]:
    strange = tally.strangeness[..., MEAN]
    for v, name in _untold(tally, told):
        ours, theirs = _overall(tally, v)
        if not np.fmax.reduce(np.abs(strange[:, v]), initial=0.0) > OUTSIDE or not theirs:
            continue
        factor = ours / theirs
        variable = describe(name)
        if variable.is_temperature and abs(abs(ours - theirs) - KELVIN) < 40.0:
            reason = "it looks like degC labelled K, or the reverse"
        elif not variable.is_temperature and (factor > OTHER_UNITS or 0 < factor < 1 / OTHER_UNITS):
            if tally.climate.least[..., v, MEAN].min() < -abs(theirs):
                continue  # of both signs, so that a ratio of means says nothing
            if variable.is_precipitation and factor < 1:
                continue  # drought and units look alike; the wet days tell
            reason = f"it is {factor:.3g} times that of the training"
        else:
            continue
        yield Finding(
            "units",
            (name,),
            f"{name!r} has a mean of {ours:.4g} (in {variable.units}), that of the training is "
            f"{theirs:.4g}: {reason}; check the units",
        )


def _exchanged(tally: InputTally, told: set[str]) -> Iterator[Finding]:
    """Pairs of variables of which each fits the other's climate and not its own."""
    climate, measures = tally.climate, tally.measures[..., :WET]
    width = np.maximum(climate.half_width, 1e-30)[..., :WET]
    centre = climate.centre[..., :WET]

    def misfit(values: int, place: int) -> float:
        part = np.abs(measures[:, values, : SPREAD + 1] - centre[:, place, : SPREAD + 1])
        return float(np.nan_to_num(part / width[:, place, : SPREAD + 1]).max())

    for (i, one), (j, other) in combinations(_untold(tally, told), 2):
        if describe(one).units != describe(other).units:
            continue
        own = max(misfit(i, i), misfit(j, j))
        if own > OUTSIDE and 2.0 * max(misfit(i, j), misfit(j, i)) < own:
            yield Finding(
                "exchanged",
                (one, other),
                f"{one!r} looks like the training's {other!r} and the reverse: they seem to be "
                "exchanged; check names and levels",
            )


def _order_of_days(tally: InputTally, told: set[str]) -> Iterator[Finding]:
    climate, memory = tally.climate, tally.memory
    usual = np.where(climate.least_memory > 0.15, climate.least_memory, np.nan)
    places = [v for v, _ in _untold(tally, told) if np.isfinite(memory[v] / usual[v])]
    if not places:
        return
    share = memory[places] / usual[places]
    if np.median(share) < FORGETFUL:
        worst = places[int(share.argmin())]
        yield Finding(
            "order of days",
            (),
            f"days do not follow each other as in the training (correlation of "
            f"{climate.predictors[worst]!r} with the day before {memory[worst]:.2f}, in training "
            f"{climate.memory[worst]:.2f}): the calendar seems to be shuffled; check the times",
        )


def _places(tally: InputTally, turned: Turned, told: set[str]) -> Iterator[Finding]:
    """Variables whose mean fields are unlike those of the training's region."""
    telling = {v for v, _ in _untold(tally, told) if _telling(tally, v)}
    unlike = {v for v in telling if _unlike(tally.likeness, tally, v)}
    if not unlike:
        return
    names = tuple(tally.climate.predictors[v] for v in sorted(unlike))
    listed = ", ".join(map(repr, names))
    for way, likeness in turned().items():
        if all(not _unlike(likeness, tally, v) for v in unlike):
            text = f"{listed}: the field is {way}; check the order of rows and coordinates"
            yield Finding("turned", names, text)
            return
    least = np.fmin.reduce(tally.likeness[:, sorted(unlike)], axis=None)
    if 2 * len(unlike) > len(telling):
        whose = "the fields seem to be of another region, or displaced"
    else:
        whose = "the field seems to be of another region or variable, or displaced"
    text = (
        f"the mean of {listed} does not look like the training's (correlation down to "
        f"{least:.2f}): {whose}; check the coordinates"
    )
    yield Finding("region", names, text)


def _telling(tally: InputTally, v: int) -> bool:
    least = tally.climate.least_likeness[:, v]
    return bool(np.fmin.reduce(np.where(tally.days > 0, least, np.nan), initial=1.0) > ALIKE)


def _unlike(likeness: np.ndarray, tally: InputTally, v: int) -> bool:
    """Whether a variable's mean field is far less alike than any of the training in all seasons."""
    seasons = tally.days >= FEW_DAYS
    if not seasons.any():
        return False
    least = tally.climate.least_likeness[seasons, v]
    loss = np.arctanh(np.clip(least, -0.999, 0.999)) - np.arctanh(
        np.clip(likeness[seasons, v], -0.999, 0.999)
    )
    short = np.sqrt(tally.climate.season_days[seasons] / tally.days[seasons])
    loss = (loss / np.maximum(short, 1.0))[np.isfinite(loss)]
    return bool(len(loss) and np.median(loss) > UNLIKE)


def _wet_days(tally: InputTally, told: set[str]) -> Iterator[Finding]:
    ours, theirs = tally.measures[..., WET], tally.climate.centre[..., WET]
    strange = tally.strangeness[..., WET]
    for v, name in _untold(tally, told):
        seasons = np.isfinite(strange[:, v])
        if not seasons.any():
            continue
        share, usual = ours[seasons, v].mean(), theirs[seasons, v].mean()
        if strange[seasons, v].min() < -OUTSIDE and share < FEWER_WET * usual:
            yield Finding(
                "wet days",
                (name,),
                f"{name!r} is above 1 mm day-1 on {in_percent(share)} of days and places, in "
                f"training on {in_percent(usual)}: there are hardly any wet days; check its units "
                "and its model",
            )


def _roughness(tally: InputTally, told: set[str]) -> Iterator[Finding]:
    strange = mean_of_present(tally.strangeness[..., ROUGHNESS], axis=0)
    usual = tally.climate.centre[..., ROUGHNESS]
    shares = mean_of_present(ratio(tally.measures[..., ROUGHNESS], usual), axis=0)
    places = [v for v, _ in _untold(tally, told) if np.isfinite(strange[v])]
    if not places:
        return
    typical, share = float(np.median(strange[places])), float(np.median(shares[places]))
    if typical < SMOOTHER and share < SOMEWHAT_SMOOTH:
        yield Finding(
            "smooth",
            (),
            f"fields vary over short distances {in_percent(1 - share)} less than the training's: "
            "the source seems to be smoothed or interpolated from a coarser grid; take its "
            "original fields",
            "outside" if share < SMOOTH else "edge",
        )
    elif typical > OUTSIDE:
        yield Finding(
            "rough",
            (),
            f"fields vary over short distances {in_percent(share - 1)} more than the training's: "
            "they seem to be noisy or of a point, not means over cells; check the source",
        )


def _means(tally: InputTally, told: set[str]) -> Iterator[Finding]:
    """Variables whose mean is higher or lower than in any season of the training."""
    strange = tally.strangeness[..., MEAN]
    for v, name in _untold(tally, told):
        part = np.nan_to_num(strange[:, v])
        most = float(np.abs(part).max())
        if most <= EDGE:
            continue
        season = int(np.abs(part).argmax())
        shift = tally.measures[season, v, MEAN] - tally.climate.centre[season, v, MEAN]
        seasons = tuple(SEASONS[s] for s in np.flatnonzero(np.abs(part) > EDGE))
        yield Finding(
            "mean",
            (name,),
            f"{name!r} is {_amount(name, float(shift))} than usual in training in "
            f"{SEASONS[season]}, {most:.1f} times as far from it as seasons of the training range",
            "outside" if most > OUTSIDE else "edge",
            seasons,
        )


def _amount(name: str, shift: float) -> str:
    words = ("warmer", "colder") if describe(name).is_temperature else ("higher", "lower")
    units = describe(name).units
    unit = "" if units == "1" else f" {units}"
    return f"{abs(shift):.3g}{unit} {words[int(shift < 0)]}"


def in_percent(share: float) -> str:
    """Share as whole per cents."""
    return f"{100 * share:.0f} %"


def _overall(tally: InputTally, v: int) -> tuple[float, float]:
    """Means of a variable over the seasons that both the input and the training have."""
    ours, theirs = tally.measures[:, v, MEAN], tally.climate.centre[:, v, MEAN]
    both = np.isfinite(ours) & np.isfinite(theirs)
    return (float(ours[both].mean()), float(theirs[both].mean())) if both.any() else (0.0, 0.0)


def _untold(tally: InputTally, told: set[str]) -> list[tuple[int, str]]:
    names = enumerate(tally.climate.predictors)
    return [(v, name) for v, name in names if name not in told and _there(tally, v)]


def _there(tally: InputTally, v: int) -> bool:
    """Whether an input has a variable in a season that the training knows."""
    known = (tally.days > 0) & (tally.climate.season_days > 0)
    return bool(np.isfinite(tally.measures[known, v, MEAN]).any())
