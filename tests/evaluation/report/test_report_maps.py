from io import BytesIO

import numpy as np
import pytest
from PIL import Image

from graphdown.reports.colours import (
    ColourScale,
    change_scale,
    error_scale,
    field_scale,
    magnitude_scale,
)
from graphdown.reports.maps import LONGER_SIDE, MARGIN, Frame, MapCanvas
from meshes.grids.grid import Grid


def picture(png: bytes) -> np.ndarray:
    return np.asarray(Image.open(BytesIO(png)).convert("RGB")).astype(int)


def test_cells_lie_north_up_and_cover_equal_areas():
    grid = Grid.regular(2.0, 2.0, (0.0, 40.0, 8.0, 60.0))
    cells = Frame.around(grid).cells(grid)
    assert max(cells.shape) == LONGER_SIDE
    count = np.bincount(cells[cells >= 0], minlength=grid.size)
    assert np.allclose(count / count.sum(), grid.area / grid.area.sum(), rtol=0.1)
    rows, columns = (
        np.array([a[cells == n].mean() for n in range(grid.size)]) for a in np.indices(cells.shape)
    )
    assert np.corrcoef(rows, grid.lat)[0, 1] < -0.98
    east, west = grid.lon > 6, grid.lon < 2
    assert columns[east].min() > columns[west].max()


@pytest.mark.parametrize("west", [-4.0, 176.0])
def test_a_map_does_not_care_where_the_date_line_is(west):
    grid = Grid.regular(1.0, 1.0, (west, 10.0, west + 8, 16.0))
    cells = Frame.around(grid).cells(grid)
    assert set(np.unique(cells)) >= set(range(grid.size))
    at_equator = Grid.regular(1.0, 1.0, (50.0, 10.0, 58.0, 16.0))
    assert np.mean(cells == Frame.around(at_equator).cells(at_equator)) > 0.98


def test_a_picture_shows_the_values_of_its_cells():
    grid = Grid.regular(1.0, 1.0, (0.0, 0.0, 4.0, 4.0))
    canvas = MapCanvas(Frame.around(grid), grid)
    scale = ColourScale("viridis", 0.0, 15.0, "K")
    values = np.arange(16.0)
    values[5] = np.nan
    values[15] = 99.0
    pixels, rgb = picture(canvas.png(values, scale)), scale.rgb().astype(int)
    for cell, expected in ((0, rgb[0]), (15, rgb[-1]), (5, [214] * 3), (-1, [255] * 3)):
        own = pixels[canvas.cells == cell]
        assert len(own) and (own == expected).all()


def test_a_coarse_field_is_cut_to_the_footprint():
    fine = Grid.regular(0.5, 0.5, (2.0, 42.0, 6.0, 46.0))
    coarse = Grid.regular(3.0, 3.0)
    frame = Frame.around(fine)
    inside = frame.cells(fine) >= 0
    canvas = MapCanvas(frame, coarse, footprint=inside)
    assert ((canvas.cells >= 0) == inside).all()
    shown = canvas.cells[canvas.cells >= 0]
    assert abs(coarse.lat[shown] - 44).max() < 4 and abs(coarse.lon[shown] - 4).max() < 4


def test_the_coast_runs_where_the_land_fraction_is_half():
    grid = Grid.regular(0.5, 0.5, (0.0, 0.0, 4.0, 4.0))
    frame = Frame.around(grid)
    coast = frame.contour(grid, (grid.lon > 2).astype(float), 0.5)
    columns = np.flatnonzero(coast.any(axis=0))
    assert abs(columns.mean() - frame.size[0] / 2) < MARGIN
    assert not frame.contour(grid, np.ones(grid.size), 0.5).any()


def test_scales_are_centred_shared_and_hold_the_values():
    rng = np.random.default_rng(0)
    errors = [rng.normal(size=50), rng.normal(size=50) + 2, np.array([np.nan])]
    scale = error_scale("tas", errors, "K")
    assert scale.low == -scale.high and scale.position(np.array(0.0)) == 0.5
    assert scale.high >= np.percentile(np.abs(np.concatenate(errors[:2])), 99)
    field = field_scale("tas", [np.array([271.3, 289.9])], "K")
    assert field.low <= 271.3 and field.high >= 289.9 and field.high - field.low < 25
    rain = field_scale("pr", [np.array([0.0, 43.0])], "mm/day")
    assert rain.low == 0 and 43 <= rain.high <= 50
    assert rain.position(np.array(rain.high / 4)) == pytest.approx(0.5)
    assert magnitude_scale([np.array([0.0, 3.1])], "K").high >= 3
    assert change_scale("tas", [np.array([2.0, 4.0])], "K").low > 0
    assert change_scale("pr", [np.array([2.0, 4.0])], "%").low < 0


@pytest.mark.parametrize("values", [[0.0, 0.0], [np.nan, np.nan], [1e-7, 2e-7], [280.0, 280.0]])
def test_scales_survive_constant_and_missing_fields(values):
    for make in (field_scale, error_scale, change_scale):
        for variable in ("tas", "pr"):
            scale = make(variable, [np.array(values)], "K")
            assert scale.high > scale.low
            places = [place for place, _ in scale.ticks()]
            assert places == sorted(places) and min(places) >= 0 and max(places) <= 1
