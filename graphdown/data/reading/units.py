"""Conversion of values from the units of a file to canonical ones."""

import functools
import re
from dataclasses import dataclass
from typing import Any

import numpy as np
import xarray as xr

from graphdown.data.reading.rules import refuse
from graphdown.errors import DataError
from graphdown.variables.catalogue import canonical_units, describe

WATER_DENSITY = "1000 kg m**-3"  # between masses per area and depths of water
GRAVITY = "9.80665 m s**-2"  # between geopotentials and heights
DEPTH, MASS, ENERGY = "[length]", "[mass] / [length] ** 2", "[mass] / [time] ** 2"
# Canonical units of rates, and the dimensions of their totals over an interval.
TOTALS = {
    "mm day-1": (DEPTH, MASS),
    "kg m-2 s-1": (DEPTH, MASS),
    "W m-2": (ENERGY,),
}
TRACE = 0.5  # mm day-1: units in which the wettest value is less are not the right ones
WATER_UNITS = ("mm day-1", "kg m-2 s-1", "kg m-2")
# Results of pint for the usual units, which saves the second that its import takes.
NO_AMOUNTS = ("K", "degC", "Pa", "hPa", "m s-1", "mm day-1", "kg m-2 s-1", "W m-2", "1", "%")
USUAL = {("kg m-2 s-1", "mm day-1"): (86400.0, 0.0)}
WORDS = {
    "C": "degC",
    "°C": "degC",
    "celsius": "degC",
    "deg_c": "degC",
    "degc": "degC",
    "degreec": "degC",
    "degreesc": "degC",
    "degree_c": "degC",
    "degrees_c": "degC",
    "degree_celsius": "degC",
    "degrees_celsius": "degC",
    "degf": "degF",
    "degk": "K",
    "deg_k": "K",
    "kelvin": "K",
    "degree_kelvin": "K",
    "degrees_kelvin": "K",
    "%": "percent",
    "(0 - 1)": "1",
    "0-1": "1",
    "fraction": "1",
    "proportion": "1",
    "numeric": "1",
    "": "1",
    "mb": "hPa",
    "mbar": "hPa",
    "millibar": "hPa",
    "millibars": "hPa",
    "gpm": "m",
    "meters": "m",
    "metres": "m",
    "m of water equivalent": "m",
}


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


def conversion(name: str, units: str | None, where: str) -> Conversion | None:
    """Conversion of a variable's values to canonical units, None for an unknown variable.

    Raises:
        DataError: no units, an amount in place of a rate, or units that cannot be converted.
    """
    canonical = canonical_units(name)
    if canonical is None:
        return None
    if units is None:
        raise refuse(
            "units-missing",
            f"{where}: the variable {name!r} has no units; state them, "
            f"as in 'units: {{{name}: {canonical}}}' or '--units {name}=\"{canonical}\"'.",
        )
    if is_amount(units, name):
        raise amount_refusal(name, units, where)
    return _linear(units, canonical, name, where)


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
    if linear is None:
        return field.astype(np.float32)
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
    return any(_has_dimension(units, dimension) for dimension in totals)


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
    if not _has_dimension(units, "[pressure]"):
        return None
    import pint

    registry: Any = pint.application_registry
    return np.asarray(
        registry.Quantity(values.astype(np.float64), _pint_name(units)).to("Pa").magnitude
    )


@functools.cache
def _has_dimension(units: str, dimension: str) -> bool:
    import pint

    registry: Any = pint.application_registry
    try:
        return bool(registry.Quantity(1.0, _pint_name(units)).check(dimension))
    except (pint.PintError, AssertionError, ValueError, TypeError, AttributeError):
        return False


@functools.cache
def _linear(units: str, canonical: str, name: str, where: str) -> Conversion:
    if units == canonical:
        return Conversion(units, canonical)
    if (units, canonical) in USUAL:
        return Conversion(units, canonical, *USUAL[units, canonical])
    import pint

    registry: Any = pint.application_registry
    try:
        zero, one = (registry.Quantity(v, _pint_name(units)) for v in (0.0, 1.0))
        target = registry.Unit(_pint_name(canonical))
        bridge = _bridge(one, target, canonical)
        # Degrees have an offset, which a product of units loses.
        ends = (zero, one) if bridge is None else (zero * bridge, one * bridge)
        low, high = (end.to(target).magnitude for end in ends)
    except (pint.PintError, AssertionError, ValueError, TypeError, AttributeError) as error:
        reason = " ".join(str(error).split())
        raise refuse(
            "units-unknown",
            f"{where}: the units {units!r} of {name!r} cannot be turned into {canonical!r} "
            f"({reason}); state the right ones, as in 'units: {{{name}: {canonical}}}'.",
        ) from None
    geopotential = canonical == "m" and bridge is not None
    return Conversion(units, canonical, float(high - low), float(low), geopotential)


def _bridge(one: Any, target: Any, canonical: str) -> Any:
    """Factor from geopotentials to heights, or between masses and depths of water, else None."""
    import pint

    registry: Any = pint.application_registry
    if canonical == "m" and one.check("[length] ** 2 / [time] ** 2"):
        return 1.0 / registry.Quantity(GRAVITY)
    density = registry.Quantity(WATER_DENSITY)
    for factor in (1.0 / density, density) if canonical in WATER_UNITS else ():
        if (one.units * factor.units).is_compatible_with(target):
            return factor
    return None


def _pint_name(units: str) -> str:
    """Turn CF units such as 'kg m-2 s-1' into an expression that pint reads."""
    units = units.strip()
    if units in WORDS or units.lower() in WORDS:
        return WORDS.get(units) or WORDS[units.lower()]
    spaced = re.sub(r"(?<=[A-Za-z])\^?(-?\d+)", r"**\1", units)
    return re.sub(r"(?<=[\w)])\s+(?=[A-Za-z(])", " * ", spaced)
