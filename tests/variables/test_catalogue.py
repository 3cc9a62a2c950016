"""The catalogue against the CF standard name table, and what a user adds to it."""

import math
import re
from pathlib import Path
from xml.etree import ElementTree

import cf_xarray.units  # noqa: F401
import compliance_checker
import numpy as np
import pint
import pytest

from graphdown.cf.attributes import variable_attrs
from graphdown.data.reading.units import conversion
from graphdown.variables import catalogue
from graphdown.variables.catalogue import (
    canonical_units,
    daily_methods,
    describe,
    register_variable,
    registered,
    split_level,
)
from graphdown.variables.variable import Variable

ASKED = (
    *("tas", "tasmax", "tasmin", "pr", "prsn", "psl", "ps", "sfcWind", "uas", "vas", "hurs"),
    *("huss", "rsds", "rlds", "rsus", "evspsbl", "snw", "clt", "tos", "orog", "sftlf", "zmla"),
    *("zg500", "ta850", "hus700", "hur850", "ua250", "va250", "wap500"),
)
TABLE = Path(compliance_checker.__file__).parent / "data" / "cf-standard-name-table.xml"


@pytest.fixture(scope="module")
def standard_units():
    """Canonical units of CF by standard name."""
    entries = ElementTree.parse(TABLE).getroot().iter("entry")
    return {entry.get("id"): entry.findtext("canonical_units") for entry in entries}


@pytest.mark.parametrize("name", ASKED)
def test_what_users_downscale_or_feed_is_known_in_full(name):
    variable = describe(name)
    assert variable.name == name and variable.standard_names and variable.long_name
    assert np.isfinite(variable.plausible).all()
    low, high = variable.bounds
    assert low == -math.inf or variable.plausible[0] <= low
    assert high == math.inf or high <= variable.plausible[1]
    needed = {"units", "standard_name", "long_name"}
    needed |= {"cell_methods"} if variable.kind != "static" else set()
    assert set(variable_attrs(name)) == needed


@pytest.mark.parametrize("variable", registered().values(), ids=registered().keys())
def test_standard_names_are_those_of_cf_and_belong_to_the_units(variable, standard_units):
    written = variable.standard_names[0]
    assert written in standard_units
    registry = pint.application_registry
    assert registry.Unit(_pint(variable.units)).is_compatible_with(_pint(standard_units[written]))
    for units in variable.other_units:
        assert conversion(variable.name, units, "here") is not None


def _pint(units):
    return re.sub(r"(?<=[A-Za-z])(-?\d+)", r"**\1", units).replace(" ", " * ")


def test_names_and_aliases_are_told_apart():
    surface = [v for v in registered().values() if not v.levels]
    aliases = [alias for variable in surface for alias in (variable.name, *variable.aliases)]
    assert len(set(aliases)) == len(aliases)
    assert not set(aliases) & {v.name for v in registered().values() if v.levels}


def test_levels_steps_and_parts_are_of_their_variable():
    assert split_level("ta850") == ("ta", 850) and split_level("tas") == ("tas", None)
    assert split_level("xy12") == ("xy12", None)
    assert describe("ua250").northward == "va250"
    assert describe("zg500").long_name == "Geopotential height at 500 hPa"
    assert describe("zg500").plausible == pytest.approx((3776, 7376), abs=5)
    assert describe("pr#2") == describe("pr@-1") == describe("pr")
    assert canonical_units("snowline") is None and describe("snowline").name == "snowline"


def test_extremes_belong_to_their_mean():
    methods = {"tas": "mean", "tasmax": "maximum", "tasmin": "minimum"}
    assert daily_methods("tasmin") == daily_methods("tas") == methods
    assert daily_methods("pr") == daily_methods("snowline") == {}
    assert describe("tasmax").reduction == "max" and describe("pr").reduction == "mean"


def test_phrases_keep_abbreviations():
    assert describe("rsdt").phrase == "TOA incident shortwave radiation"
    assert describe("pr").phrase == "precipitation" and describe("snowline").phrase == "snowline"


def test_a_user_adds_a_variable_once(monkeypatch):
    monkeypatch.setattr(catalogue, "_REGISTERED", dict(registered()))
    snowline = Variable("snowline", "m", "Snow line", bounds=(0.0, math.inf), kind="amount")
    assert register_variable(snowline) == register_variable(snowline) == describe("snowline")
    assert variable_attrs("snowline") == {
        "units": "m",
        "long_name": "Snow line",
        "cell_methods": "time: mean",
    }
    assert conversion("snowline", "km", "here").factor == 1000.0
    with pytest.raises(ValueError, match="'tas' is in the catalogue already"):
        register_variable(Variable("tas", "degC"))
    with pytest.raises(ValueError, match="must ascend"):
        Variable("x", bounds=(1.0, 0.0))
