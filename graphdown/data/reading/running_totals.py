"""Running totals: recognised by how they run, and differenced.

At a place a running total rises and falls only where it starts again, at all places at once. A
total of each interval falls somewhere at nearly every step.
"""

from dataclasses import dataclass, field

import numpy as np
import xarray as xr

from graphdown.data.reading.dates import DAY, second_of_day, seconds_of
from graphdown.data.reading.rules import refuse

ROUNDING = 1e-3  # of the largest total: packing makes totals fall so far
LEAST_RISE = 1e-6  # of the largest total: what counts as rain at all
RESET = 0.1  # share of wet places that fall where totals start again
MANY = 8  # steps, or wet places, from which a pattern is no chance
WINDOWS, WINDOW_TIMES, LEAST_TIMES = 3, 100, 24
WINDOW_BYTES = 64 * 2**20
FEW = 0.01  # share of places where noise may make a total fall that surely continues
# Whether a total continues the one before, beside 0 and 1.
EXPECTED, BY_VALUES = 0.5, -1.0
# Shares of steps without a fall, and of falls that follow a fall, that tell totals apart.
MOST, MOST_WIDE, HALF = 0.85, 0.65, 0.4
OFTEN_TOGETHER, RARELY_TOGETHER = 0.35, 0.1
MANY_DRY, FEW_DRY = 0.15, 0.03  # shares of totals that stay the same
WIDE = 400  # places of which some are wet in nearly every hour of a rainy day


@dataclass(frozen=True)
class Steps:
    """How totals change from one time to the next [step].

    Attributes:
        wet: number of places with a total before the step.
        fallen: share of these whose total falls.
        rises: whether a total rises anywhere.
        zero: whether every total is zero afterwards.
        same: share of the wet places whose total stays the same.
        clock: seconds since 00 UTC of the time before the step.
        follows: whether the step before is the one before in the file.
        places: number of places.
        alike: whether all values are one and the same.
    """

    wet: np.ndarray
    fallen: np.ndarray
    rises: np.ndarray
    zero: np.ndarray
    same: np.ndarray
    clock: np.ndarray
    follows: np.ndarray
    places: int
    alike: bool


@dataclass(frozen=True)
class Resets:
    """Where totals start again.

    Attributes:
        clock: seconds since 00 UTC at which totals start again every day.
        only_there: whether they never do at another hour.
        starts_at_zero: whether the first value of a total is a zero over no time.
    """

    clock: frozenset[int] = field(default_factory=frozenset)
    only_there: bool = False
    starts_at_zero: bool = False


def looked_at(values: xr.DataArray) -> Steps:
    """Changes in up to three windows of a field [time, ...], at most some 100 times in all."""
    times = values.sizes["time"]
    bytes_of_one = 4 * max(1, values.size // max(1, times))
    count = int(np.clip(WINDOW_BYTES // bytes_of_one, LEAST_TIMES, WINDOW_TIMES))
    if times <= count:
        return _steps(values)
    length = count // WINDOWS
    begins = np.linspace(0, times - length, WINDOWS).astype(int)
    parts = [_steps(values.isel(time=slice(b, b + length))) for b in begins]
    joined = {
        name: np.concatenate([getattr(part, name) for part in parts])
        for name in ("wet", "fallen", "rises", "zero", "same", "clock", "follows")
    }
    alike = all(part.alike for part in parts)
    return Steps(**joined, places=parts[0].places, alike=alike)


def _steps(values: xr.DataArray) -> Steps:
    totals = values.transpose("time", ...).values.reshape(values.sizes["time"], -1)
    wet, fallen, rises, zero, same = changes(totals[:-1], totals[1:])
    clock = second_of_day(values["time"])[:-1]
    follows = np.arange(len(clock)) > 0
    there = totals[np.isfinite(totals)]
    alike = bool(there.size and there.min() == there.max())
    return Steps(wet, fallen, rises, zero, same, clock, follows, totals.shape[1], alike)


def changes(before: np.ndarray, after: np.ndarray) -> tuple[np.ndarray, ...]:
    """Wet places, share of them that falls, any rise, zeros everywhere, share unchanged [time].

    Args:
        before, after: totals [time, place] one step apart; missing values are left out.
    """
    there = np.isfinite(before) & np.isfinite(after)
    largest = np.where(there, before, 0.0).max(axis=1, initial=0.0)[:, None]
    noise = ROUNDING * largest
    with np.errstate(invalid="ignore"):
        wet = there & (before > noise)
        fallen = wet & (after < before - noise)
        rises = (there & (after > before + LEAST_RISE * largest)).any(axis=1)
        zero = there.any(axis=1) & ~(there & (after != 0)).any(axis=1)
        same = wet & (np.abs(after - before) <= LEAST_RISE * largest)
    number = wet.sum(axis=1)
    falling, staying = (part.sum(axis=1) / np.maximum(number, 1) for part in (fallen, same))
    return number, falling, rises, zero, staying


def is_running(steps: Steps, precipitation: bool = True) -> bool | None:
    """Whether totals run up, None if the steps do not show it.

    Args:
        steps: of non-negative totals.
        precipitation: False for radiation, which rises and falls with the sun everywhere at once.
    """
    told = steps.wet > 0
    falls = told & (steps.fallen > 0)
    rising = told & ~falls & steps.rises
    if not told.any() or steps.alike or (falls.any() and not rising.any()):
        return False
    quiet = float((~falls[told]).mean())
    together = float((falls[1:] & falls[:-1] & steps.follows[1:]).sum() / max(1, falls.sum()))
    wide = bool(np.median(steps.wet[told]) >= MANY)
    mostly = quiet >= (MOST_WIDE if wide and precipitation else MOST)
    if told.sum() >= MANY and rising.sum() > 1:
        if mostly:
            return True
        many = falls.sum() >= 2 * MANY
        if precipitation and quiet >= HALF and together <= RARELY_TOGETHER and (wide or many):
            return True
        if many and not wide:
            return False
        if precipitation and quiet >= HALF and wide and many:
            return _by_dry_places(float(steps.same[told & ~falls].mean()))
    stays = told & ~falls & (steps.wet >= MANY)
    dry = precipitation and stays.sum() > 2 and steps.same[stays].mean() >= MANY_DRY
    often = quiet < HALF or together >= OFTEN_TOGETHER
    return False if often and not (mostly or dry) else None


def _by_dry_places(same: float) -> bool | None:
    """Whether totals run up, as the share of them that stays exactly the same shows it.

    A running total stays where it is dry; a total of an interval is hardly ever the one before.
    """
    if same >= MANY_DRY:
        return True
    return False if same < FEW_DRY else None


def resets_of(steps: Steps) -> Resets:
    """Where running totals start again, as far as the steps show it."""
    told = steps.wet > 0
    again = told & (steps.fallen >= RESET)
    clock = {
        int(second)
        for second in np.unique(steps.clock[again])
        if again[steps.clock == second].sum() > 1
        and np.array_equal(again[steps.clock == second], told[steps.clock == second])
    }
    only_there = bool(np.isin(steps.clock[again], list(clock)).all())
    at_zero = again.sum() > 1 and steps.places >= WIDE and bool(steps.zero[again].all())
    return Resets(frozenset(clock), only_there and bool(clock), at_zero)


@dataclass(frozen=True)
class Differencing:
    """Rates from running totals, block by block.

    Attributes:
        name: CF/CMIP name.
        where: for messages.
        non_negative: whether totals can only rise.
        starts_at_zero: whether the first value of a total is a zero over no time.
    """

    name: str
    where: str
    non_negative: bool
    starts_at_zero: bool = False

    def lazily(
        self, totals: xr.DataArray, seconds: np.ndarray, continues: np.ndarray
    ) -> xr.DataArray:
        """Rates [time, ...] in units of the total per second.

        Args:
            totals: [time, ...].
            seconds: what each value covers since the time before [time].
            continues: 1 where a total continues the one before, 0 where it starts again, EXPECTED
                where it does unless many places say otherwise, BY_VALUES elsewhere [time].
        """
        space = [d for d in totals.dims if d != "time"]
        if totals.chunks is not None:
            totals = totals.chunk(dict.fromkeys(space, -1))
        along = [xr.DataArray(a, dims="time") for a in (seconds, continues)]
        if totals.chunks is not None:
            along = [a.chunk(time=totals.variable.chunksizes["time"]) for a in along]
        out = xr.apply_ufunc(
            self.block,
            totals,
            totals.shift(time=1),
            *along,
            input_core_dims=[space, space, [], []],
            output_core_dims=[space],
            dask="parallelized",
            output_dtypes=[np.float64 if totals.dtype.itemsize > 4 else np.float32],
            keep_attrs=True,
        )
        return out.transpose(*totals.dims).assign_attrs(totals.attrs).rename(totals.name)

    def block(
        self, after: np.ndarray, before: np.ndarray, seconds: np.ndarray, continues: np.ndarray
    ) -> np.ndarray:
        """Rates of an array, see `lazily`.

        Raises:
            DataError: totals fall in few places, where none starts again.
        """
        flat = after.reshape(len(after), -1)
        earlier = before.reshape(len(after), -1)
        wet, fallen, _, zero, _ = changes(earlier, flat)
        goes_on = self._goes_on(wet, fallen, continues)
        if self.starts_at_zero:
            flat = np.where((zero & ~goes_on)[:, None], np.nan, flat)
        rates = flat - np.where(goes_on[:, None], earlier, 0.0)
        if self.non_negative:
            rates = np.where(goes_on[:, None] & (rates < 0), 0.0, rates)
        out = rates / seconds[:, None]
        kind = np.float64 if after.dtype.itemsize > 4 else np.float32
        return out.reshape(after.shape).astype(kind)

    def _goes_on(self, wet: np.ndarray, fallen: np.ndarray, continues: np.ndarray) -> np.ndarray:
        known = (continues == 0) | (continues == 1)
        if not self.non_negative:
            return continues == 1
        few = np.where(known, (continues == 1) & (fallen > FEW), (fallen > 0) & (fallen < RESET))
        if few.any():
            share = 100 * fallen[few].max()
            raise refuse(
                "running-total-falls",
                f"{self.where}: {self.name!r} holds running totals, but at some time they fall at "
                f"{share:.2g} % of the wet places and not at all of them; give totals that start "
                "again everywhere at once, or rates.",
            )
        expected = (continues == EXPECTED) & (wet < MANY)
        return np.where(known, continues == 1, (fallen < RESET) & ~expected)


def starts_again(time: xr.DataArray, resets: Resets, at_midnight: bool) -> np.ndarray:
    """Whether a running total is expected to start again between a time and the one before.

    Args:
        time: sorted times.
        resets: found in the values.
        at_midnight: whether it does so at 00 UTC where the values do not say when.
    """
    clock = resets.clock or (frozenset({0}) if at_midnight else frozenset())
    since = second_of_day(time) - np.asarray(sorted(clock), np.float64)[:, None]
    since = np.where(since <= 0, since + DAY, since).min(axis=0, initial=np.inf)
    steps = np.diff(seconds_of(time))
    return since <= np.concatenate([[np.inf], steps])


def seconds_since_start(time: xr.DataArray, resets: Resets, at_midnight: bool) -> float:
    """Seconds that the first of running totals covers, not a number if unknown."""
    clock = resets.clock if resets.only_there else frozenset({0}) if at_midnight else frozenset()
    since = float(second_of_day(time[:1])[0]) - np.asarray(sorted(clock), np.float64)
    return float(np.where(since <= 0, since + DAY, since).min(initial=np.inf)) if clock else np.nan
