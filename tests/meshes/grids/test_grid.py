import numpy as np
import pytest
import xarray as xr

from meshes import Grid, RandomGrids, coarsen, grids_in, icosphere, random_grids
from meshes.grids.base import transposed

SPHERE = 4 * np.pi


@pytest.mark.parametrize(
    "grid",
    [
        Grid.regular(1.875, 1.25),
        Grid.gaussian(48),
        Grid.rotated(-162.0, 39.25, np.arange(-179.0, 180.0, 2.0), np.arange(-89.0, 90.0, 2.0)),
        Grid.from_points(icosphere(3).lon, icosphere(3).lat),
    ],
    ids=lambda g: g.kind,
)
def test_areas_of_a_global_grid_cover_the_sphere(grid):
    assert grid.area.sum() == pytest.approx(SPHERE, rel=1e-9)
    assert grid.lon.min() >= -180.0
    assert grid.lon.max() < 180.0
    assert grid.xyz.shape == (grid.size, 3)


def test_regular_grid_with_bounds():
    grid = Grid.regular(2.0, 1.0, bounds=(170.0, 40.0, 190.0, 45.0))
    assert grid.shape == (5, 10)
    assert grid.dims == ("lat", "lon")
    np.testing.assert_allclose(grid.lat[:10], 40.5)
    np.testing.assert_allclose(
        grid.lon[:10], [171, 173, 175, 177, 179, -179, -177, -175, -173, -171]
    )
    np.testing.assert_allclose(grid.coords.lon, np.arange(171.0, 190.0, 2.0))
    exact = np.radians(20.0) * (np.sin(np.radians(45.0)) - np.sin(np.radians(40.0)))
    assert grid.area.sum() == pytest.approx(exact)


def test_corners_enclose_their_points_across_the_dateline():
    grid = Grid.regular(2.0, 1.0, bounds=(170.0, 40.0, 190.0, 45.0))
    np.testing.assert_allclose(grid.corners.mean(axis=1), np.stack([grid.lon, grid.lat], axis=1))


def test_gaussian_latitudes_are_those_of_t63():
    grid = Grid.gaussian(96)
    assert grid.shape == (96, 192)
    # ECMWF's published first latitude of N48 (F48).
    assert grid.lat[-1] == pytest.approx(88.5721685, abs=1e-6)


def test_gaussian_cut_crosses_greenwich():
    grid = Grid.gaussian(96, bounds=(-12.0, 35.0, 5.0, 47.0))
    lon = grid.coords.lon.values
    assert np.all(np.diff(lon) > 0)
    assert lon[0] == pytest.approx(-11.25)
    assert lon[-1] == pytest.approx(3.75)


def test_rotated_grid_has_equal_cells_and_a_grid_mapping():
    grid = Grid.rotated(-162.0, 39.25, np.arange(-10.0, 10.1, 0.5), np.arange(-5.0, 5.1, 0.5))
    assert grid.coords.rotated_pole.attrs["grid_north_pole_latitude"] == 39.25
    assert grid.grid_mapping == "rotated_pole"
    middle = np.ravel_multi_index((10, 20), grid.shape)
    assert grid.lon[middle] == pytest.approx(18.0)
    assert grid.lat[middle] == pytest.approx(50.75)
    assert grid.spacing_km == pytest.approx(0.5 * 111.19, rel=0.01)


def test_values_and_dataarray_undo_each_other():
    grid = Grid.regular(10.0, 10.0)
    values = np.random.default_rng(0).normal(size=(3, grid.size)).astype(np.float32)
    array = grid.dataarray(values, "tas", ["time"], {"time": [1, 2, 3]}, {"units": "K"})
    assert array.dims == ("time", "lat", "lon")
    assert "bounds" not in array.lat.attrs
    assert array.attrs == {"units": "K"}
    np.testing.assert_array_equal(grid.values(array.transpose("lon", "time", "lat")), values)


def test_dataarray_on_a_rotated_grid_carries_its_coordinates(tmp_path):
    grid = Grid.rotated(-162.0, 39.25, np.arange(5.0), np.arange(4.0))
    array = grid.dataarray(np.zeros(grid.size), "tas")
    assert set(array.coords) == {"rlat", "rlon", "lat", "lon", "rotated_pole"}
    assert array.attrs["grid_mapping"] == "rotated_pole"
    array.to_dataset().to_netcdf(tmp_path / "out.nc")
    with xr.open_dataset(tmp_path / "out.nc") as reread:
        again = Grid.from_dataset(reread)
    assert again.kind == "rotated_pole"
    np.testing.assert_allclose(again.xyz, grid.xyz, atol=1e-12)
    np.testing.assert_allclose(again.area, grid.area)


def test_values_on_another_grid_are_refused():
    grid = Grid.regular(10.0, 10.0)
    array = grid.dataarray(np.zeros(grid.size), "tas")
    with pytest.raises(ValueError, match="other values of 'lat'"):
        grid.values(array.isel(lat=slice(None, None, -1)))
    with pytest.raises(ValueError, match="17 points along 'lat'"):
        grid.values(array.isel(lat=slice(1, None)))
    with pytest.raises(ValueError, match="needs"):
        grid.values(array.isel(lat=0))
    with pytest.raises(ValueError, match="648 points"):
        grid.dataarray(np.zeros(5))
    with pytest.raises(ValueError, match="leading axes"):
        grid.dataarray(np.zeros((2, grid.size)))


def test_selection_keeps_points_areas_and_cells():
    grid = Grid.regular(10.0, 10.0)
    keep = grid.lat > 0
    half = grid.select(keep)
    assert half.kind == "unstructured"
    assert half.shape == (keep.sum(),)
    assert half.area.sum() == pytest.approx(SPHERE / 2)
    np.testing.assert_array_equal(grid.select(np.flatnonzero(keep)).lon, half.lon)


def test_coincident_points_share_their_voronoi_cell():
    nodes = icosphere(2)
    lon, lat = np.append(nodes.lon, nodes.lon[5]), np.append(nodes.lat, nodes.lat[5])
    single, double = Grid.from_points(nodes.lon, nodes.lat), Grid.from_points(lon, lat)
    assert double.area.sum() == pytest.approx(SPHERE)
    assert double.area[5] == pytest.approx(single.area[5] / 2)
    assert double.area[-1] == pytest.approx(single.area[5] / 2)


def test_voronoi_areas_equal_scipys():
    from scipy.spatial import SphericalVoronoi

    xyz = icosphere(3).xyz + np.random.default_rng(1).normal(scale=0.03, size=(642, 3))
    xyz /= np.linalg.norm(xyz, axis=1, keepdims=True)
    grid = Grid.from_points(
        np.degrees(np.arctan2(xyz[:, 1], xyz[:, 0])), np.degrees(np.arcsin(xyz[:, 2]))
    )
    diagram = SphericalVoronoi(xyz)
    diagram.sort_vertices_of_regions()
    np.testing.assert_allclose(grid.area, diagram.calculate_areas(), rtol=1e-9)


def test_regional_voronoi_cells_do_not_reach_out():
    inner = Grid.regular(1.0, 1.0, bounds=(0.0, 0.0, 10.0, 10.0))
    points = Grid.from_points(inner.lon, inner.lat)
    assert points.area.sum() == pytest.approx(inner.area.sum(), rel=0.15)
    assert points.area.max() < 1.5 * inner.area.max()


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: Grid.regular(0.0, 1.0), "sizes must be positive"),
        (lambda: Grid.regular(1.0, 1.0, (10.0, 0.0, 5.0, 5.0)), "increase"),
        (lambda: Grid.regular(10.0, 1.0, (0.0, 0.0, 5.0, 5.0)), "No whole cell"),
        (lambda: Grid.gaussian(7), "even"),
        (lambda: Grid.gaussian(32, (0.0, 10.0, 0.1, 10.1)), "no point"),
        (lambda: Grid.from_points([0.0, 1.0], [0.0]), "one length"),
        (lambda: Grid.from_points([0.0], [0.0], [-1.0]), "positive"),
        (lambda: Grid.rotated(0.0, 40.0, [1.0], [1.0, 2.0]), "one value"),
    ],
)
def test_bad_requests_are_refused_in_one_sentence(call, message):
    with pytest.raises(ValueError, match=message):
        call()


@pytest.mark.parametrize(
    "grid",
    [
        Grid.regular(1.0, 1.0, (170.0, 30.0, 193.0, 41.0)),
        Grid.gaussian(96, (-10.0, 30.0, 30.0, 60.0)),
        Grid.rotated(-162.0, 39.25, np.arange(-5.0, 5.0, 0.44), np.arange(-4.0, 6.0, 0.44)),
    ],
    ids=lambda g: g.kind,
)
def test_coarse_cells_have_the_area_of_their_blocks(grid):
    coarse = coarsen(grid, 4)
    ny, nx = (n // 4 for n in grid.shape)
    assert coarse.shape == (ny, nx)
    blocks = (
        grid.area.reshape(grid.shape)[: 4 * ny, : 4 * nx].reshape(ny, 4, nx, 4).sum(axis=(1, 3))
    )
    np.testing.assert_allclose(coarse.area, blocks.ravel(), rtol=1e-9)
    again = Grid.from_dataset(coarse.coords)
    np.testing.assert_allclose(again.xyz, coarse.xyz, atol=1e-9)


def test_coarse_curvilinear_grid():
    fine = Grid.named("ALPS-12")
    coarse = coarsen(fine, 8)
    assert coarse.shape == (16, 16)
    assert coarse.kind == "curvilinear"
    np.testing.assert_allclose(coarse.area.sum(), fine.area.sum(), rtol=1e-9)


def test_coarse_grid_of_a_mask():
    grid = Grid.regular(1.0, 1.0, (0.0, 0.0, 4.0, 4.0))
    mask = np.zeros((4, 4), dtype=bool)
    mask[0, 0] = True
    masked = Grid.from_dataset(grid.coords, mask)
    np.testing.assert_array_equal(coarsen(masked, 2).mask, [True, False, False, False])


def test_what_cannot_be_coarsened():
    with pytest.raises(ValueError, match="two-dimensional"):
        coarsen(Grid.from_points([0.0, 1.0, 2.0, 0.5], [0.0, 0.0, 1.0, 3.0]), 2)
    with pytest.raises(ValueError, match="no block"):
        coarsen(Grid.regular(10.0, 10.0), 30)


WAYS = {
    "named": lambda: Grid.named("C8"),
    "regular": lambda: Grid.regular(10.0, 10.0),
    "gaussian": lambda: Grid.gaussian(32),
    "rotated": lambda: Grid.rotated(-162.0, 39.25, np.arange(4.0), np.arange(3.0)),
    "points": lambda: Grid.from_points([0.0, 1.0], [0.0, 1.0], [1e-3, 1e-3]),
    "dataset": lambda: Grid.from_dataset(Grid.regular(10.0, 10.0).coords),
    "grids in": lambda: grids_in(Grid.regular(10.0, 10.0).coords)[0][1],
    "selected": lambda: Grid.regular(10.0, 10.0).select(np.arange(5)),
    "transposed": lambda: transposed(Grid.regular(10.0, 10.0)),
    "coarsened": lambda: coarsen(Grid.regular(10.0, 10.0), 2),
    "random": lambda: random_grids(Grid.regular(5, 5, (0, 40, 10, 50)), RandomGrids(4))[2],
}


@pytest.mark.parametrize("way", WAYS)
def test_every_way_to_a_grid_gives_the_public_class(way):
    grid = WAYS[way]()
    assert type(grid) is Grid
    assert repr(grid).startswith(f"<meshes.Grid {grid.kind} (")
