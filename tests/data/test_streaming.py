"""A source in passes: the same as all of it in memory, whatever the parts."""

import dask.array as da
import numpy as np
import pytest
import xarray as xr

from graphdown.data import streaming
from graphdown.data.load import source_arrays
from graphdown.data.reading.rules import Notes
from graphdown.data.streaming import SourceDays
from graphdown.errors import DataError
from meshes import Grid

GRID = Grid.regular(2.0, 2.0, (0.0, 40.0, 12.0, 50.0))
DAYS = 23
NAMES = ("tas", "pr", "ta850")


def source():
    """Three variables; one point is never there, and some lie below ground on some days."""
    time = {"time": xr.date_range("2000-01-01", periods=DAYS)}
    values = np.random.default_rng(0).normal(size=(3, DAYS, GRID.size)).astype(np.float32)
    values[0, :, 7] = np.nan
    values[2, 3:19, 11:14] = np.nan
    return xr.Dataset(
        {n: GRID.dataarray(v, n, ("time",), time) for n, v in zip(NAMES, values, strict=True)}
    )


def noted(notes):
    return [(note.rule, note.text) for note in notes.listed()]


@pytest.mark.parametrize("days", [1, 5, DAYS])
@pytest.mark.parametrize("names", [NAMES, (*NAMES, "hus700")])
def test_parts_together_are_what_memory_holds(days, names):
    told, known = Notes(), Notes()
    grid, expected = source_arrays(source(), names, "x", known)
    days_of = SourceDays(source().chunk(time=days), names, "x", told)
    nodes = np.arange(5, GRID.size, 2)
    parts = list(days_of.passed(nodes))
    np.testing.assert_array_equal(np.concatenate(parts), expected[:, nodes])
    np.testing.assert_array_equal(days_of.grid.mask, grid.mask)
    assert noted(told) == noted(known) != []


def test_missing_values_are_refused_before_a_day_is_used():
    broken = source()
    broken["pr"][20, 1, 2] = np.nan
    broken["tas"][21, 1, 3] = np.nan
    with pytest.raises(DataError) as whole:
        source_arrays(broken, NAMES, "x")
    with pytest.raises(DataError) as parts:
        SourceDays(broken.chunk(time=4), NAMES, "x", Notes())
    assert str(parts.value) == str(whole.value)
    assert "2 values are missing, the first in 'pr'" in str(parts.value)


def test_no_more_days_are_in_memory_than_asked_for(monkeypatch):
    monkeypatch.setattr(streaming, "PART_BYTES", 1)
    read = []

    def block(values, block_info=None):
        read.append(block_info[0]["array-location"][0][0])
        return values

    ds = source()[["pr"]]
    lazy = da.map_blocks(block, da.from_array(ds.pr.values, chunks=(1, -1, -1)), dtype=np.float32)
    days_of = SourceDays(ds.assign(pr=(ds.pr.dims, lazy)), ("pr",), "x", Notes())
    read.clear()
    parts = days_of.passed(np.arange(GRID.size))
    for number in range(4):
        assert next(parts).shape[0] == 1
        assert len(set(read)) <= number + 1 + streaming.AHEAD
    parts.close()
    assert len(set(read)) < DAYS
