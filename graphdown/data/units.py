"""Canonical units of the variables, and the conversion to them."""

import functools
import re
from typing import Any

import numpy as np
import xarray as xr

from graphdown.errors import DataError

WATER_DENSITY = 1000.0  # kg m-3: turns a mass flux of precipitation into a depth per time

CANONICAL = {
    "tas": "K",
    "tasmax": "K",
    "tasmin": "K",
    "pr": "mm day-1",
    "psl": "Pa",
    "orog": "m",
    "sftlf": "1",
}
CANONICAL_BY_FAMILY = {"ta": "K", "zg": "m", "hus": "1", "ua": "m s-1", "va": "m s-1"}
SHORT_FORMS = {"degC": "degC", "C": "degC", "Celsius": "degC", "celsius": "degC", "%": "percent"}


def canonical_units(name: str) -> str | None:
    """Return the canonical units of a CMIP variable such as tas or ua850, None if unknown."""
    if name in CANONICAL:
        return CANONICAL[name]
    family = re.fullmatch(r"([a-z]+)\d+", name)
    return CANONICAL_BY_FAMILY.get(family.group(1)) if family else None


def convert_units(field: xr.DataArray, units: str | None, where: str) -> xr.DataArray:
    """Return a field in its canonical units, as float32.

    Args:
        field: values; its name says the variable.
        units: units that the user states; None takes the attribute.
        where: what to call the origin in messages.

    Raises:
        DataError: no units, or units that cannot be converted.
    """
    name = str(field.name)
    wanted = canonical_units(name)
    given = units or field.attrs.get("units")
    if wanted is None:
        return field.astype(np.float32)
    if given is None:
        raise DataError(
            f"{where}: the variable {name!r} has no units; state them, "
            f"as in 'units: {{{name}: {wanted}}}' or '--units {name}=\"{wanted}\"'."
        )
    factor, offset = _linear(str(given), wanted, name, where)
    converted = field if (factor, offset) == (1.0, 0.0) else field * factor + offset
    return converted.astype(np.float32).assign_attrs({**field.attrs, "units": wanted})


@functools.cache
def _linear(given: str, wanted: str, name: str, where: str) -> tuple[float, float]:
    """Return factor and offset from given to wanted units."""
    if given == wanted:
        return 1.0, 0.0
    import pint

    registry: Any = pint.application_registry
    try:
        zero, one = (registry.Quantity(v, _pint_name(given)) for v in (0.0, 1.0))
        target = registry.Unit(_pint_name(wanted))
        if zero.check("[mass] / [length] ** 2 / [time]") and name == "pr":
            density = registry.Quantity(WATER_DENSITY, "kg / m ** 3")
            zero, one = zero / density, one / density
        low, high = zero.to(target).magnitude, one.to(target).magnitude
    except (pint.PintError, AssertionError, ValueError, TypeError) as error:
        reason = " ".join(str(error).split())
        raise DataError(
            f"{where}: the units {given!r} of {name!r} cannot be turned into {wanted!r} "
            f"({reason}); state the right ones, as in 'units: {{{name}: {wanted}}}'."
        ) from None
    return float(high - low), float(low)


def _pint_name(units: str) -> str:
    """Turn CF units such as 'kg m-2 s-1' into an expression that pint reads."""
    if units in SHORT_FORMS:
        return SHORT_FORMS[units]
    spaced = re.sub(r"(?<=[A-Za-z])\^?(-?\d+)", r"**\1", units.strip())
    return re.sub(r"(?<=[\w)])\s+(?=[A-Za-z(])", " * ", spaced)
