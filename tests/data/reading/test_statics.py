"""Static fields brought to the target: taken as they are where its cells are the field's own."""

import numpy as np
import pytest

from graphdown.data.reading import statics
from meshes import Grid, bilinear, conservative

ROWS, COLUMNS = np.arange(-14.0, -10.0, 0.22), np.arange(-7.0, -4.0, 0.22)


def rotated(rows, columns):
    return Grid.rotated(-162.0, 39.25, rows, columns)


WHOLE = rotated(ROWS, COLUMNS)
FIELD = WHOLE.dataarray(np.random.default_rng(0).normal(size=WHOLE.size), "orog", attrs={})


@pytest.mark.parametrize("part", [slice(None), slice(3, 11), slice(None, None, 2)])
def test_the_same_cells_keep_their_values_and_coarser_ones_take_means(part, monkeypatch):
    grid = rotated(ROWS[part], COLUMNS[part])
    remap = conservative if WHOLE.spacing_km < grid.spacing_km else bilinear
    expected = remap(WHOLE, grid).apply(WHOLE.values(FIELD))
    if part.step is None:

        def refused(*grids):
            raise AssertionError("a field is remapped to its own cells")

        for name in ("bilinear", "conservative"):
            monkeypatch.setattr(statics, name, refused)
    found = grid.values(statics.on_grid(FIELD, grid, "x"))
    np.testing.assert_array_equal(found, expected.astype(np.float32))


def test_a_cell_without_a_value_takes_those_around_as_before():
    field = FIELD.copy(deep=True)
    field[5, 5] = np.nan
    grid = rotated(ROWS[3:11], COLUMNS[3:11])
    places = statics.same_cells(WHOLE, grid)
    assert np.isnan(WHOLE.values(field)[places]).any()
    assert np.isfinite(statics.on_grid(field, grid, "x")).all()
