"""Codes of missing values that no attribute declares, and genuine values that look like codes."""

from pathlib import Path

import numpy as np
import pytest
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st

from graphdown.data.reading.fields import read_files, to_canonical
from graphdown.data.reading.file_request import Request
from graphdown.data.reading.fill_codes import CODES, codes_in
from graphdown.data.reading.rules import Notes

from ..files import make

CASES = Path(__file__).parents[1] / "cases"
TIMES, CELLS = 12, (4, 6)


def test_a_code_that_is_a_possible_temperature_is_missing():
    ds, understood = read_files([str(CASES / "code_degC.nc")], Request(("tas",)))
    assert float(ds.tas.isnull().mean()) == 0.125
    assert float(ds.tas.min()) > 270.0
    assert understood.variables[0].missing == 0.125
    (note,) = understood.notes
    assert note.rule == "fill-code" and "-99.9 is missing" in note.text


# A name, units, the range of raw values and a code.
CODED = [
    ("tas", "degC", (-3.0, 27.0), -99.9),
    ("tas", "degC", (-85.0, -20.0), -99.0),
    ("tas", "K", (270.0, 300.0), 0.0),
    ("tas", "degC", (-3.0, 27.0), -273.15),
    ("tas", "K", (270.0, 300.0), -999.0),
    ("tas", "K", (270.0, 300.0), 1e20),
    ("pr", "mm day-1", (0.0, 40.0), -99.0),
    ("pr", "mm day-1", (0.0, 40.0), 999.0),
    ("psl", "Pa", (98e3, 103e3), 9999.0),
    ("zg1000", "m", (-100.0, 300.0), -999.0),
    ("hfls", "W m-2", (-50.0, 300.0), -999.0),
    ("orog", "m", (0.0, 2500.0), -9999.0),
    ("mrso", "kg m-2", (10.0, 900.0), 999999.0),
    ("tas", "K", (270.0, 300.0), 2147483647.0),
]


@settings(max_examples=60, deadline=None)
@given(
    st.sampled_from(CODED),
    st.sampled_from(["f4", "f8"]),
    st.integers(0, 2**32 - 1),
)
def test_codes_at_the_same_places_are_missing_and_nothing_else_is(case, dtype, seed):
    name, units, span, code = case
    random = np.random.default_rng(seed)
    values = random.uniform(*span, (TIMES, *CELLS)).astype(dtype)
    hidden = random.random(CELLS) < 0.3
    hidden.flat[0], hidden.flat[-1] = True, False
    values[:, hidden] = code
    made, notes = canonical(name, units, values)
    np.testing.assert_array_equal(np.isnan(made), np.broadcast_to(hidden, made.shape))
    assert {note.rule for note in notes} == {"fill-code"}


@settings(max_examples=40, deadline=None)
@given(
    st.sampled_from([c for c in CODED if c[2][0] > -50 and c[3] and c[0] != "orog"]),
    st.integers(0, 2**32 - 1),
)
def test_codes_at_changing_places_are_missing_too(case, seed):
    name, units, span, code = case
    random = np.random.default_rng(seed)
    values = random.uniform(*span, (TIMES, *CELLS)).astype("f4")
    values[:, 0, :2] = np.linspace(*span, 2)  # both ends are there at all times
    hidden = random.random(values.shape) < 0.2
    hidden[:, 0, :2] = False
    hidden[0, 1, :2] = True
    values[hidden] = code
    made, _ = canonical(name, units, values)
    np.testing.assert_array_equal(np.isnan(made), hidden)


# Values that are like codes, but among or near the others.
GENUINE = [
    ("psl", "Pa", (98e3, 103e3), 99999.0),
    ("psl", "hPa", (980.0, 1030.0), 999.0),
    ("psl", "hPa", (1008.0, 1012.0), 999.0),
    ("zg300", "m", (8800.0, 9700.0), 9999.0),
    ("ua250", "m s-1", (-98.0, 60.0), -99.0),
    ("zg1000", "m", (-150.0, 300.0), -99.0),
    ("hfls", "W m-2", (-150.0, 300.0), -99.9),
]


@settings(max_examples=40, deadline=None)
@given(st.sampled_from(GENUINE), st.integers(0, 2**32 - 1))
def test_genuine_values_that_are_like_codes_stay(case, seed):
    name, units, span, value = case
    random = np.random.default_rng(seed)
    values = random.uniform(*span, (TIMES, *CELLS)).astype("f4")
    values[tuple(random.integers(0, n, 3) for n in values.shape)] = value
    made, notes = canonical(name, units, values)
    assert not np.isnan(made).any() and not notes


def test_rain_that_is_zero_everywhere_or_at_the_same_places_stays():
    values = np.random.default_rng(0).gamma(0.5, 8.0, (TIMES, *CELLS)).astype("f4")
    values[:, 0] = 0.0
    assert not np.isnan(canonical("pr", "mm day-1", values)[0]).any()
    assert not np.isnan(canonical("pr", "mm day-1", values * 0.0)[0]).any()


def test_whole_fields_of_zero_kelvin_are_no_code():
    values = np.random.default_rng(0).uniform(270.0, 300.0, (TIMES, *CELLS)).astype("f4")
    values[-1] = 0.0
    with pytest.raises(ValueError, match="'tas' runs from 0 to"):
        canonical("tas", "K", values)


def test_codes_that_the_sample_lacks_are_known_by_their_distance():
    sample = np.random.default_rng(0).uniform(-3.0, 27.0, (3, *CELLS))
    found = codes_in([sample])
    later = np.array([-99.9, -99.0, 20.0, -30.0])
    np.testing.assert_array_equal(
        found.filled(later, np.zeros(4, bool)), [True, True, False, False]
    )


def test_integers_have_codes_too():
    values = np.random.default_rng(0).integers(270, 300, (TIMES, *CELLS), dtype="i4")
    values[:, 0] = -32768
    made, _ = canonical("tas", "K", values)
    assert np.isnan(made[:, 0]).all() and not np.isnan(made[:, 1:]).any()


def test_every_code_is_exact_in_its_type():
    codes = np.asarray(CODES, "f4")
    assert len(set(codes.tolist())) >= len(CODES) - 2  # those of 32 bits are alike
    assert codes_in([np.full((3, 2, 2), np.nan)]).found == ()


def canonical(name, units, values):
    """Canonical values of a field [time, lat, lon], and notes about them."""
    lat, lon = (np.arange(0.0, n) for n in values.shape[1:])
    ds = make("tas", days=len(values), lat=lat, lon=lon).rename(tas=name)
    field = xr.DataArray(values, ds[name].coords, ds[name].dims, attrs={"units": units})
    if name == "orog":
        field = field.isel(time=0, drop=True)
    notes = Notes()
    made = to_canonical(field.to_dataset(name=name), (name,), notes=notes)[name].values
    made = np.broadcast_to(made, values.shape)
    return made, [note for note in notes.listed() if note.rule != "integers"]
