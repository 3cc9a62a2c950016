"""Spellings of units in files, as UDUNITS-2 reads them or would if they were spelt by the book."""

import functools
import re
from collections.abc import Iterator
from typing import Any

import numpy as np

# What people write and UDUNITS-2 does not read, or reads as the angle of a degree.
_REWRITTEN = (
    (r"[{}$\\]", ""),
    (r"\bdeg(?:rees?)?[ _.-]*c(?:elsius|entigrade)?\b|\bcentigrade\b|°\s*c\b", "degC"),
    (r"\bdeg(?:rees?)?[ _.-]*k(?:elvins?)?\b|°\s*k\b", "K"),
    (r"\bdeg(?:rees?)?[ _.-]*f(?:ahrenheit)?\b|°\s*f\b", "degF"),
    (r"\s+(?:of\s+)?(?:liquid\s+)?water(?:\s+equivalent)?\b", ""),
    (r"\s+w\.?\s?e\.?(?=\s|/|$)", ""),
    (r"\bgpda?m\b", "dam"),
    (r"\bgpm\b", "m"),
    (r"\bgeopotential\s+(?=m)", ""),
    (r"\b(?:square|sq\.?)\s+(\w+)", r"\1^2"),
    (r"\b(\w+)\s+squared\b", r"\1^2"),
    (r"(?:/|\bper\b)\s*(\d+)[\s-]*(h|hrs?|hours?|d|days?|min)\b", r"/(\1 \2)"),
    (r"^\s*[\[(]?\s*0\s*(?:-|to|\.\.|,)\s*1\s*[\])]?\s*$", "1"),
    (
        r"^\s*(?:fraction(?:al)?|proportion|ratio|numeric|dimensionless|unitless|none|[-~]?)\s*$",
        "1",
    ),
    (r"^\s*(?:percentage|percents|pct)\s*$", "%"),
    (r"^\s*o[kc]tas?\s*$", "0.125"),
)
_SUPERSCRIPTS = str.maketrans("⁻⁰¹²³⁴⁵⁶⁷⁸⁹", "-0123456789")
# Symbols that mean something else to UDUNITS-2, such as the coulomb: tried where that does not fit.
_TEMPERATURES = {"C": "degC", "c": "degC", "F": "degF"}
_SPEEDS = {"kts": "knot", "mps": "m s-1", "mph": "mile h-1", "kph": "km h-1"}
_IDIOMS = {**_TEMPERATURES, **_SPEEDS, "mb": "mbar"}
_SYMBOLS = ("K", "Pa", "hPa", "kPa", "W", "kW", "J", "kJ", "MJ", "kg", "g", "m", "mm", "cm", "s")
_CASES = {symbol.lower(): symbol for symbol in _SYMBOLS}
_POINTS = np.array([0.0, 1.0, 2.0, 2.0**20])


@functools.cache
def linear_function(units: str, wanted: str) -> tuple[float, float] | None:
    """Factor and offset that turn values in units into wanted ones.

    A spelling that has several meanings is read as the one that fits: "C" of a temperature is a
    degree Celsius, not a coulomb.

    Args:
        units: as in a file.
        wanted: as UDUNITS-2 reads them.

    Returns:
        None where no meaning of the units is of the wanted kind.
    """
    for spelling in _spellings(units):
        found = _by_udunits(spelling, wanted)
        if found is not None:
            return found
    return None


@functools.cache
def is_read(units: str) -> bool:
    """Whether units are readable, of whatever kind."""
    return any(_unit(spelling) is not None for spelling in _spellings(units))


def _spellings(units: str) -> Iterator[str]:
    text = units.strip().translate(_SUPERSCRIPTS)
    for pattern, better in _REWRITTEN:
        text = re.sub(pattern, better, text, flags=re.IGNORECASE)
    meant = re.sub(r"[A-Za-z]+", lambda m: _IDIOMS.get(m[0], m[0]), text)
    cased = re.sub(r"[A-Za-z]+", lambda m: _CASES.get(m[0].lower(), m[0].lower()), text)
    for spelling in dict.fromkeys((text, meant, cased)):
        yield spelling
        yield re.sub(r"(?<=\d)(?=[A-Za-z])", " ", spelling)  # as in kg m-2s-1


@functools.cache
def _unit(spelling: str) -> Any:
    """The unit of a spelling, None if UDUNITS-2 does not read it."""
    import cf_units

    try:
        with cf_units.suppress_errors():  # which the library would write to stderr
            unit = cf_units.Unit(spelling)
    except ValueError:
        return None
    return None if unit.is_unknown() or unit.is_no_unit() or unit.is_time_reference() else unit


def _by_udunits(spelling: str, wanted: str) -> tuple[float, float] | None:
    """Factor and offset; None for other kinds, angles as numbers, and reciprocals."""
    unit, aim = _unit(spelling), _unit(wanted)
    if unit is None or aim is None or not unit.is_convertible(aim):
        return None
    if ("rad" in unit.definition) != ("rad" in aim.definition):
        return None
    low, one, two, far = (float(value) for value in unit.convert(_POINTS, aim))
    if not np.isclose(two - one, one - low, rtol=1e-9):
        return None
    return float(f"{(far - low) / _POINTS[-1]:.15g}"), low
