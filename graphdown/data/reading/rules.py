"""Every repair, notice and refusal of input data, by name: the one place where they are listed."""

import logging
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import xarray as xr

from graphdown.errors import DataError
from graphdown.runtime.registry import Registry

logger = logging.getLogger(__name__)

RepairFunction = Callable[[xr.DataArray, Mapping[str, Any]], xr.DataArray | None]


@dataclass(frozen=True)
class Repair:
    """A repair of fields from files.

    Attributes:
        sentence: what it does.
        function: of a field and its file's global attributes; it returns the repaired field, or
            None if there is nothing to repair. None for a repair that is a step of reading.
    """

    sentence: str
    function: RepairFunction | None = None


REPAIRS: Registry[Repair] = Registry("repair")


def register_repair(name: str, sentence: str) -> Callable[[RepairFunction], RepairFunction]:
    """Decorator that registers a function as a repair of every field that is read.

    The function takes a field as in its file, named by its CF/CMIP name, usually not read yet
    (see dask), and the file's global attributes. It returns the repaired field, of the same
    shape, or None if there is nothing to repair. Attributes that the result lacks, such as units,
    are those of the field. What was repaired is listed under the rule's name by `graphdown check`.

    Args:
        name: of the rule.
        sentence: what it does.

    Raises:
        GraphdownError: the name is taken.
    """
    return REPAIRS.register(name, lambda function: Repair(sentence, function))


_STEPS = {
    "accumulation-differenced": "A total that runs up, from wherever it starts, is differenced and "
    "divided by the interval.",
    "amount-divided": "An amount per interval (by time bounds, GRIB's step range, the cell method "
    "'sum' or its standard name) is divided by the interval.",
    "amount-of-unknown-time": "An amount after a gap, or the first of running totals, is left out "
    "if nothing says how much time it covers.",
    "below-ground-filled": "A point that is missing on a pressure level takes the nearest point "
    "that is there at that time, if at least half of the points are.",
    "calendar-name": "A calendar by another name, such as 360, is read as the one of CF.",
    "daily": "Sub-daily values become one value a day, as the experiment asks; days with fewer "
    "values than usual are left out.",
    "duplicate-dropped": "A time that a file holds twice with the same values is kept once.",
    "empty-days-dropped": "Days on which a variable of a source, or all of the target's, "
    "are missing everywhere are left out.",
    "extra-dimension-dropped": "A dimension of length one beside time and the horizontal ones is "
    "dropped.",
    "fill-code": "1e15 and beyond, and codes such as -999 or -32768 that the variable cannot have "
    "or that stand apart from its other values, are missing values.",
    "forecast-shortest-lead": "Of several forecasts for one time the shortest is kept.",
    "geopotential": "A geopotential is divided by 9.80665 m s-2 to a height.",
    "grid-reordered": "Fields on one grid that is told in other ways (names of dimensions, "
    "longitudes from 0 or from -180, rows turned) take the order of the first.",
    "hidden-cells": "Cells whose latitude or longitude is a fill value are left out.",
    "infinite": "Infinite values are missing values.",
    "instant-left-out": "The state at a run's start, whose time bounds have no length, is left "
    "out.",
    "integers": "Integers become floating point numbers.",
    "level-units-assumed": "Pressure levels without units are Pa if one exceeds 1100, else hPa.",
    "negative-clipped": "Precipitation between -0.1 mm day-1 and 0 becomes 0.",
    "outside-masked": "Cells of the target that a source does not cover are left out, as the "
    "experiment asks.",
    "overlap-dropped": "Times that two files hold with the same values are taken from the first.",
    "overlapping-totals": "Of totals that overlap, those that follow one another from 00 UTC are "
    "kept.",
    "periods-differ": "Of variables that cover different times, the common times are kept.",
    "regridded": "A variable on another grid is brought to that of the first one, bilinearly.",
    "steps-incomplete": "A coarse step that lacks some of its sub-steps is left out.",
    "stamp-aligned": "Daily variables are matched by date and take the first one's time stamps.",
    "stamp-to-middle": "A time stamp at the end of its interval moves to the middle.",
    "time-from-yyyymmdd": "Times written as the number yyyymmdd are read as dates.",
    "time-units-spelling": "Time units in capital letters, such as 'Days Since', are read.",
    "time-sorted": "Times that are not in order are sorted.",
    "wind-turned": "Wind components along the grid's axes, by their standard names, are turned to "
    "east and north.",
}
for _name, _sentence in _STEPS.items():
    REPAIRS.add(_name, Repair(_sentence))
NOTICES = {
    "baselines-left-out": "A baseline lacks what it needs and is not scored.",
    "bounds-outside": "Time bounds that do not contain their time are ignored.",
    "cells-overlap": "Cells of a grid overlap by their bounds, so their areas are too large.",
    "chunks-absent": "Chunks that a zarr store does not hold read as its fill value, a number or "
    "a missing value.",
    "gap": "Times are absent between the first and the last.",
    "levels-left-out": "A variable that nobody asked for is on levels that are no pressure levels.",
    "leap-days-absent": "A calendar with leap days lacks every 29 February.",
    "steps-differ": "Variables that are looked at together have different steps.",
    "margin": "The source does not cover all of the margin around the target, or less than 1 % of "
    "the target is outside it; the network extrapolates there.",
    "units-doubtful": "The greatest value is far less, or the mean far from usual, so units may be "
    "wrong.",
    "unknown-variable": "No variable of a file is one that graphdown knows; its grid and values "
    "are shown under its own name.",
    "periods-overlap": "Days of validation or test are also days of training, or of each other.",
    "no-warming": "An air temperature is learned without the augmentation by warming.",
    "unpaired": "Days that only one of source and target has are left out.",
}
REFUSALS = {
    "all-missing": "A variable has no value at all in the times looked at.",
    "amount": "An amount of precipitation does not say over which interval.",
    "amount-unclear": "An amount may be a total of each step or a running total.",
    "calendars-differ": "Files or variables of one source have different calendars.",
    "cell-methods": "The cell methods contradict the variable's name.",
    "chunk-missing": "A zarr store lacks chunks that cannot be the fill value all over.",
    "coordinates-swapped": "The latitude holds longitudes.",
    "days-incomplete": "No day has all of its sub-daily values.",
    "duplicate-differs": "A file holds a time twice with different values.",
    "empty": "A file holds no variable or no time.",
    "extra-dimension": "A dimension beside time and the horizontal ones has several entries.",
    "grib-engine": "GRIB files need cfgrib.",
    "grid-unknown": "No single horizontal grid is found.",
    "grids-differ": "Files of one variable, or variables of the target, are on different grids.",
    "interval-ambiguous": "GRIB messages for one time cover different intervals.",
    "level-absent": "A pressure level is not in the file.",
    "level-kind": "The levels are no pressure levels.",
    "missing-values": "Values of a source are missing.",
    "negative-precipitation": "Precipitation is clearly negative.",
    "no-common-time": "The variables of a source have no time in common.",
    "no-dataset": "An array or another object is given in place of a dataset.",
    "no-file": "No file matches.",
    "no-permission": "A file may not be read.",
    "no-time": "A variable has no time.",
    "not-daily": "Daily values are needed, the steps are longer.",
    "not-numeric": "A variable holds text or dates instead of numbers.",
    "out-of-range": "Values lie outside what the variable can have.",
    "outside": "The source covers less than 99 % of the target.",
    "overlap-differs": "Two files hold the same times with different values.",
    "rename-absent": "A name to rename is in no file.",
    "running-total-falls": "A running total falls in few places, where none starts again.",
    "selection": "A selection names a dimension or index that is not there.",
    "steps-not-common": "Variables that are needed together have different steps.",
    "sub-daily": "Daily values are needed, there are several a day.",
    "step-differs": "The time between values is not what the experiment states.",
    "sum-of-rates": "A daily sum of values that are no amounts is asked for.",
    "time-absent": "A time dimension has no variable with its times.",
    "time-undecodable": "Times cannot be turned into dates.",
    "time-units-missing": "Times carry no units and are no yyyymmdd.",
    "units-missing": "A variable has no units.",
    "units-unknown": "Units cannot be turned into the canonical ones.",
    "unreadable": "A file is cut off or in no known format.",
    "variable-absent": "A variable is in no file.",
    "variable-ambiguous": "Several variables of a file could be the one that is needed.",
    "wind-alone": "A wind component along the grid's axes cannot be turned to east and north.",
}


@dataclass(frozen=True)
class Note:
    """One repair or notice.

    Attributes:
        rule: its name in REPAIRS or NOTICES.
        where: the first file it applied to.
        variable: CF/CMIP name, empty for the whole file.
        text: what was changed, without the place.
        files: number of files it applied to.
    """

    rule: str
    where: str
    variable: str
    text: str
    files: int = 1

    def __str__(self) -> str:
        """One line for the user."""
        others = f" and {self.files - 1} more" if self.files > 1 else ""
        variable = f"{self.variable}: " if self.variable else ""
        return f"{self.where}{others}: {variable}{self.text} [{self.rule}]"


class Notes:
    """Collects what was repaired or noticed; the same rule on the same variable once."""

    def __init__(self) -> None:
        self._notes: dict[tuple[str, str], Note] = {}
        self._places: dict[tuple[str, str], set[str]] = {}

    def add(self, rule: str, where: str, text: str, variable: str = "") -> None:
        """Record that a rule was applied."""
        if rule not in REPAIRS and rule not in NOTICES:
            raise KeyError(f"{rule!r} is in no list of rules.")
        key = (rule, variable)
        places = self._places.setdefault(key, set())
        places.add(where)
        first = self._notes.get(key, Note(rule, where, variable, text))
        self._notes[key] = Note(rule, first.where, variable, first.text, len(places))

    def listed(self) -> tuple[Note, ...]:
        """Notes in the order in which they were added."""
        return tuple(self._notes.values())


def log_notes(notes: Iterable[Note]) -> None:
    """Log one line for each note: repairs as information, notices as warnings."""
    for note in notes:
        logger.log(logging.INFO if note.rule in REPAIRS else logging.WARNING, "%s", note)


def counted(number: int, noun: str) -> str:
    """Number and noun, as in "1 day" and "2 days"."""
    return f"{number} {noun}{'s' * (number != 1)}"


def are(number: int) -> str:
    """Verb for so many things."""
    return "is" if number == 1 else "are"


def refuse(rule: str, sentence: str) -> DataError:
    """Error of a refusal, to be raised.

    Args:
        rule: its name in REFUSALS.
        sentence: what is wrong, where, and what to do.
    """
    if rule not in REFUSALS:
        raise KeyError(f"{rule!r} is in no list of rules.")
    error = DataError(sentence)
    error.rule = rule
    return error


def repaired(
    field: xr.DataArray, attrs: Mapping[str, Any], where: str, notes: Notes
) -> xr.DataArray:
    """Apply the repairs that are registered as functions to a field.

    Args:
        field: named by its CF/CMIP name.
        attrs: global attributes of its file.
        where: the file, for messages.
        notes: the repairs that did something are added to these.

    Raises:
        DataError: a repair changes the shape of the field.
    """
    for rule, repair in REPAIRS.items():
        result = None if repair.function is None else repair.function(field, attrs)
        if result is None:
            continue
        if (result.dims, result.shape) != (field.dims, field.shape):
            raise DataError(
                f"{where}: the repair {rule!r} changes the shape of {field.name!r} from "
                f"{dict(field.sizes)} to {dict(result.sizes)}; let it change values and attributes "
                "only."
            )
        notes.add(rule, where, repair.sentence.rstrip("."), str(field.name))
        field = result.rename(field.name).assign_attrs({**field.attrs, **result.attrs})
    return field
