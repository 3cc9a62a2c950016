"""Summary of files as they were understood: variables, units, times, grid and repairs."""

import dataclasses
import math
from dataclasses import dataclass
from typing import Any

from graphdown.data.reading.rules import Note, counted
from graphdown.data.reading.time_gaps import Gap


@dataclass(frozen=True)
class VariableUnderstood:
    """Summary of one variable of the files.

    Attributes:
        name: CF/CMIP name.
        file_names: its names in the files.
        level: the level that was chosen of a dimension, or empty.
        files: number of files it was found in.
        original_units: units in the files or stated, None without any.
        units_stated: True where the user stated them.
        units: canonical units; its own, or the known ones, of a variable that the catalogue lacks.
        factor, offset: canonical = original * factor + offset.
        minimum, maximum: in canonical units; None if there is no value.
        missing: share of the values that are missing.
        sampled: number of times in the files that these three are of, 0 if they are of all.
        stored: number of times in the files.
        grid: kind and size of the horizontal grid.
        step: words such as daily; empty for a field without time.
        calendar: of its times; empty without time.
        first, last: dates; empty without time.
        times: number of times after repairs.
        duplicates: number of times that were dropped because they occurred twice.
        gaps: stretches without times.
    """

    name: str
    file_names: tuple[str, ...]
    level: str
    files: int
    original_units: str | None
    units_stated: bool
    units: str
    factor: float
    offset: float
    minimum: float | None
    maximum: float | None
    missing: float
    sampled: int
    stored: int
    grid: str
    step: str
    calendar: str
    first: str
    last: str
    times: int
    duplicates: int
    gaps: tuple[Gap, ...]


@dataclass(frozen=True)
class Understanding:
    """A source or target as graphdown understood it.

    Attributes:
        where: what was opened.
        files: the paths.
        variables: those that were read.
        calendar, first, last, times, step: of the times common to the variables; empty and 0
            without any.
        notes: repairs and notices, in order.
        attrs: the first file's global attributes.
    """

    where: str
    files: tuple[str, ...]
    variables: tuple[VariableUnderstood, ...]
    calendar: str
    first: str
    last: str
    times: int
    step: str
    notes: tuple[Note, ...]
    attrs: dict[str, Any] = dataclasses.field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        """Plain lists, strings and numbers that json can write."""
        return _plain(dataclasses.asdict(self))

    def to_text(self) -> str:
        """Lines for the user: the period, a line per variable, a line per note."""
        period = f", {self.times} times, {self.first} to {self.last}" if self.times else ""
        kind = f" ({self.step}, calendar {self.calendar})" if self.times else ""
        lines = [f"{self.where}: {counted(len(self.files), 'file')}{period}{kind}"]
        lines += [f"  {_variable_line(v)}{self._axis(v)}" for v in self.variables]
        lines += [f"  * {note}" for note in self.notes]
        return "\n".join(lines)

    def _axis(self, variable: VariableUnderstood) -> str:
        """Words for the times of a variable that has others than the rest."""
        if variable.step in ("", self.step):
            return ""
        return f", {counted(variable.times, 'time')} ({variable.step})"


def _variable_line(v: VariableUnderstood) -> str:
    source = " and ".join(repr(n) for n in v.file_names)
    level = f" at {v.level}" if v.level else ""
    from_file = v.original_units if v.original_units is not None else "no units"
    stated = " (stated)" if v.units_stated else ""
    canonical = "" if v.units == v.original_units else f" -> {v.units}"
    units = f"{from_file}{stated}{canonical}"
    values = "no values"
    if v.minimum is not None and v.maximum is not None:
        values = f"{v.minimum:.4g} to {v.maximum:.4g}"
    missing = f", {100 * v.missing:.0f} % missing" if v.missing else ""
    sampled = f" in {v.sampled} of {v.stored} times" if v.sampled else ""
    return f"{v.name}: {source}{level}, {units}, {values}{missing}{sampled}, {v.grid}"


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {str(k): _plain(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(v) for v in value]
    if hasattr(value, "tolist"):
        return _plain(value.tolist())
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value if isinstance(value, str | int | float | bool | None) else str(value)
