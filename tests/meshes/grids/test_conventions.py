"""Grids as SCRIP, UGRID, HEALPix, MPAS, ocean models and projected files store them."""

import numpy as np
import pyproj
import pytest
import xarray as xr

from meshes import Grid, build_graph, grids_in, icosphere
from meshes.geometry.sphere import lonlat_to_xyz, normalise
from meshes.grids.healpix import nested_centres, ring_centres

SPHERE = 4 * np.pi
BOX = Grid.regular(10.0, 10.0, (0.0, 0.0, 60.0, 60.0))


def projected(proj, x, y, mapping=None, axes=True, fields=True):
    """Return a dataset of a projection's lattice x [nx], y [ny] in m."""
    lon, lat = pyproj.Proj(proj)(*np.meshgrid(x, y), inverse=True)
    ds = xr.Dataset({"tas": (("y", "x"), np.zeros(lon.shape))})
    if fields:
        ds = ds.assign_coords(lat=(("y", "x"), lat), lon=(("y", "x"), lon))
    if axes:
        for name, values in (("y", y), ("x", x)):
            attrs = {"standard_name": f"projection_{name}_coordinate", "units": "m"}
            ds[name] = (name, values, attrs)
    if mapping:
        ds["crs"] = ((), 0, mapping)
    return ds


X, Y = 25e3 * np.arange(-40, 41), 25e3 * np.arange(-30, 31)
PROJECTIONS = {
    "lambert_conformal_conic": "+proj=lcc +lat_1=30 +lat_2=60 +lat_0=45 +lon_0=10 +R=6371229",
    "polar_stereographic": "+proj=stere +lat_0=90 +lat_ts=60 +lon_0=-45",
    "mercator": "+proj=merc +lat_ts=20 +lon_0=175 +R=6370000",
}


@pytest.mark.parametrize("south", [False, True])
@pytest.mark.parametrize("kind", PROJECTIONS)
def test_projections_are_known_by_their_points_alone(kind, south):
    proj = PROJECTIONS[kind]
    if south and kind != "mercator":
        proj = proj.replace("=30", "=-30").replace("=60", "=-60").replace("=45", "=-45")
        proj = proj.replace("lat_0=90", "lat_0=-90")
    ds = projected(proj, X, Y + (2e6 if kind == "mercator" else 0.0), axes=False)
    grid = Grid.from_dataset(ds)
    assert grid.kind == kind
    single = Grid.from_dataset(ds.astype(np.float32).assign_coords(lat=ds.lat, lon=ds.lon))
    assert single.kind == kind


@pytest.mark.parametrize("proj", PROJECTIONS.values(), ids=PROJECTIONS.keys())
def test_projected_areas_are_the_map_areas(proj):
    """Cell area is the map's cell area over the square of the map's scale at the point."""
    ds = projected(proj, X + 3e6, Y + 2e6, axes=False)
    grid = Grid.from_dataset(ds)
    earth = pyproj.Proj(proj).crs.ellipsoid.semi_major_metre
    factors = pyproj.Proj(proj).get_factors(grid.lon, grid.lat)
    expected = 25e3**2 / (factors.areal_scale * earth**2)
    # An ellipsoid is read as a sphere: up to 0.7 % in area.
    np.testing.assert_allclose(grid.area, expected, rtol=8e-3)


def test_a_wrong_grid_mapping_does_not_rename_a_projection():
    wrong = {"grid_mapping_name": "polar_stereographic", "latitude_of_projection_origin": -90.0,
             "straight_vertical_longitude_from_pole": 0.0, "standard_parallel": -71.0}  # fmt: skip
    ds = projected(PROJECTIONS["lambert_conformal_conic"], X, Y, wrong)
    assert Grid.from_dataset(ds).kind == "lambert_conformal_conic"


LAEA = {
    "grid_mapping_name": "lambert_azimuthal_equal_area",
    "latitude_of_projection_origin": 52.0,
    "longitude_of_projection_origin": 10.0,
    "earth_radius": 6371000.0,
}


def test_other_projections_are_known_by_their_grid_mapping():
    proj = "+proj=laea +lat_0=52 +lon_0=10 +R=6371000"
    assert Grid.from_dataset(projected(proj, X, Y, LAEA)).kind == "lambert_azimuthal_equal_area"
    assert Grid.from_dataset(projected(proj, X, Y)).kind == "curvilinear"


def test_projected_axes_without_two_dimensional_coordinates():
    proj = "+proj=laea +lat_0=52 +lon_0=10 +R=6371000"
    ds = projected(proj, X, Y, LAEA)
    bare = projected(proj, X, Y, LAEA, fields=False)
    kilometres = bare.assign_coords(
        {n: (n, bare[n].values / 1e3, {**bare[n].attrs, "units": "km"}) for n in ("x", "y")}
    )
    for one in (bare, kilometres):
        np.testing.assert_allclose(
            Grid.from_dataset(one).xyz, Grid.from_dataset(ds).xyz, atol=1e-12
        )
    bare.x.attrs["units"] = "furlong"
    with pytest.raises(ValueError, match="'x' has units 'furlong'"):
        Grid.from_dataset(bare)


def test_a_grid_mapping_that_cannot_be_read_is_named():
    ds = projected(PROJECTIONS["mercator"], X, Y, {"grid_mapping_name": "no_such"}, fields=False)
    with pytest.raises(ValueError, match="grid mapping 'no_such' cannot be read"):
        Grid.from_dataset(ds)


def test_rotated_axes_without_two_dimensional_coordinates():
    grid = Grid.rotated(-162.0, 39.25, np.arange(-5.0, 5.0, 0.44), np.arange(-4.0, 6.0, 0.44))
    ds = grid.dataarray(np.zeros(grid.size), "tas").to_dataset().drop_vars(["lat", "lon"])
    again = Grid.from_dataset(ds)
    assert again.kind == "rotated_pole"
    np.testing.assert_allclose(again.xyz, grid.xyz, atol=1e-12)
    np.testing.assert_allclose(again.area, grid.area)


def test_two_dimensional_coordinates_that_only_repeat_axes_are_axes():
    lon, lat = np.meshgrid(np.arange(0.0, 360.0, 2.5), np.linspace(90.0, -90.0, 73))
    ds = xr.Dataset({"tas": (("y", "x"), lat)})
    ds = ds.assign_coords(nav_lat=(("y", "x"), lat), nav_lon=(("y", "x"), lon))
    for one in (ds, ds.transpose("x", "y")):
        grid = Grid.from_dataset(one)
        assert grid.kind == "regular"
        assert grid.dims == one.tas.dims
        assert grid.area.sum() == pytest.approx(SPHERE)


def scrip(units="degrees"):
    scale = 1.0 if units == "degrees" else np.pi / 180.0
    mask = (BOX.lon > 20).astype(np.int32)
    return xr.Dataset(
        {
            "grid_center_lat": ("grid_size", BOX.lat * scale, {"units": units}),
            "grid_center_lon": ("grid_size", BOX.lon * scale, {"units": units}),
            "grid_corner_lat": (("grid_size", "grid_corners"), BOX.corners[..., 1] * scale),
            "grid_corner_lon": (("grid_size", "grid_corners"), BOX.corners[..., 0] * scale),
            "grid_imask": ("grid_size", mask),
        }
    )


@pytest.mark.parametrize("units", ["degrees", "radians"])
def test_scrip(units):
    grid = Grid.from_dataset(scrip(units))
    np.testing.assert_allclose(grid.lat, BOX.lat)
    np.testing.assert_allclose(grid.area, BOX.area, rtol=0.02)
    np.testing.assert_array_equal(grid.mask, BOX.lon > 20)


def ugrid(location="face"):
    mesh = icosphere(2)
    faces = np.column_stack([mesh.faces[-1] + 1, np.full(len(mesh.faces[-1]), -1)])
    size = {"face": len(faces), "node": mesh.size}[location]
    topology = {
        "cf_role": "mesh_topology", "topology_dimension": 2, "node_coordinates": "nx ny",
        "face_node_connectivity": "face_nodes",
    }  # fmt: skip
    where = {"mesh": "topology", "location": location}
    return xr.Dataset(
        {
            "topology": ((), 0, topology),
            "nx": ("node", mesh.lon, {"standard_name": "longitude"}),
            "ny": ("node", mesh.lat, {"standard_name": "latitude"}),
            "face_nodes": (("face", "four"), faces, {"start_index": 1, "_FillValue": -1}),
            "tas": (location, np.zeros(size), where),
        }
    )


def test_ugrid_faces_and_nodes():
    mesh = icosphere(2)
    faces = Grid.from_dataset(ugrid())
    assert faces.dims == ("face",)
    assert faces.area.sum() == pytest.approx(SPHERE)
    centres = normalise(mesh.xyz[mesh.faces[-1]].sum(axis=1))
    np.testing.assert_allclose(faces.xyz, centres, atol=1e-12)
    given = ugrid()
    given.topology.attrs["face_coordinates"] = "fy fx"
    for name, role, values in (("fy", "latitude", faces.lat), ("fx", "longitude", faces.lon)):
        given[name] = ("face", values + 0.5, {"standard_name": role})
    np.testing.assert_allclose(Grid.from_dataset(given).lat, faces.lat + 0.5)
    np.testing.assert_allclose(Grid.from_dataset(given).area, faces.area)
    nodes = Grid.from_dataset(ugrid("node"))
    np.testing.assert_allclose(nodes.xyz, mesh.xyz, atol=1e-12)
    assert Grid.from_dataset(ugrid().drop_vars("tas")).dims == ("face",)
    with pytest.raises(ValueError, match="names 'nx' as node_coordinates"):
        Grid.from_dataset(ugrid().drop_vars("nx"))


def test_nested_healpix_has_the_pixels_of_the_rings():
    """healpy's documented nest2ring for nside 2 starts 13, 5, 4, 0, 15, 7, 6, 1."""
    ring, nested = (lonlat_to_xyz(*f(2)) for f in (ring_centres, nested_centres))
    place = np.argmax(nested @ ring.T, axis=1)
    np.testing.assert_array_equal(place[:8], [13, 5, 4, 0, 15, 7, 6, 1])
    for nside in (1, 2, 8):
        a, b = (np.round(lonlat_to_xyz(*f(nside)), 9) + 0.0 for f in (ring_centres, nested_centres))
        assert {tuple(p) for p in a} == {tuple(p) for p in b}


@pytest.mark.parametrize(("order", "centres"), [("nest", nested_centres), ("ring", ring_centres)])
def test_healpix_told_by_its_grid_mapping_only(order, centres):
    attrs = {"grid_mapping_name": "healpix", "healpix_nside": 4, "healpix_order": order}
    ds = xr.Dataset({"tas": ("cell", np.zeros(192)), "crs": ((), 0, attrs)})
    grid = Grid.from_dataset(ds)
    np.testing.assert_allclose(grid.xyz, lonlat_to_xyz(*centres(4)), atol=1e-12)
    assert grid.area.sum() == pytest.approx(SPHERE)
    with pytest.raises(ValueError, match="192 pixels"):
        Grid.from_dataset(ds.isel(cell=slice(100)))


def test_mpas_is_in_radians_without_saying_so():
    mesh = icosphere(2)
    ds = xr.Dataset(
        {
            "t2m": ("nCells", np.zeros(mesh.size)),
            "latCell": ("nCells", np.radians(mesh.lat)),
            "lonCell": ("nCells", np.radians(np.mod(mesh.lon, 360.0))),
        }
    )
    grid = Grid.from_dataset(ds)
    np.testing.assert_allclose(grid.xyz, mesh.xyz, atol=1e-12)
    assert grid.area.sum() == pytest.approx(SPHERE)


def test_cubed_sphere_with_a_dimension_of_faces():
    flat = Grid.named("C12")
    dims = ("nf", "Ydim", "Xdim")
    fields = {n: (dims, getattr(flat, n).reshape(6, 12, 12)) for n in ("lat", "lon")}
    ds = xr.Dataset({"T": (("time", *dims), np.zeros((2, 6, 12, 12)))}).assign_coords(fields)
    grid = Grid.from_dataset(ds)
    assert (grid.kind, grid.shape) == ("cubed_sphere", (6, 12, 12))
    assert grid.values(ds.T).shape == (2, 864)
    np.testing.assert_allclose(grid.area, flat.area)


def test_reduced_gaussian_points():
    named = Grid.named("O8")
    assert named.size == 4 * sum(20 + 4 * i for i in range(8)) // 2
    ds = xr.Dataset({"t": ("values", np.zeros(named.size))})
    ds = ds.assign_coords(latitude=("values", named.lat), longitude=("values", named.lon))
    grid = Grid.from_dataset(ds)
    assert grid.kind == "unstructured"
    assert grid.area.sum() == pytest.approx(SPHERE)


def tripolar(rows=45, columns=90, cap_rows=15, cap=60.0):
    """Return lat, lon of an ocean grid whose last row is folded along a line between two poles.

    Up to the parallel `cap` it is regular. North of it the columns from longitudes x and -x run
    towards each other, on circles around the two poles that lie on that parallel (Murray 1996).
    """
    step = 360.0 / columns
    lam = np.radians(-180.0 + step * (np.arange(columns) + 0.5))
    theta = np.pi / 2 * (np.arange(cap_rows) + 0.5)[:, None] / cap_rows
    x, side = np.cos(lam), np.sin(lam)
    y, z = side * np.cos(theta), np.abs(side) * np.sin(theta)
    plane = (x + 1j * y) / (1.0 + z) * np.tan(np.radians(90.0 - cap) / 2)
    north = 90.0 - 2 * np.degrees(np.arctan(np.abs(plane)))
    height = (cap + 90.0) / rows
    south = -90.0 + height * (np.arange(rows) + 0.5)
    lat = np.concatenate([np.repeat(south[:, None], columns, axis=1), north])
    lon = np.concatenate([np.tile(np.degrees(lam), (rows, 1)), np.degrees(np.angle(plane))])
    return lat, lon


def ocean(lat, lon):
    ds = xr.Dataset({"tos": (("j", "i"), np.zeros(lat.shape))})
    return ds.assign_coords(lat=(("j", "i"), lat), lon=(("j", "i"), lon))


def test_a_curvilinear_grid_closes_round_the_globe():
    lat, lon = tripolar()
    grid = Grid.from_dataset(ocean(lat, lon))
    assert grid.kind == "curvilinear"
    assert grid.area.sum() == pytest.approx(SPHERE, rel=0.01)


def test_columns_stored_twice_are_masked_and_counted_once():
    lat, lon = (np.concatenate([v, v[:, :2]], axis=1) for v in tripolar())
    grid = Grid.from_dataset(ocean(lat, lon))
    expected = np.ones(lat.shape, dtype=bool)
    expected[:, -2:] = False
    np.testing.assert_array_equal(grid.mask.reshape(lat.shape), expected)
    assert grid.area.sum() == pytest.approx(SPHERE, rel=0.01)


@pytest.mark.parametrize("fill", [np.nan, 1e30, -999.0])
def test_cells_without_a_place_are_masked(fill):
    lat, lon = tripolar()
    gone = np.zeros(lat.shape, dtype=bool)
    gone[20:25, 40:50] = True
    whole = Grid.from_dataset(ocean(lat, lon))
    grid = Grid.from_dataset(ocean(np.where(gone, fill, lat), np.where(gone, fill, lon)))
    np.testing.assert_array_equal(grid.mask, ~gone.ravel())
    assert np.isfinite(grid.xyz).all()
    assert np.all(grid.area[gone.ravel()] == 0)
    covered = whole.area[~gone.ravel()].sum()
    assert grid.area.sum() == pytest.approx(covered, rel=0.05)
    target = Grid.regular(2.0, 2.0, (0.0, 40.0, 20.0, 60.0))
    graph = build_graph(grid, target)
    graph.validate()
    assert grid.mask[graph.encode.senders].all()


def test_a_cell_with_only_one_coordinate_is_named():
    lat, lon = tripolar()
    lat[3, 7] = np.nan
    with pytest.raises(ValueError, match=r"'lat' has missing values at j=3, i=7 \(1 in all\)"):
        Grid.from_dataset(ocean(lat, lon))


@pytest.mark.parametrize("name", ["lat_b", "bounds_lat"])
def test_cell_edges_are_bounds(name):
    edges = {"lat": np.array([0.0, 5.0, 20.0, 30.0]), "lon": np.array([0.0, 8.0, 20.0])}
    middles = {k: (v[1:] + v[:-1]) / 2 for k, v in edges.items()}
    ds = xr.Dataset({"tas": (("lat", "lon"), np.zeros((3, 2)))}, coords=middles)
    for axis, values in edges.items():
        ds[name.replace("lat", axis)] = (f"{axis}_edge", values)
    grid = Grid.from_dataset(ds)
    box = np.outer(np.diff(np.sin(np.radians(edges["lat"]))), np.diff(np.radians(edges["lon"])))
    np.testing.assert_allclose(grid.area, box.ravel())
    np.testing.assert_allclose(Grid.from_dataset(grid.coords).area, grid.area)


def test_corners_of_a_field_are_bounds():
    rotated = (np.arange(-4.0, 4.1, 1.0), np.arange(-3.0, 3.1, 1.0))
    inner = Grid.rotated(20.0, 50.0, *rotated)
    outer = Grid.rotated(20.0, 50.0, *(np.append(v - 0.5, v[-1] + 0.5) for v in rotated))
    (lat, lon), (nodes_lat, nodes_lon) = (
        (g.lat.reshape(g.shape), g.lon.reshape(g.shape)) for g in (inner, outer)
    )
    ds = ocean(lat, lon)
    for name, nodes in (("lat", nodes_lat), ("lon", nodes_lon)):
        ds[f"{name}_b"] = (("j_b", "i_b"), nodes)
    grid = Grid.from_dataset(ds)
    np.testing.assert_allclose(np.sort(grid.corners, 1), np.sort(inner.corners, 1), atol=1e-9)
    np.testing.assert_allclose(grid.area, inner.area, rtol=1e-3)


def test_all_grids_of_a_dataset():
    ds = xr.Dataset(
        {"tas": (("lat", "lon"), np.zeros((3, 4))), "psl": (("lat2", "lon2"), np.zeros((2, 5)))},
        coords={
            "lat": [0.0, 1, 2],
            "lon": [0.0, 1, 2, 3],
            "lat2": [0.0, 2],
            "lon2": np.arange(5.0),
        },
    )
    (first, surface), (second, upper) = grids_in(ds)
    assert (first, second) == (["tas"], ["psl"])
    assert (surface.shape, upper.shape) == ((3, 4), (2, 5))
    assert [names for names, _ in grids_in(ds[["psl"]])] == [["psl"]]
