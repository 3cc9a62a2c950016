import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from meshes import Grid, coarsen, conservative, icosphere
from meshes.outline import outline
from meshes.overlap import overlap_areas
from meshes.sphere import polygon_area, xyz_to_lonlat

RLON, RLAT = np.arange(-179.0, 180.0, 2.0), np.arange(-89.0, 90.0, 2.0)
GLOBAL = {
    "regular": Grid.regular(5.0, 4.0),
    "gaussian": Grid.gaussian(32),
    "rotated": Grid.rotated(-162.0, 39.25, RLON, RLAT),
    "icosahedral": Grid.from_points(icosphere(3).lon, icosphere(3).lat),
    "healpix": Grid.named("HEALPix-6"),
}


def field(grid):
    return np.sin(3 * grid.xyz[:, 0]) + grid.xyz[:, 2]


@pytest.mark.parametrize("source", GLOBAL.values(), ids=GLOBAL.keys())
@pytest.mark.parametrize("target", [GLOBAL["regular"], GLOBAL["icosahedral"]], ids=["reg", "ico"])
def test_global_integrals_and_covered_areas_are_kept(source, target):
    rows, cols, areas = overlap_areas(source, target)
    covered = np.bincount(rows, areas, minlength=target.size)
    used = np.bincount(cols, areas, minlength=source.size)
    np.testing.assert_allclose(covered, polygon_cells(target), rtol=2e-3)
    np.testing.assert_allclose(used, polygon_cells(source), rtol=2e-3)
    remapped = conservative(source, target).apply(field(source))
    assert np.sum(remapped * covered) == pytest.approx(np.sum(field(source) * used), abs=1e-9)
    assert np.sum(areas) == pytest.approx(4 * np.pi, rel=1e-4)


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


@pytest.mark.parametrize(
    ("source", "target"),
    [
        (Grid.rotated(-162.0, 39.25, np.arange(-3.0, 3.1, 0.7), np.arange(-3.0, 3.1, 0.7)),
         Grid.regular(1.875, 1.25, (12.0, 46.0, 24.0, 55.0))),
        (Grid.gaussian(96, (170.0, 50.0, 190.0, 62.0)),
         Grid.rotated(0.0, 35.0, np.arange(-4.0, 4.1, 1.3), np.arange(-2.0, 4.1, 1.3))),
        (Grid.rotated(-166.92, 6.08, 190.0 + np.arange(0.0, 6.0, 1.7), np.arange(-4.0, 4.1, 1.5)),
         Grid.regular(30.0, 3.0, (-180.0, -90.0, 180.0, -75.0))),
        (Grid.named("ALPS-12").select(np.arange(0, 16384, 61)),
         Grid.regular(1.0, 1.0, (0.0, 38.0, 20.0, 50.0))),
    ],
    ids=["rotated-regular", "dateline", "south-pole", "lambert"],
)  # fmt: skip
def test_overlaps_equal_spherely(source, target):
    exact = spherely_overlaps(source, target)
    rows, cols, areas = overlap_areas(source, target)
    ours = np.zeros_like(exact)
    ours[rows, cols] = areas
    assert exact.sum() > 0
    scale = np.minimum(source.area[None, :], target.area[:, None])
    assert np.abs((ours - exact) / scale).max() < 1e-3
    assert ours.sum() == pytest.approx(exact.sum(), rel=5e-5)


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
