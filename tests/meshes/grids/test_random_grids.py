"""Random source grids: their kinds and spacings, what they cover, and that a seed fixes them."""

from dataclasses import replace

import numpy as np
import pytest

from meshes import Grid, RandomGrids, conservative, coverage, nearest, random_grids
from meshes.geometry.icosahedron import geodesic
from meshes.grids.random_grids import KINDS

REGION = Grid.rotated(-162.0, 39.25, np.arange(-20.0, -8.0, 0.5), np.arange(-12.0, -1.0, 0.5))
DATELINE = Grid.regular(0.5, 0.5, (175.0, -48.0, 186.0, -33.0))
SPEC = RandomGrids(count=8, spacing=(0.8, 2.5), seed=3)


@pytest.fixture(scope="module")
def grids():
    return random_grids(REGION, SPEC)


def test_the_kinds_take_turns(grids):
    known = {"regular": "regular", "gaussian": "gaussian", "rotated_pole": "rotated"}
    assert [known.get(g.kind, "icosahedral") for g in grids] == [*KINDS, *KINDS]


def test_spacings_fill_the_range(grids):
    # A regular grid's cells may be 1.5 times as wide as high, and are narrower than at the equator.
    spacing = np.array([grid.spacing_km for grid in grids]) / 111.2
    assert spacing.min() > 0.65 * SPEC.spacing[0]
    assert spacing.max() < 1.3 * SPEC.spacing[1]
    assert spacing.max() > 1.5 * spacing.min()


@pytest.mark.parametrize("region", [REGION, DATELINE], ids=["europe", "dateline"])
def test_each_grid_covers_the_whole_region(region):
    for grid in random_grids(region, replace(SPEC, count=4)):
        assert coverage(grid, region, 0.0).target == 1.0
        means = conservative(region, grid, 1e-6)
        back = np.bincount(means.rows, means.values, minlength=grid.size)
        assert np.allclose(back[np.unique(means.rows)], 1.0)


def test_a_longer_list_begins_with_the_shorter_one(grids):
    fewer = random_grids(REGION, replace(SPEC, count=3))
    for one, other in zip(fewer, grids, strict=False):
        np.testing.assert_array_equal(one.xyz, other.xyz)


def test_another_seed_draws_others(grids):
    other = random_grids(REGION, replace(SPEC, count=1, seed=4))[0]
    assert other.shape != grids[0].shape or not np.allclose(other.lon, grids[0].lon)


def test_gaussian_grids_keep_their_latitudes_and_turn_in_longitude():
    gaussian = RandomGrids(6, (1.9, 1.9), ("gaussian",))
    grids = random_grids(REGION, gaussian)
    latitudes = Grid.gaussian(2 * round(90 / 1.9)).lat
    for grid in grids:
        assert np.isin(np.round(grid.lat, 6), np.round(latitudes, 6)).all()
    assert len({round(float(grid.lon.min() % (180 / 94)), 6) for grid in grids}) == 6


@pytest.mark.parametrize("parts", [1, 2, 7])
def test_a_geodesic_grid_has_its_points_once_and_evenly(parts):
    xyz = geodesic(parts)
    assert len(xyz) == 10 * parts**2 + 2
    np.testing.assert_allclose(np.linalg.norm(xyz, axis=1), 1.0)
    np.testing.assert_allclose(xyz.sum(axis=0), 0.0, atol=1e-9)
    if parts > 1:
        grid = Grid.from_points(
            np.degrees(np.arctan2(xyz[:, 1], xyz[:, 0])), np.degrees(np.arcsin(xyz[:, 2]))
        )
        assert grid.area.sum() == pytest.approx(4 * np.pi)
        assert grid.area.max() < 2.5 * grid.area.min()
        assert len(np.unique(nearest(grid, grid).cols)) == len(xyz)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"count": 0}, "count of at least 1"),
        ({"kinds": ()}, "at least one kind"),
        ({"spacing": (2.0, 1.0)}, r"\[least, greatest\]"),
        ({"spacing": (0.01, 1.0)}, "between 0.1 and 20 degrees"),
    ],
)
def test_what_cannot_be_drawn_is_refused(changes, said):
    with pytest.raises(ValueError, match=said):
        replace(SPEC, **changes)
