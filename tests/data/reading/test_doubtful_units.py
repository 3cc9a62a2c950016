"""Values that are far too small for their units: noticed, or refused with the units meant."""

from pathlib import Path

import numpy as np
import pytest

from graphdown.data.reading.fields import read_files, to_canonical
from graphdown.data.reading.file_request import Request
from graphdown.data.reading.rules import Notes
from graphdown.errors import DataError

from ..files import make

CASES = Path(__file__).parents[1] / "cases"


def test_rain_a_thousand_times_too_small_is_noticed():
    _, understood = read_files([str(CASES / "ciesm_pr.nc")], Request(("pr",)))
    (note,) = understood.notes
    assert note.rule == "units-doubtful"
    assert "nowhere more than 0.26 mm day-1" in note.text and "look like m s-1" in note.text


def test_a_land_fraction_in_percent_that_ends_at_1_is_refused():
    with pytest.raises(DataError, match="to exactly 1 %; its units look like 1") as caught:
        read_files([str(CASES / "sftlf_pct.nc")], Request(("sftlf",)))
    assert caught.value.rule == "out-of-range"
    ds, _ = read_files([str(CASES / "sftlf_pct.nc")], Request(("sftlf",), units={"sftlf": "1"}))
    assert float(ds.sftlf.max()) == 1.0


# A name, the wrong units, the raw range.
REFUSED = [
    ("hurs", "%", (0.2, 0.99)),
    ("clt", "%", (0.0, 1.0)),
    ("snc", "%", (0.0, 1.0)),
    ("siconc", "percent", (0.0, 1.0)),
    ("hurs", "1", (20.0, 99.0)),
    ("psl", "Pa", (980.0, 1030.0)),
    ("zg500", "m", (51000.0, 56000.0)),
    ("zg850", "m", (13000.0, 15000.0)),
    ("huss", "1", (2.0, 18.0)),
    ("huss", "kg kg-1", (2.0, 18.0)),
    ("hus200", "kg kg-1", (0.003, 0.06)),
    ("rsds", "W m-2", (1e6, 2.5e7)),
    ("rlds", "J m-2 day-1", (200.0, 400.0)),
    ("tas", "degC", (270.0, 300.0)),
    ("tas", "K", (-3.0, 27.0)),
    ("pr", "mm day-1", (0.0, 4e-4)),
]
NOTICED = [
    ("huss", "g kg-1", (0.002, 0.018)),
    ("rsds", "J m-2 day-1", (0.0, 300.0)),
    ("pr", "m day-1", (0.0, 15.0)),
    ("tas", "degC", (30.0, 70.0)),
]
HONEST = [
    ("hurs", "%", (20.0, 99.0)),
    ("hurs", "1", (0.2, 1.1)),
    ("clt", "%", (0.0, 100.0)),
    ("snc", "%", (0.0, 0.7)),
    ("siconc", "%", (0.0, 90.0)),
    ("sftlf", "1", (0.0, 1.0)),
    ("zg500", "m2 s-2", (51000.0, 56000.0)),
    ("hus200", "g kg-1", (0.003, 0.06)),
    ("huss", "g kg-1", (2.0, 18.0)),
    ("rsds", "W m-2", (0.0, 300.0)),
    ("pr", "mm day-1", (0.0, 40.0)),
    ("prsn", "mm day-1", (0.0, 0.001)),
    ("tos", "degC", (-1.8, 30.0)),
]


def read(name, units, span):
    ds, notes = make("tas", days=20).rename(tas=name), Notes()
    values = np.random.default_rng(0).uniform(*span, ds[name].shape).astype("f4")
    values.flat[:2] = span
    ds[name] = ds[name].copy(data=values).assign_attrs(units=units)
    to_canonical(ds, (name,), notes=notes)
    return [note.rule for note in notes.listed() if note.rule != "geopotential"]


@pytest.mark.parametrize(("name", "units", "span"), REFUSED)
def test_units_that_cannot_be_are_refused(name, units, span):
    with pytest.raises(DataError) as caught:
        read(name, units, span)
    assert caught.value.rule == "out-of-range"


@pytest.mark.parametrize(("name", "units", "span"), NOTICED)
def test_units_that_can_hardly_be_are_noticed(name, units, span):
    assert read(name, units, span) == ["units-doubtful"]


@pytest.mark.parametrize(("name", "units", "span"), HONEST)
def test_units_that_are_right_are_taken_without_a_word(name, units, span):
    assert read(name, units, span) in ([], ["units-doubtful"] if name == "prsn" else [])
