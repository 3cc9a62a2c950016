import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from meshes import Grid, coarsen, conservative, icosphere
from meshes.geometry.sphere import polygon_area, xyz_to_lonlat
from meshes.grids.outline import outline
from meshes.remapping.overlap import overlap_areas

RLON, RLAT = np.arange(-178.5, 180.0, 3.0), np.arange(-88.5, 90.0, 3.0)
GLOBAL = {
    "regular": Grid.regular(5.0, 4.0),
    "gaussian": Grid.gaussian(32),
    "rotated": Grid.rotated(-162.0, 39.25, RLON, RLAT),
    "icosahedral": Grid.from_points(icosphere(3).lon, icosphere(3).lat),
    "healpix": Grid.named("HEALPix-5"),
}


def field(grid):
    return np.sin(3 * grid.xyz[:, 0]) + grid.xyz[:, 2]


PAIRS = [(a, b) for a in GLOBAL for b in ("regular", "icosahedral") if a != b]


@pytest.mark.parametrize(("source", "target"), PAIRS, ids=["-".join(pair) for pair in PAIRS])
def test_global_integrals_and_covered_areas_are_kept(source, target):
    source, target = GLOBAL[source], GLOBAL[target]
    rows, cols, areas = overlap_areas(source, target)
    covered = np.bincount(rows, areas, minlength=target.size)
    used = np.bincount(cols, areas, minlength=source.size)
    np.testing.assert_allclose(covered, polygon_cells(target), rtol=2e-3)
    np.testing.assert_allclose(used, polygon_cells(source), rtol=2e-3)
    assert np.sum(areas) == pytest.approx(4 * np.pi, rel=1e-4)
    values = np.random.default_rng(0).random(source.size)
    remapped = conservative(source, target).apply(values)
    if source.corners is not None and target.corners is not None:
        assert np.sum(remapped * target.area) == pytest.approx(
            np.sum(values * source.area), rel=1e-6
        )
    assert np.sum(remapped * covered) == pytest.approx(np.sum(values * used), rel=1e-12)


ALPS = Grid.named("ALPS-12")
REGIONAL = {
    "rotated-regular": (Grid.named("EUR-44"), Grid.regular(2.5, 2.0, (-60.0, 10.0, 90.0, 84.0))),
    "lambert-gaussian": (ALPS, Grid.gaussian(96, (-5.0, 30.0, 30.0, 60.0))),
    "regular-icosahedral": (
        Grid.regular(0.5, 0.5, (-5.0, 36.0, 20.0, 56.0)),
        Grid.from_points(icosphere(4).lon, icosphere(4).lat),
    ),
}


@pytest.mark.parametrize("pair", REGIONAL)
def test_regional_upscaling_keeps_the_integral(pair):
    source, target = REGIONAL[pair]
    values = 280.0 + np.random.default_rng(0).normal(scale=10.0, size=source.size)
    remapped = conservative(source, target).apply(values)
    rows, _, areas = overlap_areas(source, target)
    covered = np.bincount(rows, areas, minlength=target.size)
    assert np.nansum(remapped * covered) == pytest.approx(np.sum(values * source.area), rel=1e-6)


def polygon_cells(grid):
    return grid.area if grid.corners is not None else polygon_area(outline(grid, 1))


@pytest.mark.parametrize("pair", [("regular", "gaussian"), ("gaussian", "regular")])
def test_longitude_latitude_cells_are_exact(pair):
    source, target = (GLOBAL[name] for name in pair)
    rows, cols, areas = overlap_areas(source, target)
    np.testing.assert_allclose(np.bincount(rows, areas), target.area, rtol=1e-12)
    np.testing.assert_allclose(np.bincount(cols, areas), source.area, rtol=1e-12)
    np.testing.assert_allclose(
        np.sum(conservative(source, target).apply(field(source)) * target.area),
        np.sum(field(source) * source.area),
        atol=1e-12,
    )


def spherely_overlaps(source, target):
    import spherely

    def polygons(grid):
        return [
            spherely.create_polygon(list(zip(*xyz_to_lonlat(cell), strict=True)))
            for cell in outline(grid, 32)
        ]

    cells = np.array(polygons(source)), np.array(polygons(target))
    common = spherely.intersection(cells[1][:, None], cells[0][None, :])
    return spherely.area(common, radius=1.0)


def icosahedral(level, keep):
    mesh = icosphere(level)
    whole = Grid.from_points(mesh.lon, mesh.lat)
    return whole.select(np.flatnonzero(keep(whole.lon, whole.lat)))


BY_S2 = {
    "rotated-regular": (
        Grid.rotated(-162.0, 39.25, np.arange(-3.0, 3.1, 0.7), np.arange(-3.0, 3.1, 0.7)),
        Grid.regular(1.875, 1.25, (12.0, 46.0, 24.0, 55.0)),
    ),
    "dateline": (
        Grid.gaussian(96, (170.0, 50.0, 190.0, 62.0)),
        Grid.rotated(0.0, 35.0, np.arange(-4.0, 4.1, 1.3), np.arange(-2.0, 4.1, 1.3)),
    ),
    "south-pole": (
        Grid.rotated(-166.92, 6.08, 190.0 + np.arange(0.0, 6.0, 1.7), np.arange(-4.0, 4.1, 1.5)),
        Grid.regular(30.0, 3.0, (-180.0, -90.0, 180.0, -75.0)),
    ),
    "lambert-regular": (
        ALPS.select(np.arange(0, 16384, 61)), Grid.regular(1.0, 1.0, (0.0, 38.0, 20.0, 50.0))
    ),
    "lambert-gaussian": (
        ALPS.select(np.arange(0, 16384, 97)), Grid.gaussian(96, (-2.0, 36.0, 24.0, 52.0))
    ),
    "regular-icosahedral": (
        Grid.regular(1.5, 1.0, (5.0, 42.0, 20.0, 54.0)),
        icosahedral(5, lambda lon, lat: (np.abs(lon - 12) < 9) & (np.abs(lat - 48) < 8)),
    ),
}  # fmt: skip


@pytest.mark.parametrize("pair", BY_S2)
def test_overlaps_and_means_equal_those_of_s2(pair):
    """S2 draws cells on the sphere itself, not in a plane, and cuts them by another algorithm."""
    source, target = BY_S2[pair]
    exact = spherely_overlaps(source, target)
    rows, cols, areas = overlap_areas(source, target)
    ours = np.zeros_like(exact)
    ours[rows, cols] = areas
    assert exact.sum() > 0
    scale = np.minimum(source.area[None, :], target.area[:, None])
    assert np.abs((ours - exact) / scale).max() < 1e-3
    assert ours.sum() == pytest.approx(exact.sum(), rel=5e-5)
    values = np.random.default_rng(0).random(source.size)
    covered = exact.sum(axis=1)
    known = covered > 0.01 * target.area
    remapped = conservative(source, target).apply(values)
    np.testing.assert_allclose(remapped[known], (exact @ values)[known] / covered[known], atol=2e-3)


@pytest.mark.parametrize(
    "fine",
    [
        Grid.regular(0.5, 0.5, (170.0, 60.0, 190.0, 70.0)),
        Grid.rotated(-162.0, 39.25, np.arange(-8.0, 8.0, 0.22), np.arange(-8.0, 8.0, 0.22)),
    ],
    ids=lambda g: g.kind,
)
def test_blocks_are_area_weighted_means_of_their_cells(fine):
    coarse = coarsen(fine, 4)
    weights = conservative(fine, coarse)
    np.testing.assert_array_equal(np.bincount(weights.rows), 16)
    expected = fine.area[weights.cols] / coarse.area[weights.rows]
    np.testing.assert_allclose(weights.values, expected, rtol=1e-5)


def test_constants_survive_partial_cover_and_masks():
    source = Grid.regular(1.0, 1.0, (0.0, 0.0, 10.0, 10.0))
    mask = source.lon < 5
    masked = Grid.from_dataset(source.coords, mask)
    target = Grid.regular(4.0, 4.0, (-4.0, -4.0, 16.0, 16.0))
    result = conservative(masked, target).apply(np.where(mask, 3.0, np.nan))
    inside = np.isfinite(result)
    np.testing.assert_allclose(result[inside], 3.0)
    np.testing.assert_array_equal(
        inside, (target.lon < 8) & (target.lon > 0) & (target.lat > 0) & (target.lat < 12)
    )


def test_too_little_cover_gives_nan():
    source = Grid.regular(1.0, 1.0, (0.0, 0.0, 10.0, 10.0))
    target = Grid.regular(4.0, 4.0, (0.0, 0.0, 16.0, 16.0))
    ones = np.ones(source.size)
    some, most = (conservative(source, target, f).apply(ones).reshape(4, 4) for f in (0.0, 0.6))
    assert np.isfinite(some).sum() == 9
    assert np.isfinite(most).sum() == 4
    with pytest.raises(ValueError, match="between 0 and 1"):
        conservative(source, target, 1.5)


def test_values_missing_now_and_then_are_renormalised():
    source = Grid.regular(1.0, 1.0, (0.0, 0.0, 8.0, 4.0))
    weights = conservative(source, Grid.regular(4.0, 4.0, (0.0, 0.0, 12.0, 4.0)))
    values = np.stack([field(source)] * 2)
    gone = (source.lon < 1) | (source.lon > 7) & (source.lat < 3)
    values[1, gone] = np.nan
    assert np.isnan(weights.apply(values)[1]).all()
    lenient, strict = weights.apply(values, 0.0), weights.apply(values, 0.8)
    left = (source.lon < 4) & ~gone
    mean = np.average(values[1, left], weights=source.area[left])
    assert lenient[1, 0] == pytest.approx(mean)
    np.testing.assert_array_equal(lenient[0, :2], weights.apply(values)[0, :2])
    # The left cell keeps 12 of 16 parts, the right one 13, the third has no source at all.
    np.testing.assert_array_equal(np.isfinite(strict[1]), [False, True, False])
    np.testing.assert_array_equal(np.isfinite(lenient[1]), [True, True, False])
    assert np.isnan(weights.apply(np.full(source.size, np.nan), 0.0)).all()
    assert weights.apply(values.astype(np.float32), 0.5).dtype == np.float32
    with pytest.raises(ValueError, match="min_valid"):
        weights.apply(values, 2.0)


def test_grids_that_do_not_meet():
    weights = conservative(Grid.regular(1, 1, (0, 0, 5, 5)), Grid.regular(1, 1, (50, 0, 55, 5)))
    assert weights.values.size == 0
    assert np.isnan(weights.apply(np.ones(25))).all()


@settings(max_examples=10, deadline=None)
@given(shift=st.sampled_from([-360.0, 360.0, 540.0]), flip=st.booleans())
def test_longitude_conventions_and_latitude_order(shift, flip):
    source = Grid.regular(2.0, 2.0, (-20.0, 30.0, 20.0, 60.0))
    target = Grid.regular(5.0, 5.0, (-15.0, 35.0, 15.0, 55.0))
    ds = (
        source.dataarray(field(source), "f")
        .to_dataset()
        .drop_vars(["lat_bnds", "lon_bnds"], errors="ignore")
    )
    turned = ds.assign_coords(lon=ds.lon + shift).isel(lat=slice(None, None, -1 if flip else 1))
    moved = Grid.from_dataset(turned)
    far_side = Grid.regular(5.0, 5.0, (165.0, 35.0, 195.0, 55.0))
    target_moved = far_side if shift == 540.0 else target
    np.testing.assert_allclose(
        conservative(moved, target_moved).apply(moved.values(turned.f)),
        conservative(source, target).apply(field(source)),
        rtol=1e-10,
    )
