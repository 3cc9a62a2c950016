"""Times that occur twice: kept once only if every one of them has the same values."""

from pathlib import Path

import numpy as np
import pytest
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st

from graphdown.data import to_canonical
from graphdown.data.reading.fields import read_files
from graphdown.data.reading.file_request import Request
from graphdown.data.reading.rules import Notes
from graphdown.errors import DataError

from ..files import make

CASES = Path(__file__).parents[1] / "cases"


def test_one_time_of_ten_that_differs_is_named():
    with pytest.raises(DataError, match=r"1 of 10 times of 'tas' .*\(2000-01-03\)") as caught:
        read_files([str(CASES / "dup_hidden.nc")], Request(("tas",)))
    assert caught.value.rule == "duplicate-differs"


@settings(max_examples=30, deadline=None)
@given(st.integers(1, 12), st.integers(0, 11), st.integers(0, 4), st.integers(0, 7), st.booleans())
def test_a_difference_anywhere_is_found(chunk, day, row, column, missing):
    once = make(days=12)
    second = once.tas.values.copy()
    alike = xr.concat([once, once], "time").chunk(time=chunk)
    notes = Notes()
    np.testing.assert_array_equal(to_canonical(alike, ["tas"], notes=notes).tas, once.tas)
    assert [note.rule for note in notes.listed()] == ["time-sorted", "duplicate-dropped"]
    second[day, row, column] = np.nan if missing else second[day, row, column] + 0.5
    other = xr.concat([once, once.assign(tas=once.tas.copy(data=second))], "time")
    with pytest.raises(DataError) as caught:
        to_canonical(other.chunk(time=chunk), ["tas"])
    assert caught.value.rule == "duplicate-differs"
    assert f"({str(once.time.values[day])[:10]})" in str(caught.value)
