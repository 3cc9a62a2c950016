import numpy as np
import pytest
import xarray as xr

from graphdown.data.reading import units as told
from graphdown.data.reading.units import convert_units, is_amount
from graphdown.errors import DataError

CONVERSIONS = [
    ("tas", "degC", 10.0, 283.15),
    ("tas", "K", 280.0, 280.0),
    ("pr", "kg m-2 s-1", 1e-4, 8.64),
    ("pr", "mm/day", 3.0, 3.0),
    ("pr", "mm day-1", 3.0, 3.0),
    ("pr", "m s-1", 1e-7, 8.64),
    ("psl", "hPa", 1013.0, 101300.0),
    ("sftlf", "%", 25.0, 0.25),
    ("hus700", "g kg-1", 5.0, 0.005),
    ("ua850", "m s-1", -4.0, -4.0),
]


@pytest.mark.parametrize(("name", "units", "value", "expected"), CONVERSIONS)
def test_units_become_canonical(name, units, value, expected):
    field = xr.DataArray([value], dims="x", name=name, attrs={"units": units})
    made = convert_units(field, None, "here")
    assert made.dtype == np.float32
    np.testing.assert_allclose(made, expected, rtol=1e-6)
    np.testing.assert_allclose(convert_units(made, None, "here"), made)


def test_stated_units_count_more_than_the_attribute():
    field = xr.DataArray([10.0], dims="x", name="tas", attrs={"units": "K"})
    np.testing.assert_allclose(convert_units(field, "degC", "here"), 283.15, rtol=1e-6)


def test_missing_and_unknown_units_are_refused_with_the_cure():
    field = xr.DataArray([1.0], dims="x", name="pr")
    with pytest.raises(DataError, match="here: the variable 'pr' has no units; state them"):
        convert_units(field, None, "here")
    for units in ("bananas", "K"):
        with pytest.raises(DataError, match=f"{units!r} of 'pr' cannot be turned into"):
            convert_units(field, units, "here")


def test_what_is_known_of_the_usual_units_is_what_udunits_says(monkeypatch):
    known = dict(told.USUAL)
    monkeypatch.setattr(told, "USUAL", {})
    for (given, wanted), numbers in known.items():
        told._linear.cache_clear()
        made = told._linear(given, wanted, "pr", "here")
        assert (made.factor, made.offset) == numbers
    usual = told.NO_AMOUNTS
    monkeypatch.setattr(told, "NO_AMOUNTS", ())
    assert not any(is_amount(units, "pr") for units in usual) and is_amount("kg m-2", "pr")
