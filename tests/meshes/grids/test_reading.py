import numpy as np
import pytest
import xarray as xr

from meshes import Grid


def on_axes(lat, lon, **attrs):
    lat, lon = np.asarray(lat, float), np.asarray(lon, float)
    data = np.arange(lat.size * lon.size, dtype=float).reshape(lat.size, lon.size)
    return xr.Dataset({"tas": (("lat", "lon"), data)}, coords={"lat": lat, "lon": lon}, attrs=attrs)


LAT, LON = np.arange(30.5, 40.0), np.arange(0.5, 12.0)


def test_plain_axes():
    grid = Grid.from_dataset(on_axes(LAT, LON))
    assert grid.kind == "regular"
    assert grid.dims == ("lat", "lon")
    np.testing.assert_allclose(grid.area, Grid.regular(1, 1, (0, 30, 12, 40)).area)


def test_descending_latitude_changes_the_order_only():
    up, down = Grid.from_dataset(on_axes(LAT, LON)), Grid.from_dataset(on_axes(LAT[::-1], LON))
    np.testing.assert_allclose(down.area.reshape(10, 12)[::-1].ravel(), up.area)
    assert np.all(down.area > 0)
    np.testing.assert_allclose(down.corners.mean(axis=1), np.stack([down.lon, down.lat], axis=1))


@pytest.mark.parametrize("shift", [0.0, 360.0, -360.0])
def test_longitude_conventions_are_one(shift):
    grid = Grid.from_dataset(on_axes(LAT, LON + shift))
    np.testing.assert_allclose(grid.lon[:12], LON, atol=1e-9)
    np.testing.assert_allclose(grid.area, Grid.from_dataset(on_axes(LAT, LON)).area)


def test_longitudes_that_jump_at_greenwich():
    grid = Grid.from_dataset(on_axes(LAT, [358.5, 359.5, 0.5, 1.5]))
    np.testing.assert_allclose(grid.area, Grid.regular(1, 1, (-2, 30, 2, 40)).area)


def test_transposed_data_keeps_its_order():
    ds = on_axes(LAT, LON)
    grid = Grid.from_dataset(ds.transpose("lon", "lat"))
    assert grid.dims == ("lon", "lat")
    assert grid.shape == (12, 10)
    np.testing.assert_allclose(grid.values(ds.tas), ds.tas.values.T.ravel())
    np.testing.assert_allclose(grid.lat[:10], LAT)


def test_global_axes_reach_the_poles_and_share_a_cyclic_column():
    lat, lon = np.linspace(-90.0, 90.0, 73), np.arange(0.0, 360.1, 2.5)
    assert Grid.from_dataset(on_axes(lat, lon)).area.sum() == pytest.approx(4 * np.pi)


def test_gaussian_axes_are_recognised_whole_and_in_part():
    lat = Grid.gaussian(94).coords.lat.values
    lon = np.arange(192) * 1.875
    whole = Grid.from_dataset(on_axes(lat[::-1], lon))
    assert whole.kind == "gaussian"
    np.testing.assert_allclose(whole.area.sum(), 4 * np.pi)
    part = Grid.from_dataset(on_axes(lat[60:66], lon[:8]))
    assert part.kind == "gaussian"
    np.testing.assert_allclose(
        part.area, Grid.gaussian(94).area.reshape(94, 188)[60:66, :8].ravel() * 188 / 192
    )


def test_bounds_of_the_file_are_used():
    ds = on_axes(LAT, LON)
    ds.lat.attrs["bounds"] = "lat_bnds"
    ds["lat_bnds"] = (("lat", "bnds"), np.stack([LAT - 0.25, LAT + 0.25], axis=1))
    grid = Grid.from_dataset(ds)
    np.testing.assert_allclose(grid.area, Grid.from_dataset(on_axes(LAT, LON)).area / 2, rtol=1e-4)
    assert "lat_bnds" in grid.coords.variables


def test_useless_bounds_are_replaced():
    ds = on_axes(LAT, LON)
    ds.lat.attrs["bounds"] = "lat_bnds"
    ds["lat_bnds"] = (("lat", "bnds"), np.zeros((LAT.size, 2)))
    np.testing.assert_allclose(
        Grid.from_dataset(ds).area, Grid.from_dataset(on_axes(LAT, LON)).area
    )


def curvilinear(grid, keep_axes=False):
    ds = grid.dataarray(np.zeros(grid.size), "tas").to_dataset().drop_vars("rotated_pole")
    return ds if keep_axes else ds.drop_vars(["rlat", "rlon"])


ROTATED = Grid.rotated(-162.0, 39.25, np.arange(-5.0, 5.0, 0.44), np.arange(-4.0, 6.0, 0.44))


def test_rotated_pole_is_found_without_a_grid_mapping():
    grid = Grid.from_dataset(curvilinear(ROTATED, keep_axes=True))
    assert grid.kind == "rotated_pole"
    np.testing.assert_allclose(grid.area, ROTATED.area)
    attrs = grid.coords[grid.grid_mapping].attrs
    assert attrs["grid_north_pole_longitude"] == pytest.approx(-162.0)
    assert attrs["grid_north_pole_latitude"] == pytest.approx(39.25)


def test_a_wrong_grid_mapping_is_put_right():
    ds = ROTATED.dataarray(np.zeros(ROTATED.size), "tas").to_dataset()
    ds.rotated_pole.attrs.update(grid_north_pole_longitude=180.0, grid_north_pole_latitude=90.0)
    grid = Grid.from_dataset(ds)
    assert grid.coords.rotated_pole.attrs["grid_north_pole_latitude"] == pytest.approx(39.25)


def test_two_dimensional_coordinates_alone_give_a_curvilinear_grid():
    grid = Grid.from_dataset(curvilinear(ROTATED))
    assert grid.kind == "curvilinear"
    np.testing.assert_allclose(grid.area, ROTATED.area, rtol=2e-3)
    np.testing.assert_allclose(grid.area.sum(), ROTATED.area.sum(), rtol=1e-3)


def test_corner_bounds_of_a_curvilinear_grid():
    ds = curvilinear(ROTATED)
    for axis, name in enumerate(("lon", "lat")):
        ds[name].attrs["bounds"] = f"{name}_vertices"
        corners = ROTATED.corners[:, ::-1, axis].reshape(*ROTATED.shape, 4)
        ds[f"{name}_vertices"] = (("rlat", "rlon", "vertices"), corners)
    grid = Grid.from_dataset(ds)
    np.testing.assert_allclose(grid.area, ROTATED.area, rtol=1e-4)


def test_list_of_points_with_and_without_bounds():
    box = Grid.regular(10.0, 10.0, (0.0, 0.0, 60.0, 60.0))
    ds = xr.Dataset(
        {"tas": ("cell", np.zeros(box.size))},
        coords={
            "lat": ("cell", box.lat, {"bounds": "lat_bnds"}),
            "lon": ("cell", box.lon, {"bounds": "lon_bnds"}),
        },
    )
    assert Grid.from_dataset(ds).kind == "unstructured"
    ds["lat_bnds"] = (("cell", "v"), box.corners[..., 1])
    ds["lon_bnds"] = (("cell", "v"), box.corners[..., 0])
    np.testing.assert_allclose(Grid.from_dataset(ds).area, box.area, rtol=0.02)


def test_radians_are_converted():
    ds = xr.Dataset(
        {"tas": ("cell", np.zeros(4))},
        coords={
            "clat": (
                "cell",
                np.radians([10.0, 10.0, 20.0, 20.0]),
                {"units": "radian", "standard_name": "latitude"},
            ),
            "clon": (
                "cell",
                np.radians([0.0, 10.0, 0.0, 10.0]),
                {"units": "radian", "standard_name": "longitude"},
            ),
        },
    )
    np.testing.assert_allclose(Grid.from_dataset(ds).lat, [10.0, 10.0, 20.0, 20.0])


def test_names_do_not_matter_where_attributes_speak():
    ds = on_axes(LAT, LON).rename(lat="south_north", lon="west_east")
    ds.south_north.attrs["units"] = "degrees_north"
    ds.west_east.attrs["standard_name"] = "longitude"
    assert Grid.from_dataset(ds).dims == ("south_north", "west_east")


def test_mask_on_the_grid():
    ds = on_axes(LAT, LON)
    mask = (ds.tas > 5).transpose("lon", "lat")
    grid = Grid.from_dataset(ds, mask)
    np.testing.assert_array_equal(grid.mask, ds.tas.values.ravel() > 5)
    with pytest.raises(ValueError, match="boolean with shape"):
        Grid.from_dataset(ds, np.ones(3, dtype=bool))


def test_two_grids_in_one_file_are_named_and_separable():
    ds = on_axes(LAT, LON)
    ds["psl"] = (("lat25", "lon25"), np.zeros((4, 5)))
    ds = ds.assign_coords(lat25=np.arange(4) * 2.5, lon25=np.arange(5) * 2.5)
    with pytest.raises(
        ValueError, match=r"2 horizontal grids: lat/lon \(tas\); lat25/lon25 \(psl\)"
    ):
        Grid.from_dataset(ds)
    assert Grid.from_dataset(ds[["psl"]]).dims == ("lat25", "lon25")
    assert Grid.from_dataset(ds[["tas"]]).shape == (10, 12)


def test_axes_named_lat_and_lon_yield_to_two_dimensional_coordinates():
    ds = curvilinear(ROTATED, keep_axes=True).rename(lat="latitude", lon="longitude")
    ds = ds.rename(rlat="lat", rlon="lon")
    for name in ("lat", "lon"):
        del ds[name].attrs["standard_name"]
    grid = Grid.from_dataset(ds)
    assert grid.kind == "rotated_pole"
    np.testing.assert_allclose(grid.lon, ROTATED.lon)


def test_moving_coordinates_are_refused_but_a_single_moment_is_not():
    lat, lon = (v.reshape(1, *ROTATED.shape) for v in (ROTATED.lat, ROTATED.lon))
    dims = ("Time", "south_north", "west_east")
    ds = xr.Dataset({"XLAT": (dims, lat), "XLONG": (dims, lon), "T2": (dims, lat)})
    assert Grid.from_dataset(ds).dims == dims[1:]
    assert Grid.from_dataset(xr.concat([ds, ds], "Time")).dims == dims[1:]
    moved = ds.assign(XLAT=ds.XLAT + 0.1)
    with pytest.raises(ValueError, match="more than two dimensions"):
        Grid.from_dataset(xr.concat([ds, moved], "Time"))


def test_missing_or_impossible_coordinates_are_refused():
    with pytest.raises(ValueError, match="no latitude and longitude"):
        Grid.from_dataset(xr.Dataset({"tas": (("y", "x"), np.zeros((2, 2)))}))
    with pytest.raises(ValueError, match="no latitude in degrees"):
        Grid.from_dataset(on_axes(LAT * 10, LON))
    broken = on_axes(LAT, LON).assign_coords(lat=np.where(LAT > 39, np.nan, LAT))
    with pytest.raises(ValueError, match="missing values"):
        Grid.from_dataset(broken)
    with pytest.raises(ValueError, match="one value"):
        Grid.from_dataset(on_axes(LAT[:1], LON))
    with pytest.raises(ValueError, match="strictly"):
        Grid.from_dataset(on_axes([1.0, 3.0, 2.0], LON))


@pytest.mark.parametrize("width", [28.0, 220.0])
def test_a_region_across_greenwich_may_be_stored_from_0_to_360(width):
    region = Grid.regular(2.0, 2.0, (-width / 2, 30.0, width / 2, 50.0))
    values = np.arange(region.size, dtype=np.float64)
    ds = region.dataarray(values, "v").to_dataset()
    ds = ds.drop_vars([n for n in ds.variables if str(n).endswith("_bnds")])
    ds = ds.assign_coords(lon=ds.lon.drop_attrs() % 360).sortby("lon")
    grid = Grid.from_dataset(ds)
    assert grid.kind == "regular"
    order = np.argsort(grid.values(ds.v))
    np.testing.assert_allclose(grid.lon[order], region.lon, atol=1e-9)
    np.testing.assert_allclose(grid.area[order], region.area, rtol=1e-9)
