from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from meshes import Grid, build_graph, coverage
from meshes.geometry.sphere import lonlat_to_xyz
from meshes.graphs.coverage import covers, usual_distance_km

TARGET = Grid.rotated(-162.0, 39.25, np.arange(-5.0, 5.1, 0.5), np.arange(-5.0, 5.1, 0.5))
GLOBAL = ["T63", "HEALPix-16", "R2B3", "C24", "O32", "f19"]


@pytest.mark.parametrize("name", GLOBAL)
def test_a_global_source_covers_every_point(name):
    rng = np.random.default_rng(0)
    xyz = rng.normal(size=(2000, 3))
    xyz = np.concatenate(
        [xyz / np.linalg.norm(xyz, axis=1, keepdims=True), [[0, 0, 1], [0, 0, -1]]]
    )
    assert covers(Grid.named(name), xyz).all()


@pytest.mark.parametrize("listed", [False, True])
def test_a_box_covers_its_inside(listed):
    box = Grid.regular(1.0, 1.0, (-10.0, 40.0, 10.0, 60.0))
    source = Grid.from_points(box.lon, box.lat) if listed else box
    rng = np.random.default_rng(0)
    lon, lat = rng.uniform(-14, 14, 5000), rng.uniform(36, 64, 5000)
    # Cells of a list of points end roundly, so its edge is known to half a cell only.
    slack = 0.6 if listed else 0.05
    outwards = np.maximum(np.abs(lon) - 10.0, np.abs(lat - 50.0) - 10.0)
    clear = np.abs(outwards) > slack
    found = covers(source, lonlat_to_xyz(lon, lat))
    np.testing.assert_array_equal(found[clear], outwards[clear] < 0)


def test_masked_cells_cover_nothing():
    box = Grid.regular(1.0, 1.0, (-10.0, 40.0, 10.0, 60.0))
    half = replace(box, mask=box.lon < 0)
    found = covers(half, lonlat_to_xyz([-5.0, 5.0], [50.0, 50.0]))
    np.testing.assert_array_equal(found, [True, False])


def test_shares_of_target_and_margin():
    target = Grid.regular(0.5, 0.5, (0.0, -5.0, 10.0, 5.0))
    west = Grid.regular(1.0, 1.0, (-20.0, -20.0, 5.0, 20.0))
    half = coverage(west, target, 300.0)
    assert half.target == pytest.approx(0.5, abs=0.03)
    assert half.margin == pytest.approx(0.5, abs=0.05)
    exact = coverage(target, target, 300.0)
    assert exact.target == 1.0
    assert exact.margin < 0.02
    whole = coverage(Grid.named("T63"), target, 300.0)
    assert (whole.target, whole.margin) == (1.0, 1.0)
    whole.require()
    assert coverage(target, target, 0.0).margin == 1.0


def test_too_little_cover_is_said_in_one_sentence():
    target = Grid.regular(0.5, 0.5, (0.0, -5.0, 10.0, 5.0))
    west = Grid.regular(1.0, 1.0, (-20.0, -20.0, 5.0, 20.0))
    with pytest.raises(ValueError, match=r"covers 5\d(\.\d+)? % of the target, 99.9 % is needed"):
        coverage(west, target, 300.0).require()
    with pytest.raises(ValueError, match="of the 300 km around the target .* lower margin_km"):
        coverage(target, target, 300.0).require()
    with pytest.raises(ValueError, match="margin_km must not be negative"):
        coverage(west, target, -1.0)
    with pytest.raises(ValueError, match="no used point"):
        coverage(replace(west, mask=np.zeros(west.size, dtype=bool)), target, 1.0)


def test_a_target_outside_the_source_gets_no_graph():
    america = Grid.regular(1.0, 1.0, (-120.0, 20.0, -60.0, 60.0))
    with pytest.raises(
        ValueError, match=r"source \(lat 20.5 to 59.5, lon -119.5 to -60.5 .*covers no point"
    ):
        build_graph(america, TARGET)
    masked = replace(Grid.named("T63"), mask=Grid.named("T63").lat < 0)
    with pytest.raises(ValueError, match="covers no point of the target"):
        build_graph(masked, TARGET)


def test_stations_may_be_a_target():
    rng = np.random.default_rng(3)
    stations = Grid.from_points(rng.uniform(0, 20, 40), rng.uniform(42, 55, 40))
    build_graph(Grid.named("T63"), stations).validate()
    found = coverage(Grid.named("T63"), stations, 200.0)
    assert (found.target, found.margin) == (1.0, 1.0)
    one = Grid.from_points([11.0], [48.0], [1e-4])
    build_graph(Grid.named("T63"), one).validate()


def test_cells_scattered_over_the_globe_cover_no_region():
    """Their hull is the globe, but the region lies a thousand kilometres from their points."""
    fine = Grid.regular(0.75, 0.75)
    cells = np.random.default_rng(0).choice(fine.size, 30, replace=False)
    scattered = fine.select(np.sort(cells))
    target = Grid.named("EUR-44")
    assert coverage(scattered, target, 0.0).target < 0.02
    assert usual_distance_km(scattered, target) > 1000.0
    points = Grid.from_points(scattered.lon, scattered.lat)
    assert coverage(points, target, 0.0).target < 0.5


@pytest.mark.parametrize("step", [1, 2])
def test_every_second_cell_of_a_grid_still_covers_a_region(step):
    grid = Grid.regular(2.0, 2.0)
    rows, columns = np.divmod(np.arange(grid.size), 180)
    thinned = grid.select((rows % step == 0) & (columns % step == 0))
    assert coverage(thinned, Grid.named("EUR-44"), 200.0).target > 0.999


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 10**6), st.integers(20, 400), st.floats(0.5, 3.0))
def test_scattered_cells_cover_what_lies_near_them_alone(seed, count, spacing):
    fine, target = Grid.regular(spacing, spacing), Grid.named("EUR-44")
    chosen = np.random.default_rng(seed).choice(fine.size, count, replace=False)
    cells = fine.select(np.sort(chosen))
    near = np.linalg.norm(target.xyz[:, None] - cells.xyz[None], axis=-1).min(axis=1)
    reach = 4.0 * np.radians(spacing)  # two sizes of a cell, and what its shape adds
    share = np.average(near <= reach, weights=target.area)
    assert coverage(cells, target, 0.0).target <= share + 1e-9
