"""Amounts to rates: running totals are differenced, totals of an interval divided by it."""

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import xarray as xr

from graphdown.data.reading.amount_intervals import (
    after_gaps,
    begins_days,
    first_step,
    seconds_before,
    usual_step,
)
from graphdown.data.reading.cell_methods import method_of
from graphdown.data.reading.dates import (
    DAY,
    is_date,
    second_of_day,
    seconds_between,
    seconds_of,
    shifted,
    step_of,
)
from graphdown.data.reading.fill_codes import CODES, HUGE
from graphdown.data.reading.grib import LEAD, START, STATISTICS
from graphdown.data.reading.rules import Notes, are, counted, refuse
from graphdown.data.reading.running_totals import (
    BY_VALUES,
    EXPECTED,
    Differencing,
    Resets,
    Steps,
    is_running,
    looked_at,
    resets_of,
    seconds_since_start,
    starts_again,
)
from graphdown.data.reading.time_bounds import BEGIN, END, SLACK, in_middle, with_span
from graphdown.data.reading.time_dimensions import is_since
from graphdown.data.reading.units import amount_refusal, is_amount
from graphdown.errors import DataError
from graphdown.variables.catalogue import describe

LONGEST_FORECAST = 400 * DAY


@dataclass(frozen=True)
class Rate:
    """A field that is no amount any more.

    Attributes:
        field: values [time, ...].
        units: of the values.
        was_amount: whether it held amounts.
    """

    field: xr.DataArray
    units: str | None
    was_amount: bool = False


def as_rate(
    field: xr.DataArray, units: str | None, running: bool, where: str, notes: Notes
) -> Rate:
    """Convert an amount to a rate; anything else is returned unchanged.

    Args:
        field: raw values [time, ...].
        units: of the file, or stated by the user.
        running: whether the user states that it is a running total.
        where: for messages.
        notes: collects what was done.

    Raises:
        DataError: nothing says over which intervals the amounts are.
    """
    if units is None or "time" not in field.dims:
        return Rate(field, units)
    if not running and not is_amount(units, describe(str(field.name)).name):
        return Rate(_over_steps(field), units)
    amounts = _Amounts(_without_codes(field), units, where, notes)
    if BEGIN in field.coords:
        rates = amounts.over_known_intervals(running)
    else:
        amounts = replace(amounts, field=_sorted_by_time(amounts.field))
        rates = amounts.from_running(stated=True) if running else amounts.by_steps()
    rate = "m s-1" if units.startswith("m of") else f"{units} s-1"
    return Rate(rates.assign_attrs(field.attrs).rename(field.name), rate, True)


def without_forecast(field: xr.DataArray, where: str, notes: Notes) -> xr.DataArray:
    """Field without the coordinates of forecasts; the shortest forecast for each time.

    Fields that are no forecast are returned as they are.
    """
    if LEAD not in field.coords:
        return field
    order = np.lexsort([field[LEAD].values, field["time"].values])
    out = field.isel(time=order).drop_vars([START, LEAD])
    kept = out.drop_duplicates("time", keep="first")
    dropped = out.sizes["time"] - kept.sizes["time"]
    if dropped:
        text = f"{counted(dropped, 'time')} of longer forecasts {are(dropped)} left out"
        notes.add("forecast-shortest-lead", where, text, str(field.name))
    return kept


def _over_steps(field: xr.DataArray) -> xr.DataArray:
    """Field of sub-daily statistics by GRIB's step type, which end at their times, as intervals."""
    step = step_of(field["time"])
    if BEGIN in field.coords or field.attrs.get("GRIB_stepType") not in STATISTICS:
        return field
    seconds = seconds_before(field["time"])
    seconds[0] = first_step(field["time"]) or 0.0
    if step is None or not 0 < step < DAY or not _in_order(field["time"]):
        return field
    return _spanning(field, -seconds, np.zeros(len(seconds)))


def _in_order(time: xr.DataArray) -> bool:
    return bool((np.diff(seconds_of(time)) > 0).all())


def _without_codes(field: xr.DataArray) -> xr.DataArray:
    """Field whose undeclared fill values, which a difference would hide, are missing."""
    if field.dtype.kind != "f":
        field = field.astype(np.float64)
    codes = np.asarray([code for code in CODES if code < 0], field.dtype)
    return field.where((abs(field) < HUGE) & ~field.isin(codes))


@dataclass(frozen=True)
class _Amounts:
    """Amounts of a field, to become rates.

    Attributes:
        field: values [time, ...].
        units: of the amounts.
        where: for messages.
        notes: collects what was done.
    """

    field: xr.DataArray
    units: str
    where: str
    notes: Notes

    @cached_property
    def steps(self) -> Steps:
        """Changes of the amounts in a few windows."""
        return looked_at(self.field)

    def over_known_intervals(self, running: bool) -> xr.DataArray:
        """Rates of amounts whose intervals the file states.

        Args:
            running: whether the user says that they are running totals all the same.
        """
        field = _sorted_by_interval(self.field)
        times = seconds_of(field["time"])
        begin, end = (times + field[n].values for n in (BEGIN, END))
        since, continues = _continued(field, begin, end)
        if not continues.any():
            if running or (LEAD not in field.coords and self._surely_runs()):
                return replace(self, field=_at_ends(field)).from_running(running)
            field = self._without_overlap(field)
            return self._divided(field, (field[END] - field[BEGIN]).values)
        begin = np.where(continues, since, begin)
        rates = self._differencing().lazily(field, end - begin, continues.astype(np.float64))
        self._note_differenced(end - begin)
        return _spanning(rates, begin - times, end - times)

    def by_steps(self) -> xr.DataArray:
        """Rates of running totals, or of amounts since the time before."""
        return self.from_running(stated=False) if self._runs() else self._since_time_before()

    def from_running(self, stated: bool) -> xr.DataArray:
        """Rates of running totals, those of unknown time left out.

        Args:
            stated: whether the user says so, so that totals may start again at 00 UTC.
        """
        field = self.field
        seconds, late = seconds_before(field["time"]), after_gaps(field["time"])
        resets = resets_of(self.steps)
        again = starts_again(field["time"], resets, stated)
        seconds[0] = self._since_start(resets, stated)
        self._note_unknown(int(late.sum()) + int(np.isnan(seconds[0])))
        keep = np.flatnonzero((np.nan_to_num(seconds) > 0) & ~late)
        if not keep.size:
            raise self._refusal()
        self._note_differenced(seconds[keep])
        continues = np.where(again, EXPECTED, BY_VALUES)
        if not self._non_negative:
            continues = np.where(again, 0.0, 1.0)
        continues[0] = 0.0
        differencing = replace(self._differencing(), starts_at_zero=resets.starts_at_zero)
        rates = differencing.lazily(field, np.where(seconds > 0, seconds, 1.0), continues)
        return _spanning(rates.isel(time=keep), -seconds[keep], np.zeros(len(keep)))

    def _since_start(self, resets: Resets, stated: bool) -> float:
        """Seconds that the first running total covers, 0 for none, not a number if unknown."""
        time = self.field["time"]
        start = _start_of_forecast(self.field)
        since = start or seconds_since_start(time, resets, stated)
        first = self.field.isel(time=0).values
        zero = not (first[np.isfinite(first)] != 0).any()
        # A zero everywhere is more likely the start itself than a long time without rain.
        short = since <= (first_step(time) or 0.0) and not resets.starts_at_zero
        return 0.0 if zero and not short else since

    def _since_time_before(self) -> xr.DataArray:
        """Rates of amounts since the time before."""
        field, time = self.field, self.field["time"]
        if not self._says_sum() or time.size < 2:
            raise self._refusal()
        seconds, late = seconds_before(time), after_gaps(time)
        seconds[0] = first_step(time) or np.nan
        self._note_unknown(int(late.sum()) + int(np.isnan(seconds[0])))
        keep = np.flatnonzero((np.nan_to_num(seconds) > 0) & ~late)
        field, seconds = field.isel(time=keep), seconds[keep]
        rates = self._divided(field, seconds)
        if np.median(seconds) > 0.98 * DAY:
            return rates
        none = np.zeros(len(keep))
        if begins_days(time) and "GRIB_stepType" not in field.attrs:
            return _spanning(rates, none, seconds)
        return _spanning(rates, -seconds, none)

    @property
    def _non_negative(self) -> bool:
        return describe(str(self.field.name)).is_non_negative

    def _says_sum(self) -> bool:
        names = describe(str(self.field.name)).amount_names
        return (
            method_of(self.field) == "sum"
            or self.field.attrs.get("standard_name") in names
            or self.field.attrs.get("GRIB_stepType") == "accum"
        )

    def _surely_runs(self) -> bool:
        """Whether totals run up although their bounds say otherwise."""
        return self._non_negative and is_running(self.steps, precipitation=False) is True

    def _runs(self) -> bool:
        """Whether the values are running totals, as they show themselves.

        Raises:
            DataError: they do not show it.
        """
        steps, name = self.steps, self.field.name
        if self._non_negative:
            found = is_running(steps, describe(str(name)).is_precipitation)
        else:
            found = None if self.field.attrs.get("GRIB_stepType") == "accum" else False
        if found is None and max((steps.wet > 0).sum(), steps.wet.max()) > 2:
            raise refuse(
                "amount-unclear",
                f"{self.where}: {name!r} in {self.units!r} may hold totals of each step or running "
                "totals, which its times do not show; give the file time bounds, or state "
                f"'accumulated: [{name}]' for running totals (--accumulated {name} on the command "
                "line).",
            )
        return found is True

    def _differencing(self) -> Differencing:
        return Differencing(str(self.field.name), self.where, self._non_negative)

    def _without_overlap(self, field: xr.DataArray) -> xr.DataArray:
        """Field without those of its overlapping totals of one length that cross others."""
        length = (field[END] - field[BEGIN]).values
        overlap = seconds_before(field["time"])[1:] < length[1:] - SLACK
        if START in field.coords or np.ptp(length) > SLACK or not overlap.any():
            return field
        since = np.round(second_of_day(field["time"]) + field[BEGIN].values) % round(length[0])
        keep = np.flatnonzero(since == 0)
        if DAY % length[0] or not keep.size:
            return field
        text = f"totals of {length[0]:g} s that overlap are left out but for those since 00 UTC"
        self.notes.add("overlapping-totals", self.where, text, str(field.name))
        return field.isel(time=keep)

    def _divided(self, field: xr.DataArray, seconds: np.ndarray) -> xr.DataArray:
        text = f"amounts are divided by their interval of {np.median(seconds):g} s"
        self.notes.add("amount-divided", self.where, text, str(field.name))
        return field / xr.DataArray(seconds.astype(field.dtype), dims="time")

    def _note_differenced(self, seconds: np.ndarray) -> None:
        text = f"running totals are differenced and divided by {np.median(seconds):g} s"
        if self._non_negative:
            text += "; falls of a total, which are noise, become 0"
        self.notes.add("accumulation-differenced", self.where, text, str(self.field.name))

    def _note_unknown(self, count: int) -> None:
        if count:
            some = counted(count, "amount")
            text = f"{some} at the beginning or after a gap, of unknown time, {are(count)} left out"
            self.notes.add("amount-of-unknown-time", self.where, text, str(self.field.name))

    def _refusal(self) -> DataError:
        step = usual_step(self.field["time"])
        return amount_refusal(str(self.field.name), self.units, self.where, step)


def _start_of_forecast(field: xr.DataArray) -> float | None:
    """Seconds from a netCDF file's single reference time to its first time, None without one."""
    if START not in field.coords or field[START].ndim:
        return None
    start = field[START].variable
    if not is_date(start.values) and is_since(str(start.attrs.get("units", ""))):
        start = xr.coders.CFDatetimeCoder(time_unit="us").decode(start)
    first = field["time"].values[:1]
    if not is_date(start.values) or first.dtype.kind != start.dtype.kind:
        return None
    seconds = float(seconds_between(start.values.reshape(1), first)[0])
    return seconds if 0 < seconds < LONGEST_FORECAST else None


def _continued(
    field: xr.DataArray, begin: np.ndarray, end: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """End of the interval before, and whether an interval has the same beginning as it [time]."""
    same = np.abs(np.diff(begin, prepend=np.nan)) < SLACK
    if START in field.coords:
        same[1:] &= field[START].values[1:] == field[START].values[:-1]
    since = np.concatenate([[np.nan], end[:-1]])
    return since, same & (end - since >= SLACK)


def _sorted_by_interval(field: xr.DataArray) -> xr.DataArray:
    times = seconds_of(field["time"])
    begin, end = (np.round(times + field[n].values) for n in (BEGIN, END))
    order = np.lexsort([end, begin, *([field[START].values] if START in field.coords else [])])
    return field if (np.diff(order) == 1).all() else field.isel(time=order)


def _sorted_by_time(field: xr.DataArray) -> xr.DataArray:
    order = np.argsort(seconds_of(field["time"]), kind="stable")
    return field if (np.diff(order) == 1).all() else field.isel(time=order)


def _at_ends(field: xr.DataArray) -> xr.DataArray:
    """Field with the stamps at the ends of its intervals, which it no longer states."""
    times = shifted(field["time"].values, field[END].values)
    out = field.assign_coords(time=("time", times, field["time"].attrs))
    return out.drop_vars([BEGIN, END])


def _spanning(field: xr.DataArray, begin: np.ndarray, end: np.ndarray) -> xr.DataArray:
    """Field over these seconds from its stamps, which move to the middle."""
    return in_middle(with_span(field, begin, end), np.ones(field.sizes["time"], bool))
