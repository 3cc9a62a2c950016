"""Parts of a target: boxes, regions, and cells that sources cover."""

import logging

import numpy as np
import pytest

from graphdown.data.load import load_data
from graphdown.data.reading.horizontal import horizontal_grid
from graphdown.data.target_part import cut_to
from graphdown.errors import DataError, ExperimentError
from meshes import Grid

from .files import make
from .test_load import pair_of, wide

CURVED = Grid.rotated(-162.0, 39.25, np.arange(-4.0, 4.0, 0.5), np.arange(-4.0, 4.0, 0.5))


def on(grid, name="tas"):
    return grid.dataarray(np.ones((2, grid.size)), name, ("time",)).to_dataset()


def used(ds):
    grid = horizontal_grid(ds, ["tas"], "the target")
    return set(zip(grid.lon[grid.mask].round(6), grid.lat[grid.mask].round(6), strict=True))


def inside(grid, box):
    west, south, east, north = box
    keep = (np.mod(grid.lon - west, 360) <= east - west) & (grid.lat >= south) & (grid.lat <= north)
    return set(zip(grid.lon[keep].round(6), grid.lat[keep].round(6), strict=True))


GRIDS = {
    "axes": Grid.regular(2.5, 2.5),
    "gaussian": Grid.named("T21"),
    "rotated": CURVED,
    "list": Grid.named("HEALPix-8"),
}
BOXES = [(-10.0, 40.0, 20.0, 60.0), (170.0, -20.0, 200.0, 20.0), (-180.0, 50.0, 180.0, 90.0)]


@pytest.mark.parametrize("box", BOXES)
@pytest.mark.parametrize("name", GRIDS)
def test_box_keeps_the_cells_with_centres_in_it(name, box):
    grid = GRIDS[name]
    if not inside(grid, box):
        with pytest.raises(DataError, match="holds no cell of the target"):
            cut_to(on(grid), box, ["tas"], "x")
        return
    assert used(cut_to(on(grid), box, ["tas"], "x")) == inside(grid, box)


def test_box_across_the_seam_is_in_one_piece():
    cut = cut_to(on(Grid.regular(10.0, 10.0)), (-30.0, 0.0, 30.0, 40.0), ["tas"], "x")
    np.testing.assert_allclose(np.diff(np.unwrap(cut.lon, period=360)), 10.0)
    assert dict(cut.sizes) == {"time": 2, "lat": 4, "lon": 6}


@pytest.mark.parametrize("name", ["alps", "Iberian Peninsula"])
def test_region_is_known_by_its_name(name):
    box = {"alps": (5.0, 44.0, 15.0, 48.0)}.get(name, (-10.0, 36.0, 3.0, 44.0))
    grid = Grid.regular(1.0, 1.0)
    assert used(cut_to(on(grid), name, ["tas"], "x")) == inside(grid, box)


def test_grid_is_known_by_its_name():
    cut = cut_to(on(Grid.regular(2.0, 2.0)), "EUR-44", ["tas"], "x")
    domain = Grid.named("EUR-44")
    area = horizontal_grid(cut, ["tas"], "x")
    assert area.area[area.mask].sum() == pytest.approx(domain.area.sum(), rel=0.03)


WRONG = {
    "atlantis": "no region is called 'atlantis'",
    (10.0, 0.0, -10.0, 5.0): "no box",
    (1.0, 2.0, 3.0): "'data.target.cut",
}


@pytest.mark.parametrize("cut", WRONG)
def test_cut_that_is_no_region_is_refused_in_one_sentence(tmp_path, cut):
    with pytest.raises(ExperimentError, match=WRONG[cut]) as error:
        cut_experiment(tmp_path, cut if isinstance(cut, str) else list(cut))
    assert "dict[" not in str(error.value) and "tuple[" not in str(error.value)


def cut_experiment(tmp_path, cut, **target):
    """Experiment of a source that ends in the middle of the target."""
    from graphdown.config.experiment_file import parse_experiment

    wide().sel(lon=slice(None, 0)).to_netcdf(tmp_path / "coarse.nc")
    make(lon=np.arange(-8.0, 4.0), lat=np.arange(38.0, 44.0)).to_netcdf(tmp_path / "fine.nc")
    asked = {"files": [str(tmp_path / "fine.nc")], "cut": cut, **target}
    raw = {
        "name": "x",
        "output": "x",
        "predictors": ["tas"],
        "targets": ["tas"],
        "data": {
            "target": asked,
            "sources": [{"name": "gcm", "files": [str(tmp_path / "coarse.nc")]}],
        },
        "periods": {
            "train": ["2000-01-01", "2000-01-05"],
            "validation": ["2000-01-06", "2000-01-07"],
            "test": ["2000-01-08", "2000-01-09"],
        },
    }
    return parse_experiment(raw, "x.yaml")


def test_source_that_covers_too_little_names_both_cures(tmp_path):
    with pytest.raises(DataError, match=r"'data.target.cut'.*'data.target.outside: mask'"):
        load_data(cut_experiment(tmp_path, {}))


@pytest.mark.parametrize("storage", [False, True])
def test_cells_outside_of_a_source_are_left_out(tmp_path, caplog, storage):
    with caplog.at_level(logging.INFO, "graphdown"):
        data = load_data(
            cut_experiment(tmp_path, {}, outside="mask"), tmp_path / "store" if storage else None
        )
    grid = horizontal_grid(data.fine, ["tas"], "the target")
    np.testing.assert_array_equal(grid.mask, grid.lon <= 1.0)
    assert "12 cells that a source does not cover are left out [outside-masked]" in caplog.text


def test_box_within_the_source_is_loaded(tmp_path):
    data = load_data(cut_experiment(tmp_path, [-6.0, 39.0, 0.0, 42.0]))
    assert dict(data.fine.sizes) == {"time": 9, "lat": 4, "lon": 7}
    assert data.fine.tas.notnull().all()


def test_whole_source_needs_no_mask(tmp_path):
    loaded = load_data(pair_of(tmp_path, wide()))
    assert horizontal_grid(loaded.fine, ["tas"], "the target").mask.all()
