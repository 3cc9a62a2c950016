"""Units in any spelling against pint, and spellings that have no or another meaning."""

import re

import cf_xarray.units  # noqa: F401
import numpy as np
import pint
import pytest
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st

from graphdown.data.reading.unit_spellings import is_read
from graphdown.data.reading.units import conversion, convert_units
from graphdown.errors import DataError
from graphdown.variables.catalogue import registered

REGISTRY = pint.application_registry
LENGTHS, TIMES = ("mm", "cm", "m", "inch"), ("s", "min", "h", "day")
# Spellings by UDUNITS-2 and pint, of each kind of canonical units.
KINDS = {
    "K": [("K", "K"), ("degC", "degC"), ("degF", "degF"), ("mK", "mK")],
    "Pa": [(u, u) for u in ("Pa", "hPa", "kPa", "mbar", "atm", "bar")],
    "m s-1": [(f"{a} {t}-1", f"{a}/{t}") for a in ("m", "km", "cm", "ft") for t in TIMES],
    "mm day-1": [
        *((f"{a} {t}-1", f"{a}/{t}") for a in LENGTHS for t in TIMES),
        *(
            (f"{g} m-2 {t}-1", f"{g} / m**2 / {t} * m**3 / (1000 kg)")
            for g in ("kg", "g")
            for t in TIMES
        ),
    ],
    "W m-2": [
        *((f"{w} m-2", f"{w} / m**2") for w in ("W", "kW", "mW")),
        *((f"{j} m-2 {t}-1", f"{j} / m**2 / {t}") for j in ("J", "kJ", "MJ") for t in TIMES),
    ],
    "1": [("1", "dimensionless"), ("%", "percent"), ("g kg-1", "g/kg"), ("mg kg-1", "mg/kg")],
    "m": [("km", "km"), ("ft", "ft"), ("dm", "dm"), ("m2 s-2", "m**2 / s**2 / (9.80665 m / s**2)")],
    "kg m-2": [("g m-2", "g / m**2"), ("mm", "mm * 1000 kg / m**3")],
    "kg m-2 s-1": [(f"mm {t}-1", f"mm / {t} * 1000 kg / m**3") for t in TIMES],
    "Pa s-1": [("hPa h-1", "hPa / h"), ("Pa s-1", "Pa / s")],
}
CANONICAL = {
    "K": "K", "Pa": "Pa", "m s-1": "m/s", "mm day-1": "mm/day", "W m-2": "W/m**2",
    "1": "dimensionless", "m": "m", "kg m-2": "kg/m**2", "kg m-2 s-1": "kg/m**2/s",
    "Pa s-1": "Pa/s",
}  # fmt: skip
NAMES = sorted(f"{v.name}500" if v.levels else v.name for v in registered().values())


def respelt(draw, text):
    """The same units, written in another way."""
    exponent = draw(st.sampled_from(["", "^", "**"]))
    out = re.sub(r"(?<=[a-zA-Z])(?=-?\d)", exponent, text)
    return draw(st.sampled_from([out, f" {out} ", out.replace(" ", "  "), out.replace(" ", ".")]))


@st.composite
def cases(draw):
    name = draw(st.sampled_from(NAMES))
    kind = registered()[name.removesuffix("500")].units
    spelt, by_pint = draw(st.sampled_from(KINDS[kind]))
    return name, kind, respelt(draw, spelt), by_pint, draw(st.floats(-1e3, 1e3))


@settings(max_examples=150, deadline=None)
@given(cases())
def test_units_in_any_spelling_are_converted_as_pint_converts_them(case):
    name, kind, spelt, by_pint, value = case
    expected = _by_pint(value, by_pint, CANONICAL[kind])
    linear = conversion(name, spelt, "here")
    made = value * linear.factor + linear.offset
    np.testing.assert_allclose(made, expected, rtol=1e-6, atol=1e-6 * abs(linear.factor))


def _by_pint(value, units, wanted):
    if units in ("degC", "degF"):  # an offset, not a factor
        return REGISTRY.Quantity(value, units).to(wanted).magnitude
    return (value * REGISTRY(units)).to(wanted).magnitude


@settings(max_examples=80, deadline=None)
@given(st.sampled_from(NAMES), st.sampled_from(list(KINDS)), st.data())
def test_units_of_another_kind_are_refused(name, kind, data):
    canonical = registered()[name.removesuffix("500")].units
    spelt, _ = data.draw(st.sampled_from(KINDS[kind]))
    water = {"mm day-1", "kg m-2 s-1", "m s-1"}
    if canonical == kind or {canonical, kind} <= water:
        return
    if canonical == "kg m-2" and kind == "m" and "s-2" not in spelt:
        return  # a depth of water
    if canonical == "m" and spelt == "mm":
        return
    with pytest.raises(DataError) as caught:
        conversion(name, spelt, "here")
    assert caught.value.rule in ("units-unknown", "amount")


SPELLINGS = [
    ("psl", "Pascals", 1.0, 0.0),
    ("psl", "hpa", 100.0, 0.0),
    ("psl", "mb", 100.0, 0.0),
    ("psl", "PA", 1.0, 0.0),
    ("pr", "mm per day", 1.0, 0.0),
    ("pr", "kg/m^2/s", 86400.0, 0.0),
    ("pr", "kg m-2s-1", 86400.0, 0.0),
    ("pr", "mm/24h", 1.0, 0.0),
    ("pr", "m of water equivalent day-1", 1000.0, 0.0),
    ("pr", "kg m⁻² s⁻¹", 86400.0, 0.0),
    ("tas", "deg C", 1.0, 273.15),
    ("tas", "degrees Celsius", 1.0, 273.15),
    ("tas", "C", 1.0, 273.15),
    ("tas", "°C", 1.0, 273.15),
    ("tas", "degrees Kelvin", 1.0, 0.0),
    ("tas", "deg K", 1.0, 0.0),
    ("tas", "KELVIN", 1.0, 0.0),
    ("sfcWind", "m s^-1", 1.0, 0.0),
    ("sfcWind", "kts", 1852 / 3600, 0.0),
    ("rsds", "W/m2", 1.0, 0.0),
    ("rsds", "Watts per square meter", 1.0, 0.0),
    ("hurs", "pct", 0.01, 0.0),
    ("clt", "oktas", 0.125, 0.0),
    ("clt", "(0 - 1)", 1.0, 0.0),
    ("sftlf", "(0,1)", 1.0, 0.0),
    ("zg500", "gpm", 1.0, 0.0),
    ("zg500", "m**2 s**-2", 1 / 9.80665, 0.0),
]


@pytest.mark.parametrize(("name", "units", "factor", "offset"), SPELLINGS)
def test_spellings_in_files_have_their_meaning(name, units, factor, offset):
    linear = conversion(name, units, "here")
    np.testing.assert_allclose([linear.factor, linear.offset], [factor, offset], rtol=1e-12)


@pytest.mark.parametrize(
    ("name", "units"),
    [("tas", "degree"), ("tas", "coulomb"), ("hurs", "degrees"), ("sfcWind", "s m-1")]
    + [("psl", "bananas"), ("pr", "K"), ("pr", "day mm-1"), ("rsds", "dBZ")],
)
def test_units_that_mean_something_else_are_refused(name, units):
    with pytest.raises(DataError, match=f"{units!r} of {name!r} cannot be turned into") as caught:
        conversion(name, units, "here")
    assert caught.value.rule == "units-unknown"


@pytest.mark.parametrize(("first", "then"), [("cm", 100.0), ("km", 0.001), ("m", 1.0)])
def test_a_variable_outside_the_catalogue_is_converted_to_known_units(first, then):
    assert conversion("snowline", "m", "here", first).factor == pytest.approx(then)
    assert conversion("snowline", first, "here").canonical == first
    with pytest.raises(DataError, match="'K' of 'snowline' cannot be turned into"):
        conversion("snowline", "K", "here", first)
    with pytest.raises(DataError, match="'snowline' has no units; state them"):
        convert_units(xr.DataArray([1.0], dims="x", name="snowline"), None, "here")


def test_nothing_is_written_to_the_terminal_about_unreadable_units(capfd):
    assert not is_read("bananas((") and not is_read("(0 , 1 )x")
    assert capfd.readouterr() == ("", "")
