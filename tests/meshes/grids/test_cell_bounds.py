"""Cells are cells: vertices in any order, bounds past the poles, cells that overlap."""

import numpy as np
import pytest
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st

from meshes import Grid, icosphere
from meshes.geometry.sphere import lonlat_to_xyz, xyz_to_lonlat
from meshes.geometry.vertex_order import in_order
from meshes.graphs.cell_search import overlap_share

SPHERE = 4 * np.pi


def random_grid(kind, seed):
    rng = np.random.default_rng(seed)
    if kind == "rotated":
        axis = np.cumsum(rng.uniform(0.5, 1.5, 9)) - 5.0
        return Grid.rotated(rng.uniform(-180, 180), rng.uniform(20, 90), axis, axis[:7])
    if kind == "regular":
        return Grid.regular(*rng.choice([5.0, 10.0, 7.5, 2.5], 2))
    if kind == "healpix":
        nside = int(rng.integers(2, 9))
        attrs = {"grid_mapping_name": "healpix", "healpix_nside": nside, "healpix_order": "ring"}
        tas = ("cell", np.zeros(12 * nside**2))
        return Grid.from_dataset(xr.Dataset({"tas": tas, "crs": ((), 0, attrs)}))
    xyz = icosphere(2).xyz + rng.normal(0.0, 0.02, (162, 3))  # hexagons and pentagons
    return Grid.from_points(*xyz_to_lonlat(xyz))


def with_vertices(grid, order):
    """File of a grid's cells [N], the vertices of each in an order [N, V]."""
    corners = np.take_along_axis(grid.corners, order[..., None], axis=1)
    coords = {
        name: ("cell", values, {"standard_name": role, "units": units, "bounds": f"{name}_v"})
        for name, values, role, units in (
            ("lon", grid.lon, "longitude", "degrees_east"),
            ("lat", grid.lat, "latitude", "degrees_north"),
        )
    }
    bounds = {f"{n}_v": (("cell", "v"), corners[..., i]) for i, n in enumerate(("lon", "lat"))}
    return xr.Dataset({"tas": ("cell", np.zeros(grid.size)), **bounds}, coords)


@settings(max_examples=20, deadline=None)
@given(
    kind=st.sampled_from(["rotated", "regular", "healpix", "points"]),
    seed=st.integers(0, 1000),
    one_order=st.booleans(),
)
def test_any_order_of_the_vertices_gives_the_same_areas(kind, seed, one_order):
    grid, rng = random_grid(kind, seed), np.random.default_rng(seed)
    count = grid.corners.shape[1]
    plain = np.tile(np.arange(count), (grid.size, 1))
    shuffled = rng.permuted(plain, axis=1)
    if one_order:
        shuffled = np.tile(shuffled[0], (grid.size, 1))
    expected = Grid.from_dataset(with_vertices(grid, plain)).area
    found = Grid.from_dataset(with_vertices(grid, shuffled))
    np.testing.assert_allclose(found.area, expected, rtol=1e-6, atol=1e-12)
    # What is written has the vertices in order too.
    again = Grid.from_dataset(xr.Dataset({"tas": ("cell", np.zeros(grid.size))}, found.coords))
    np.testing.assert_allclose(again.area, expected, rtol=1e-6, atol=1e-12)


def test_cells_that_are_not_convex_keep_their_vertices():
    arrow = lonlat_to_xyz([[0.0, 2.0, 0.0, 0.4]], [[0.0, 1.0, 2.0, 1.0]])
    centre = lonlat_to_xyz([1.0], [1.0])
    np.testing.assert_array_equal(in_order(arrow, centre), arrow)
    np.testing.assert_array_equal(in_order(arrow[:, ::-1], centre), arrow)


@settings(max_examples=20, deadline=None)
@given(
    gaussian=st.booleans(),
    rows=st.integers(2, 40),
    columns=st.integers(4, 40),
    poles=st.booleans(),
    turned=st.booleans(),
    radians=st.booleans(),
    fields=st.booleans(),
)
def test_areas_of_a_global_grid_are_the_sphere_though_bounds_pass_the_poles(
    gaussian, rows, columns, poles, turned, radians, fields
):
    lat = np.linspace(-90.0, 90.0, rows + 1)
    if not poles:
        lat = (lat[1:] + lat[:-1]) / 2.0
    if gaussian:
        lat = np.degrees(np.arcsin(np.polynomial.legendre.leggauss(2 * (rows // 2) + 2)[0]))
    lon = 360.0 / columns * np.arange(columns)
    middles = (lat[1:] + lat[:-1]) / 2.0
    edges = np.concatenate([[2 * lat[0] - middles[0]], middles, [2 * lat[-1] - middles[-1]]])
    if not (poles or gaussian):
        edges[0], edges[-1] = -90.0 - 90.0 / rows, 90.0 + 90.0 / rows
    if gaussian:
        edges[0], edges[-1] = -95.0, 95.0
    bounds = np.stack([edges[:-1], edges[1:]], axis=1)
    scale, units = (np.pi / 180.0, "radians") if radians else (1.0, "degrees_north")
    ds = xr.Dataset(
        {"tas": (("lat", "lon"), np.zeros((len(lat), columns))), "lat_bnds": (("lat", "b"), bounds)}
    )
    ds = ds.assign_coords(lat=lat, lon=("lon", lon, {"units": "degrees_east"}))
    ds["lat_bnds"] = ds.lat_bnds * scale
    ds["lat"] = ("lat", lat * scale, {"units": units, "standard_name": "latitude"})
    ds.lat.attrs["bounds"] = "lat_bnds"
    ds = ds.isel(lat=slice(None, None, -1)) if turned else ds
    ds = ds.transpose("lon", "lat", ...) if fields else ds
    grid = Grid.from_dataset(ds)
    assert grid.area.sum() == pytest.approx(SPHERE, rel=1e-6)
    assert (grid.area > 0).all()
    written = grid.coords["lat_bnds"].values / scale
    assert np.abs(written).max() <= 90.0 + 1e-9


@pytest.mark.parametrize("name", ["T21", "2.5x2.5", "HEALPix-8", "C16", "UM-N48", "O16"])
def test_areas_of_global_grids_are_the_sphere_and_no_cells_overlap(name):
    grid = Grid.named(name)
    assert grid.area.sum() == pytest.approx(SPHERE, rel=1e-6)
    assert overlap_share(grid) < 0.01


@pytest.mark.parametrize("width", [1.3, 2.0])
def test_cells_wider_than_their_distance_overlap(width):
    grid = Grid.regular(5.0, 5.0, (0.0, 30.0, 60.0, 60.0))
    corners = grid.corners.copy()
    corners[..., 0] = grid.lon[:, None] + width * (corners[..., 0] - grid.lon[:, None])
    order = np.tile(np.arange(4), (grid.size, 1))
    from dataclasses import replace

    wide = Grid.from_dataset(with_vertices(replace(grid, corners=corners), order))
    assert overlap_share(wide) > 0.5
    assert overlap_share(Grid.from_dataset(with_vertices(grid, order))) == 0.0
