"""Conversion of values from the units of a file to canonical ones."""

import functools
from dataclasses import dataclass

import numpy as np
import xarray as xr

from graphdown.data.reading.rules import refuse
from graphdown.data.reading.unit_spellings import is_read, linear_function
from graphdown.errors import DataError
from graphdown.variables.catalogue import canonical_units, describe

GRAVITY = 9.80665  # m s-2, between geopotentials and heights
# Canonical units of rates, and the units of their totals over an interval.
TOTALS = {
    "mm day-1": ("m", "kg m-2"),
    "kg m-2 s-1": ("m", "kg m-2"),
    "W m-2": ("J m-2",),
}
# Units of another kind by canonical ones, and their factor: 1 kg m-2 of water is 1 mm deep.
BRIDGES = {
    "mm day-1": ("kg m-2 day-1", 1.0),
    "kg m-2 s-1": ("mm s-1", 1.0),
    "kg m-2": ("mm", 1.0),
    "m": ("m2 s-2", 1.0 / GRAVITY),
}
TRACE = 0.5  # mm day-1: units in which the wettest value is less are not the right ones
# The usual units, which need no look at UDUNITS-2.
NO_AMOUNTS = ("K", "degC", "Pa", "hPa", "m s-1", "mm day-1", "kg m-2 s-1", "W m-2", "1", "%")
USUAL = {("kg m-2 s-1", "mm day-1"): (86400.0, 0.0)}


@dataclass(frozen=True)
class Conversion:
    """Linear function that makes values canonical: value * factor + offset.

    Attributes:
        units: of the file, or stated.
        canonical: units afterwards.
        factor, offset: of the linear function.
        geopotential: True where a geopotential becomes a height.
    """

    units: str
    canonical: str
    factor: float = 1.0
    offset: float = 0.0
    geopotential: bool = False


def conversion(name: str, units: str | None, where: str, known: str | None = None) -> Conversion:
    """Conversion of a variable's values to canonical units.

    Args:
        name: CF/CMIP name.
        units: of the values.
        where: for messages.
        known: canonical units of a variable that the catalogue lacks, such as those of a training;
            by default its own.

    Raises:
        DataError: no units, an amount in place of a rate, or units that cannot be converted.
    """
    canonical = canonical_units(name) or known
    if units is None:
        example = canonical or "kg m-2"
        raise refuse(
            "units-missing",
            f"{where}: the variable {name!r} has no units; state them, "
            f"as in 'units: {{{name}: {example}}}' or '--units {name}=\"{example}\"'.",
        )
    if is_amount(units, name):
        raise amount_refusal(name, units, where)
    return _linear(units, canonical or units, name, where)


def amount_refusal(name: str, units: str, where: str, step: float | None = None) -> DataError:
    """Error for an amount of unknown interval, with the advice for the step of its file.

    Args:
        name: CF/CMIP name.
        units: of the amount.
        where: for messages.
        step: seconds between times, None if unknown.
    """
    daily = "daily", "day-1"
    kind, each = {None: daily, 86400.0: daily, 3600.0: ("hourly", "h-1")}.get(step, ("", ""))
    advice = (
        f"state them with it, as in 'units: {{{name}: {units} {each}}}' for {kind} totals"
        if kind
        else "if each is the total since the time before, give it the cell method 'time: sum', as "
        f"with ncatted -a cell_methods,{name},o,c,'time: sum'"
    )
    return refuse(
        "amount",
        f"{where}: the units {units!r} of {name!r} are an amount, not a rate, and nothing says "
        f"over which interval; {advice}.",
    )


def convert_units(field: xr.DataArray, units: str | None, where: str) -> xr.DataArray:
    """Convert a field to its canonical units, float32.

    Args:
        field: values; its name says the variable.
        units: units that the user states; None takes the attribute.
        where: what to call the origin in messages.

    Raises:
        DataError: no units, or units that cannot be converted.
    """
    linear = conversion(str(field.name), units or field.attrs.get("units"), where)
    same = (linear.factor, linear.offset) == (1.0, 0.0)
    converted = field if same else field * linear.factor + linear.offset
    return converted.astype(np.float32).assign_attrs({**field.attrs, "units": linear.canonical})


def is_amount(units: str, name: str) -> bool:
    """Whether units are those of a total over an interval of a variable that is a rate.

    So are a depth or a mass per area of precipitation, and an energy per area of radiation.
    """
    if units in NO_AMOUNTS:
        return False
    totals = TOTALS.get(canonical_units(name) or "", ())
    return any(linear_function(units, total) is not None for total in totals)


def may_have_units(name: str, units: object) -> bool:
    """Whether a variable may have units, for telling it from others of the same name.

    So it may where they are absent or unreadable, which is not for here to judge.
    """
    canonical = canonical_units(name)
    if units is None or canonical is None or not str(units).strip() or not is_read(str(units)):
        return True
    if is_amount(str(units), name):
        return True
    wanted = (canonical, BRIDGES[canonical][0]) if canonical in BRIDGES else (canonical,)
    return any(linear_function(str(units), one) is not None for one in wanted)


def meant_units(name: str, low: float, high: float) -> str | None:
    """Units in which raw values from low to high would make sense, None if there are none."""
    variable = describe(name)
    least, greatest = variable.plausible
    in_use = variable.other_units
    for units in in_use if variable.units in in_use else (variable.units, *in_use):
        linear = _linear(units, variable.units, name, "")
        ends = low * linear.factor + linear.offset, high * linear.factor + linear.offset
        is_trace = variable.is_precipitation and ends[1] < TRACE
        if least <= ends[0] and ends[1] <= greatest and not is_trace:
            return units
    return None


def pascals(values: np.ndarray, units: str) -> np.ndarray | None:
    """Pressures in Pa, None if the units are not those of a pressure."""
    linear = linear_function(units, "Pa")
    return None if linear is None else np.asarray(values, np.float64) * linear[0] + linear[1]


@functools.cache
def _linear(units: str, canonical: str, name: str, where: str) -> Conversion:
    if units == canonical:
        return Conversion(units, canonical)
    if (units, canonical) in USUAL:
        return Conversion(units, canonical, *USUAL[units, canonical])
    found = linear_function(units, canonical)
    if found is not None:
        return Conversion(units, canonical, *found)
    bridge, factor = BRIDGES.get(canonical, ("", 1.0)) if canonical_units(name) else ("", 1.0)
    bridged = linear_function(units, bridge) if bridge else None
    if bridged is not None:
        return Conversion(units, canonical, bridged[0] * factor, 0.0, bridge == "m2 s-2")
    reason = "they are of another kind" if is_read(units) else "UDUNITS-2 does not read them"
    raise refuse(
        "units-unknown",
        f"{where}: the units {units!r} of {name!r} cannot be turned into {canonical!r} "
        f"({reason}); state the right ones, as in 'units: {{{name}: {canonical}}}'.",
    )
