import numpy as np
import pytest

from meshes import Grid
from meshes.grids.catalogue import names


def test_europe_by_both_names():
    old, new = Grid.named("EUR-11"), Grid.named("EUR-12")
    assert old.shape == (412, 424)
    assert old.kind == "rotated_pole"
    np.testing.assert_array_equal(old.lon, new.lon)
    np.testing.assert_allclose(old.coords.rlon[[0, -1]], [-28.375, 18.155])
    np.testing.assert_allclose(old.coords.rlat[[0, -1]], [-23.375, 21.835])


def test_antarctica_of_cmip5_and_cmip6_are_two_grids():
    assert Grid.named("ANT-11").shape == (388, 500)
    assert Grid.named("ANT-12").shape == (531, 660)
    assert Grid.named("ANT-12").lat.max() < -40.0


def test_domains_that_are_not_rotated_are_regular():
    africa = Grid.named("AFR-44")
    assert africa.kind == "regular"
    assert africa.lon[0] == pytest.approx(-24.64)
    assert Grid.named("EUR-44i").coords.lat.values[-1] == pytest.approx(72.75)


@pytest.mark.parametrize("name", [n for n in names() if n.endswith(("44", "50", "44i", "50i"))])
def test_every_coarse_domain_can_be_made(name):
    grid = Grid.named(name)
    assert 30.0 < grid.spacing_km < 60.0
    assert grid.area.sum() < 4 * np.pi


def test_global_forms():
    assert Grid.named("T63").shape == (96, 192)
    assert Grid.named("F48").shape == (96, 192)
    assert Grid.named("1.875x1.25").shape == (144, 192)
    assert Grid.named("1x1").area.sum() == pytest.approx(4 * np.pi)


def test_healpix_of_nside_two():
    """Ring 1 of nside 2 lies at z = 1 - 1/12, the belt starts at longitude 22.5 degrees."""
    grid = Grid.named("HEALPix-2")
    assert grid.size == 48
    np.testing.assert_allclose(np.sin(np.radians(grid.lat[:4])), 11 / 12)
    np.testing.assert_allclose(grid.lon[:4], [45.0, 135.0, -135.0, -45.0])
    np.testing.assert_allclose(grid.lon[4], 22.5)
    np.testing.assert_allclose(grid.lon[12:20:7], [0.0, -45.0], atol=1e-9)
    np.testing.assert_allclose(grid.lat, -grid.lat[::-1], atol=1e-9)
    np.testing.assert_allclose(grid.xyz.mean(axis=0), 0.0, atol=1e-12)


def test_unknown_names_get_a_hint():
    with pytest.raises(ValueError, match="perhaps you meant .*EUR-11"):
        Grid.named("EUR-1")
    with pytest.raises(ValueError, match="do not divide"):
        Grid.named("2.8x2.8")
