from dataclasses import replace

import numpy as np
import pytest
import xarray as xr

from graphdown.cf.coordinates import cf_coordinates
from meshes import Grid
from meshes.grids.base import transposed


def axes(lon, lat, **more):
    lon, lat = (
        xr.Variable("lon", lon),
        lat if isinstance(lat, xr.Variable) else xr.Variable("lat", lat),
    )
    return Grid.from_dataset(xr.Dataset(coords={"lon": lon, "lat": lat, **more}))


def test_axes_without_attributes_or_bounds_gain_them_in_their_own_order():
    coords = cf_coordinates(axes(np.array([358.0, 359.0, 360.0, 361.0]), np.array([52.0, 51, 50])))
    np.testing.assert_allclose(coords.lat_bnds, [[52.5, 51.5], [51.5, 50.5], [50.5, 49.5]])
    np.testing.assert_allclose(coords.lon_bnds[:, 0], [357.5, 358.5, 359.5, 360.5])
    np.testing.assert_array_equal(coords.lon, [358.0, 359.0, 360.0, 361.0])
    for name, role, units, axis in (
        ("lat", "latitude", "degrees_north", "Y"),
        ("lon", "longitude", "degrees_east", "X"),
    ):
        attrs = coords[name].attrs
        assert (attrs["standard_name"], attrs["units"], attrs["axis"]) == (role, units, axis)
        assert attrs["bounds"] == f"{name}_bnds"


def test_attributes_and_bounds_of_the_file_are_kept_where_they_fit():
    lat = xr.Variable("lat", [40.0, 41.0, 43.0], {"bounds": "edges", "comment": "uneven"})
    edges = np.array([[39.9, 40.2], [40.2, 42.0], [42.0, 44.0]])
    more = {"edges": (("lat", "two"), edges)}
    coords = cf_coordinates(axes(np.arange(3.0), lat, **more))
    assert coords.lat.attrs["comment"] == "uneven"
    assert coords.lat.attrs["bounds"] == "edges"
    np.testing.assert_array_equal(coords.edges, edges)
    wrong = {"edges": (("lat", "two"), edges + 10.0)}
    coords = cf_coordinates(axes(np.arange(3.0), lat, **wrong))
    np.testing.assert_allclose(coords.edges, [[39.5, 40.5], [40.5, 42.0], [42.0, 44.0]])


def test_rotated_axes_without_attributes_gain_them():
    made = Grid.rotated(-162.0, 39.25, np.arange(4.0), np.arange(3.0)).coords
    bare = made.drop_vars("rotated_pole").copy()
    for name in bare.variables:
        bare[name].attrs = {}
    coords = cf_coordinates(Grid.from_dataset(bare))
    assert coords.rlat.attrs["standard_name"] == "grid_latitude"
    assert coords.rlon.attrs | {"long_name": ""} == {
        "standard_name": "grid_longitude",
        "long_name": "",
        "units": "degrees",
        "axis": "X",
    }
    assert coords.rotated_pole.attrs["grid_north_pole_latitude"] == pytest.approx(39.25)


def test_vertices_surround_their_cells():
    grid = Grid.rotated(10.0, 39.25, 177.0 + np.arange(4.0), np.arange(3.0))
    coords = cf_coordinates(grid)
    assert coords.lat_vertices.dims == ("rlat", "rlon", "vertices")
    np.testing.assert_allclose(coords.lat_vertices.mean("vertices"), coords.lat, atol=0.02)
    np.testing.assert_allclose(coords.lon_vertices.mean("vertices"), coords.lon, atol=0.02)


def test_a_transposed_grid_keeps_its_order():
    grid = axes(np.array([0.0, 1.0, 3.0]), np.array([40.0, 41.0]))
    plain, turned = cf_coordinates(grid), cf_coordinates(transposed(grid))
    for name in ("lat_bnds", "lon_bnds"):
        np.testing.assert_allclose(turned[name], plain[name])


def triangles(factor=1.0, units="degrees"):
    """Return four triangles around (0.5, 0.5) as a model with ICON's conventions writes them."""
    lon = np.array([[0, 1, 0.5], [1, 1, 0.5], [1, 0, 0.5], [0, 0, 0.5]])
    lat = np.array([[0, 0, 0.5], [0, 1, 0.5], [1, 1, 0.5], [1, 0, 0.5]])
    both = {"clon": (lon, "longitude"), "clat": (lat, "latitude")}
    variables = {}
    for name, (corners, role) in both.items():
        attrs = {"standard_name": role, "units": units, "bounds": f"{name}_vertices"}
        variables[name] = ("ncells", corners.mean(axis=1) * factor, attrs)
        variables[f"{name}_vertices"] = (("ncells", "nv"), corners * factor)
    return Grid.from_dataset(xr.Dataset(coords=variables)), lon, lat


def test_vertices_of_unstructured_cells_are_kept():
    grid, lon, lat = triangles()
    coords = cf_coordinates(grid)
    np.testing.assert_array_equal(coords.clon_vertices, lon)
    np.testing.assert_array_equal(coords.clat_vertices, lat)
    assert coords.clat.attrs["units"] == "degrees_north"


def test_points_alone_get_numbers_and_no_cells():
    grid = Grid.from_points(np.array([0.0, 1.0, 2.0, 1.0]), np.array([40.0, 41.0, 40.0, 39.0]))
    made = cf_coordinates(grid)
    assert set(made.variables) == {"lat", "lon", "cell"}
    assert made.cell.attrs["cf_role"] == "timeseries_id"


def test_radians_become_degrees_and_their_vertices_too():
    grid, lon, _ = triangles(np.pi / 180.0, "radian")
    coords = cf_coordinates(grid)
    np.testing.assert_allclose(coords.clon, lon.mean(axis=1))
    assert coords.clon.attrs["units"] == "degrees_east"
    np.testing.assert_allclose(coords.clon_vertices, lon)


def test_a_grid_without_corners_gets_no_bounds():
    grid = replace(axes(np.arange(3.0), np.arange(3.0)), corners=None)
    assert set(cf_coordinates(grid).variables) == {"lat", "lon"}
