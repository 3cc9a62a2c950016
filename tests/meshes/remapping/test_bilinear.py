import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from meshes import Grid, bilinear, icosphere, nearest
from meshes.remapping.remap import wachspress

ROTATED = Grid.rotated(-162.0, 39.25, np.arange(-6.0, 6.01, 0.44), np.arange(-5.0, 5.01, 0.44))
GLOBAL = Grid.regular(5.0, 4.0)
MESH = icosphere(3)
SOURCES = {
    "rotated": ROTATED,
    "regular": Grid.regular(1.875, 1.25, (-5.0, 30.0, 40.0, 62.5)),
    "gaussian": Grid.gaussian(96, (-5.0, 35.0, 40.0, 65.0)),
    "global": GLOBAL,
    "icosahedral": Grid.from_points(MESH.lon, MESH.lat),
    "healpix": Grid.named("HEALPix-8"),
    "lambert": Grid.named("ALPS-12"),
}


def points(n, west, south, east, north, seed=0):
    rng = np.random.default_rng(seed)
    return Grid.from_points(rng.uniform(west, east, n), rng.uniform(south, north, n), np.ones(n))


def reordered(grid, order):
    return Grid.from_points(grid.lon[order], grid.lat[order], grid.area[order])


@pytest.mark.parametrize("source", SOURCES.values(), ids=SOURCES.keys())
def test_weights_are_a_partition_of_one(source):
    weights = bilinear(source, points(500, -180.0, -90.0, 180.0, 90.0))
    assert weights.values.min() > 0.0
    np.testing.assert_allclose(np.bincount(weights.rows, weights.values), 1.0, atol=1e-12)


@pytest.mark.parametrize("source", SOURCES.values(), ids=SOURCES.keys())
def test_a_grid_onto_itself_is_the_identity(source):
    weights = bilinear(source, source)
    np.testing.assert_array_equal(weights.rows, np.arange(source.size))
    np.testing.assert_array_equal(weights.cols, np.arange(source.size))
    np.testing.assert_allclose(weights.values, 1.0)


def index_fields(grid):
    row, column = np.unravel_index(np.arange(grid.size), grid.shape)
    return np.stack([row, column, row * column / 10.0]).astype(float)


def test_fields_linear_and_bilinear_in_the_index_on_a_rotated_grid():
    """Halfway and quarter positions between the points of a rotated grid."""
    rlon, rlat = (ROTATED.coords[d].values for d in ("rlon", "rlat"))
    target = Grid.rotated(-162.0, 39.25, rlon[:-1] + 0.25 * 0.44, rlat[:-1] + 0.5 * 0.44)
    i, j = np.meshgrid(
        np.arange(len(rlat) - 1) + 0.5, np.arange(len(rlon) - 1) + 0.25, indexing="ij"
    )
    exact = np.stack([i, j, i * j / 10.0]).reshape(3, -1)
    # A cell is a trapezium whose sides differ by less than 0.1 %: so do the coordinates.
    np.testing.assert_allclose(
        bilinear(ROTATED, target).apply(index_fields(ROTATED)), exact, atol=1e-3
    )


def test_every_cell_of_a_rotated_grid_is_one_quadrilateral():
    rlon, rlat = (ROTATED.coords[d].values for d in ("rlon", "rlat"))
    weights = bilinear(ROTATED, Grid.rotated(-162.0, 39.25, rlon[:-1] + 0.1, rlat[:-1] + 0.3))
    np.testing.assert_array_equal(np.bincount(weights.rows), 4)


def test_cells_stay_quadrilaterals_when_coordinates_are_rounded():
    rounded = Grid.from_points(np.round(ROTATED.lon, 3), np.round(ROTATED.lat, 3), ROTATED.area)
    rlon, rlat = (ROTATED.coords[d].values for d in ("rlon", "rlat"))
    target = Grid.rotated(-162.0, 39.25, rlon[:-1] + 0.1, rlat[:-1] + 0.3)
    values = index_fields(ROTATED)
    plain, coarse = bilinear(ROTATED, target), bilinear(rounded, target)
    np.testing.assert_array_equal(np.bincount(coarse.rows), 4)
    np.testing.assert_allclose(coarse.apply(values), plain.apply(values), atol=0.01)


@pytest.mark.parametrize("source", SOURCES.values(), ids=SOURCES.keys())
def test_order_of_the_source_points_does_not_matter(source):
    target = points(300, -20.0, 20.0, 50.0, 75.0)
    order = np.random.default_rng(3).permutation(source.size)
    plain = bilinear(source, target).matrix().toarray()
    shuffled = bilinear(reordered(source, order), target).matrix().toarray()
    np.testing.assert_allclose(shuffled, plain[:, order], atol=1e-13)


@pytest.mark.parametrize("source", SOURCES.values(), ids=SOURCES.keys())
def test_splitting_points_in_two_leaves_the_result(source):
    target, values = points(300, -20.0, 20.0, 50.0, 75.0), np.sin(np.arange(source.size))
    twice = Grid.from_points(
        np.tile(source.lon, 2), np.tile(source.lat, 2), np.tile(source.area / 2, 2)
    )
    np.testing.assert_allclose(
        bilinear(twice, target).apply(np.tile(values, 2)),
        bilinear(source, target).apply(values),
        atol=1e-12,
    )


def test_coincident_points_are_averaged_by_area():
    source = Grid.from_points(
        [0.0, 10.0, 0.0, 10.0, 0.0], [0.0, 0.0, 10.0, 10.0, 0.0], [1, 1, 1, 1, 3]
    )
    weights = bilinear(source, Grid.from_points([0.0], [0.0], [1.0]))
    np.testing.assert_allclose(weights.apply([4.0, 0, 0, 0, 8.0]), [7.0])


@settings(max_examples=20, deadline=None)
@given(turn=st.floats(-720.0, 720.0))
def test_rotation_about_the_axis_changes_nothing(turn):
    source, target = SOURCES["gaussian"], points(100, -10.0, 30.0, 45.0, 70.0)
    moved = [Grid.from_points(g.lon + turn, g.lat, g.area) for g in (source, target)]
    np.testing.assert_allclose(
        bilinear(*moved).matrix().toarray(), bilinear(source, target).matrix().toarray(), atol=1e-7
    )


def test_global_interpolation_has_no_seam_and_no_hole_at_the_poles():
    target = points(2000, -180.0, -90.0, 180.0, 90.0)
    caps = Grid.from_points([0.0, 100.0, 0.0], [90.0, -90.0, 89.9], np.ones(3))
    smooth = lambda g: g.xyz @ (0.3, -0.5, 0.8)  # noqa: E731
    weights = bilinear(GLOBAL, target)
    np.testing.assert_allclose(weights.apply(smooth(GLOBAL)), smooth(target), atol=2e-3)
    np.testing.assert_allclose(
        bilinear(GLOBAL, caps).apply(smooth(GLOBAL)), smooth(caps), atol=2e-3
    )


def test_refinement_converges():
    target = points(500, -180.0, -90.0, 180.0, 90.0)
    field = lambda g: np.sin(3 * g.xyz[:, 0]) * g.xyz[:, 2]  # noqa: E731
    errors = []
    for nlat in (24, 48, 96):
        source = Grid.gaussian(nlat)
        errors.append(np.abs(bilinear(source, target).apply(field(source)) - field(target)).max())
    assert errors[0] > 3 * errors[1] > 9 * errors[2]


def test_outside_the_region_the_rim_counts():
    source = Grid.regular(1.0, 1.0, (0.0, 0.0, 10.0, 10.0))
    east = Grid.from_points([15.0], [5.1], [1.0])
    weights = bilinear(source, east)
    np.testing.assert_allclose(weights.apply(source.lon), [9.5])
    assert weights.apply(source.lat)[0] == pytest.approx(5.1, abs=0.05)
    corner = bilinear(source, Grid.from_points([20.0], [20.0], [1.0]))
    np.testing.assert_allclose(corner.apply(source.lon), [9.5])
    np.testing.assert_allclose(corner.apply(source.lat), [9.5])


def test_southern_rim_of_a_parallel_is_continuous():
    """The great circle between two points of a parallel runs poleward of it."""
    source = Grid.regular(2.0, 2.0, (0.0, 59.0, 20.0, 69.0))
    target = Grid.from_points(np.linspace(1.0, 19.0, 37), np.full(37, 60.0), np.ones(37))
    np.testing.assert_allclose(bilinear(source, target).apply(source.lon), target.lon, atol=1e-4)


def test_masked_points_take_no_part_and_large_holes_are_not_bridged():
    whole = Grid.regular(1.0, 1.0, (0.0, 0.0, 30.0, 30.0))
    hole = (np.abs(whole.lon - 15) < 8) & (np.abs(whole.lat - 15) < 8)
    source = Grid.from_dataset(whole.coords, ~hole)
    target = Grid.from_points([15.0, 9.0, 3.3], [14.9, 15.2, 4.4], np.ones(3))
    weights = bilinear(source, target)
    assert not hole[weights.cols].any()
    middle = weights.apply(whole.lon)
    assert min(abs(middle[0] - [6.5, 23.5, 15.0])) < 1.0
    assert middle[1] == pytest.approx(6.5)
    assert middle[2] == pytest.approx(3.3, abs=1e-3)
    np.testing.assert_allclose(nearest(source, target).apply(whole.lon)[1:], [6.5, 3.5])


def test_small_holes_are_bridged():
    whole = Grid.regular(1.0, 1.0, (0.0, 0.0, 10.0, 10.0))
    source = Grid.from_dataset(whole.coords, ~((whole.lon == 4.5) & (whole.lat == 4.5)))
    weights = bilinear(source, Grid.from_points([4.5, 4.2], [4.5, 4.6], np.ones(2)))
    np.testing.assert_allclose(weights.apply(whole.lon), [4.5, 4.2], atol=0.01)


@pytest.mark.parametrize("n", [1, 2, 3])
def test_very_few_points_still_work(n):
    source = Grid.from_points([0.0, 10.0, 0.0][:n], [0.0, 0.0, 10.0][:n], np.ones(n))
    weights = bilinear(source, points(20, -5.0, -5.0, 15.0, 15.0))
    np.testing.assert_allclose(weights.apply(np.full(n, 7.0)), 7.0)


def test_two_by_two_points_make_one_cell():
    source = Grid.regular(2.0, 2.0, (0.0, -2.0, 4.0, 2.0))
    weights = bilinear(source, Grid.from_points([1.5], [0.5], [1.0]))
    np.testing.assert_allclose(weights.values, [0.1875, 0.0625, 0.5625, 0.1875], atol=1e-3)


def test_wachspress_coordinates_on_a_rectangle_are_bilinear():
    square = np.array([[[0.0, 0.0], [2.0, 0.0], [2.0, 1.0], [0.0, 1.0]]])
    np.testing.assert_allclose(
        wachspress(square, np.array([[0.5, 0.25]])), [[9 / 16, 3 / 16, 1 / 16, 3 / 16]]
    )


def test_wachspress_coordinates_of_many_vertices_reproduce_the_point():
    angle = 2 * np.pi * np.arange(360) / 360
    ring = np.stack([np.cos(angle), np.sin(angle)], axis=1)[None]
    point = np.array([[0.3, -0.2]])
    np.testing.assert_allclose(wachspress(ring, point) @ ring[0], point, atol=1e-9)


def test_no_used_point_is_refused():
    grid = Grid.from_dataset(GLOBAL.coords, np.zeros(GLOBAL.shape, dtype=bool))
    with pytest.raises(ValueError, match="no used point"):
        bilinear(grid, GLOBAL)


def test_nearest_equals_brute_force():
    source, target = SOURCES["gaussian"], points(200, -30.0, 10.0, 60.0, 80.0)
    brute = np.argmax(target.xyz @ source.xyz.T, axis=1)
    weights = nearest(source, target)
    np.testing.assert_array_equal(weights.cols, brute)


def test_apply_keeps_leading_axes_and_type_and_refuses_other_sizes():
    weights = bilinear(GLOBAL, MESH_GRID)
    values = np.ones((2, 3, GLOBAL.size), dtype=np.float32)
    result = weights.apply(values)
    assert result.shape == (2, 3, MESH.size)
    assert result.dtype == np.float32
    with pytest.raises(ValueError, match="3240 source points"):
        weights.apply(np.ones(5))


MESH_GRID = SOURCES["icosahedral"]


def test_the_two_parts_of_weights_are_those_to_their_own_points():
    target = points(40, -4.0, 40.0, 10.0, 52.0)
    whole = bilinear(ROTATED, target)
    for count in (1, 13, 39):
        for part, mine in zip(
            whole.split(count), (slice(0, count), slice(count, None)), strict=True
        ):
            alone = bilinear(ROTATED, target.select(np.arange(40)[mine]))
            assert part.shape == (len(range(40)[mine]), ROTATED.size)
            np.testing.assert_array_equal(part.matrix().toarray(), alone.matrix().toarray())
