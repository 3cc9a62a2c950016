"""Places that files hide: fill values on axes, positions of every time, HEALPix by its numbers."""

import numpy as np
import pytest
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st

from meshes import Grid
from meshes.grids.healpix import pixels

LAT, LON = np.arange(-6.0, 8.0, 2.0), np.arange(-10.0, 12.0, 2.0)


def on_axes(lat, lon, fill=None, packed=False):
    ds = xr.Dataset({"tas": (("lat", "lon"), np.zeros((len(lat), len(lon))))})
    for name, values, units in (("lat", lat, "degrees_north"), ("lon", lon, "degrees_east")):
        hidden = values == fill
        variable = xr.Variable(name, np.where(hidden, np.nan, values), {"units": units})
        if fill is not None:
            variable.encoding["_FillValue"] = fill
        if packed:
            variable.encoding |= {"_FillValue": 0, "scale_factor": 0.5, "add_offset": fill}
        ds = ds.assign_coords({name: variable})
    return ds


@settings(max_examples=20, deadline=None)
@given(place=st.sampled_from([*LAT, *LON]), packed=st.booleans())
def test_value_of_an_axis_that_the_fill_value_hides_is_restored(place, packed):
    grid = Grid.from_dataset(on_axes(LAT, LON, place, packed))
    np.testing.assert_allclose(grid.lat.reshape(grid.shape)[:, 0], LAT)
    np.testing.assert_allclose(grid.lon.reshape(grid.shape)[0], LON)


@pytest.mark.parametrize("fill", [np.nan, 1e20, -999.0])
def test_axis_with_a_value_that_is_no_place_is_refused(fill):
    ds = on_axes(LAT, LON)
    values = np.where(LAT == 2.0, np.nan, LAT)
    variable = xr.Variable("lat", values, {"units": "degrees_north"}, {"_FillValue": fill})
    with pytest.raises(ValueError, match=r"latitude 'lat' has missing values at lat=4 \(1 in all"):
        Grid.from_dataset(ds.assign_coords(lat=variable))


def test_positions_on_the_equator_are_kept_but_hidden_cells_are_not():
    lon, lat = np.meshgrid(LON + 100.0, LAT)
    lat = lat + 0.1 * np.arange(len(LON))
    lat[3, 0] = 0.0
    ds = xr.Dataset({"tas": (("y", "x"), np.zeros(lat.shape))})
    for name, values in (("lat", lat), ("lon", lon)):
        values = np.where(values == 0.0, np.nan, values)
        values[0, 0] = np.nan  # both: a hidden cell
        variable = xr.Variable(("y", "x"), values, {"standard_name": f"{name}itude"})
        variable.attrs["standard_name"] = {"lat": "latitude", "lon": "longitude"}[name]
        variable.encoding["_FillValue"] = 0.0
        ds = ds.assign_coords({name: variable})
    grid = Grid.from_dataset(ds)
    assert not grid.mask[0] and grid.mask[1:].all()
    assert grid.lat.reshape(lat.shape)[3, 0] == 0.0


@pytest.mark.parametrize(("nside", "order"), [(1, "ring"), (3, "ring"), (4, "ring"), (8, "nest")])
def test_pixels_of_healpix_fit_side_by_side_around_their_centres(nside, order):
    lon, lat, corner_lon, corner_lat = pixels(nside, order == "nest")
    mapping = {"grid_mapping_name": "healpix", "healpix_nside": nside, "healpix_order": order}
    ds = xr.Dataset({"tas": ("pix", np.zeros(len(lon))), "crs": ((), 0, mapping)})
    grid = Grid.from_dataset(ds)
    assert grid.area.sum() == pytest.approx(4 * np.pi)
    # Great circles between the corners leave up to a tenth of a pixel at the poles to others.
    np.testing.assert_allclose(grid.area, 4 * np.pi / len(lon), rtol=0.1 if nside > 1 else 0.2)
    assert corner_lat.min(axis=1) == pytest.approx(np.minimum(corner_lat.min(axis=1), lat))
    assert corner_lon.shape == (len(lon), 4)
    # Each corner is shared by three or four pixels.
    found = np.unique(np.round(grid.corners.reshape(-1, 2) % [360.0, 1e9], 6), axis=0)
    assert len(found) >= 12 * nside**2 + 2


def test_part_of_the_pixels_is_read_by_their_numbers():
    mapping = {"grid_mapping_name": "healpix", "refinement_level": 3, "indexing_scheme": "nested"}
    number = np.array([5, 700, 33, 100, 101, 102])
    ds = xr.Dataset(
        {"tas": ("cell", np.zeros(6), {"grid_mapping": "crs"}), "crs": ((), 0, mapping)},
        {"cell": ("cell", number, {"standard_name": "healpix_index"})},
    )
    grid, whole = Grid.from_dataset(ds), pixels(8, True)
    np.testing.assert_allclose(grid.lat, whole[1][number])
    np.testing.assert_allclose(np.mod(grid.lon, 360.0), whole[0][number])
    np.testing.assert_allclose(grid.area, 4 * np.pi / 768, rtol=0.1)


def test_coordinates_of_ncl_with_other_numbers_belong_together():
    ds = on_axes(LAT, LON).rename(lat="g4_lat_1", lon="g4_lon_2")
    assert Grid.from_dataset(ds).dims == ("g4_lat_1", "g4_lon_2")


@pytest.mark.parametrize("names", [("latitude ", " longitude"), ("Latitude", "LONGITUDE")])
def test_standard_names_with_blanks_and_capitals_are_read(names):
    ds = on_axes(LAT, LON).rename(lat="j", lon="i")
    ds.j.attrs, ds.i.attrs = ({"standard_name": name, "units": "degrees"} for name in names)
    grid = Grid.from_dataset(ds)
    assert grid.shape == (7, 11)
    assert grid.coords.j.attrs["standard_name"] == "latitude"


def test_rotated_axes_alone_need_the_whole_pole():
    grid = Grid.rotated(-162.0, 39.25, np.arange(5.0), np.arange(4.0))
    ds = grid.dataarray(np.zeros(grid.size), "tas").to_dataset().drop_vars(["lat", "lon"])
    assert Grid.from_dataset(ds).kind == "rotated_pole"
    del ds.rotated_pole.attrs["grid_north_pole_longitude"]
    with pytest.raises(ValueError, match="lacks a pole.*grid_north_pole_longitude"):
        Grid.from_dataset(ds)
