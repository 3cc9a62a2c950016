"""Gaps between times, and notes of them."""

from dataclasses import dataclass

import numpy as np
import xarray as xr

from graphdown.data.reading.dates import DAY, days_of, seconds_of, step_of
from graphdown.data.reading.rules import Notes, counted


@dataclass(frozen=True)
class Gap:
    """A stretch without times.

    Attributes:
        after, before: the last date before and the first date after it.
        missing: number of steps that are absent.
    """

    after: str
    before: str
    missing: int


def gaps_of(time: xr.DataArray) -> list[Gap]:
    """Gaps in sorted times: steps longer than one and a half of the usual one."""
    step = step_of(time)
    if not step:
        return []
    steps, days = np.diff(seconds_of(time)), days_of(time)
    allowed = 1.5 * step if step < 27 * DAY else 1.2 * step
    return [
        Gap(str(days[i]), str(days[i + 1]), round(steps[i] / step) - 1)
        for i in np.flatnonzero(steps > allowed)
    ]


def note_gaps(time: xr.DataArray, where: str, notes: Notes) -> None:
    """Note the gaps in sorted times, absent leap days separately."""
    gaps = gaps_of(time)
    leap = [gap for gap in gaps if gap.missing == 1 and gap.after.endswith("02-28")]
    leap = [gap for gap in leap if gap.before.endswith("03-01")]
    if leap:
        years = counted(len(leap), "year")
        text = f"29 February is absent in {years}; those days have no partner"
        notes.add("leap-days-absent", where, text)
    others = [gap for gap in gaps if gap not in leap]
    if others:
        longest = max(others, key=lambda gap: gap.missing)
        length = counted(longest.missing, "step")
        text = f"{counted(len(others), 'gap')}, the longest of {length} after {longest.after}"
        notes.add("gap", where, text)
