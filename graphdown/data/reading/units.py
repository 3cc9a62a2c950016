"""Canonical units of the variables, what values they can have, and the conversion to them."""

import functools
import re
from dataclasses import dataclass
from typing import Any

import numpy as np
import xarray as xr

from graphdown.data.reading.rules import refuse
from graphdown.variables.catalogue import canonical_units, limits

WATER_DENSITY = 1000.0  # kg m-3: turns a mass flux of precipitation into a depth per time
GRAVITY = 9.80665  # m s-2: turns a geopotential into a height

OFTEN_MEANT = {
    "K": ("K", "degC", "degF"),
    "mm day-1": ("kg m-2 s-1", "mm day-1", "m day-1", "m s-1"),
    "Pa": ("Pa", "hPa"),
    "1": ("1", "%", "g kg-1"),
    "m": ("m", "m2 s-2"),
}
# What pint says of the usual units, which need not wait a second until it has started.
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
    """How values become canonical: value * factor + offset.

    Attributes:
        given, wanted: units.
        factor, offset: of the linear function.
        geopotential: True where a geopotential becomes a height.
    """

    given: str
    wanted: str
    factor: float = 1.0
    offset: float = 0.0
    geopotential: bool = False


def conversion(name: str, given: str | None, where: str) -> Conversion | None:
    """Return how a variable's values become canonical, None for an unknown variable.

    Raises:
        DataError: no units, an amount in place of a rate, or units that cannot be converted.
    """
    wanted = canonical_units(name)
    if wanted is None:
        return None
    if given is None:
        raise refuse(
            "units-missing",
            f"{where}: the variable {name!r} has no units; state them, "
            f"as in 'units: {{{name}: {wanted}}}' or '--units {name}=\"{wanted}\"'.",
        )
    if name == "pr" and is_amount(given):
        raise refuse(
            "amount",
            f"{where}: the units {given!r} of 'pr' are an amount, not a rate, and nothing says "
            "over which interval; state them with it, as in 'units: {pr: "
            f"{given} day-1}}' for daily totals.",
        )
    return _linear(given, wanted, name, where)


def convert_units(field: xr.DataArray, units: str | None, where: str) -> xr.DataArray:
    """Return a field in its canonical units, as float32.

    Args:
        field: values; its name says the variable.
        units: units that the user states; None takes the attribute.
        where: what to call the origin in messages.

    Raises:
        DataError: no units, or units that cannot be converted.
    """
    made = conversion(str(field.name), units or field.attrs.get("units"), where)
    if made is None:
        return field.astype(np.float32)
    same = (made.factor, made.offset) == (1.0, 0.0)
    converted = field if same else field * made.factor + made.offset
    return converted.astype(np.float32).assign_attrs({**field.attrs, "units": made.wanted})


def is_amount(units: str) -> bool:
    """Tell whether units are a depth or a mass per area, without a time."""
    if units in NO_AMOUNTS:
        return False
    return _has_dimension(units, "[length]") or _has_dimension(units, "[mass] / [length] ** 2")


def meant_units(name: str, low: float, high: float) -> str | None:
    """Return the units in which raw values from low to high would make sense, None if none."""
    wanted = canonical_units(name)
    least, greatest = limits(name)
    for units in OFTEN_MEANT.get(wanted or "", ()):
        made = _linear(units, str(wanted), name, "")
        ends = low * made.factor + made.offset, high * made.factor + made.offset
        if least <= ends[0] and ends[1] <= greatest and not (name == "pr" and ends[1] < 0.5):
            return units
    return None


def pascals(values: np.ndarray, units: str) -> np.ndarray | None:
    """Return pressures in Pa, None where the units are no pressure."""
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
def _linear(given: str, wanted: str, name: str, where: str) -> Conversion:
    if given == wanted:
        return Conversion(given, wanted)
    if (given, wanted) in USUAL:
        return Conversion(given, wanted, *USUAL[given, wanted])
    import pint

    registry: Any = pint.application_registry
    geopotential = False
    try:
        zero, one = (registry.Quantity(v, _pint_name(given)) for v in (0.0, 1.0))
        target = registry.Unit(_pint_name(wanted))
        if zero.check("[mass] / [length] ** 2 / [time]") and name == "pr":
            density = registry.Quantity(WATER_DENSITY, "kg / m ** 3")
            zero, one = zero / density, one / density
        if wanted == "m" and zero.check("[length] ** 2 / [time] ** 2"):
            gravity, geopotential = registry.Quantity(GRAVITY, "m / s ** 2"), True
            zero, one = zero / gravity, one / gravity
        low, high = zero.to(target).magnitude, one.to(target).magnitude
    except (pint.PintError, AssertionError, ValueError, TypeError, AttributeError) as error:
        reason = " ".join(str(error).split())
        raise refuse(
            "units-unknown",
            f"{where}: the units {given!r} of {name!r} cannot be turned into {wanted!r} "
            f"({reason}); state the right ones, as in 'units: {{{name}: {wanted}}}'.",
        ) from None
    return Conversion(given, wanted, float(high - low), float(low), geopotential)


def _pint_name(units: str) -> str:
    """Turn CF units such as 'kg m-2 s-1' into an expression that pint reads."""
    units = units.strip()
    if units in WORDS or units.lower() in WORDS:
        return WORDS.get(units) or WORDS[units.lower()]
    spaced = re.sub(r"(?<=[A-Za-z])\^?(-?\d+)", r"**\1", units)
    return re.sub(r"(?<=[\w)])\s+(?=[A-Za-z(])", " * ", spaced)
