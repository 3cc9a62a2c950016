"""Grids as files tell them: every convention in the whole chain, one grid told in several ways."""

from pathlib import Path

import numpy as np
import pytest
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st

from graphdown.data.check import check
from graphdown.data.reading.fields import open_fields, read_files
from graphdown.data.reading.file_request import Request
from graphdown.data.reading.rules import Notes
from graphdown.errors import DataError
from meshes import Grid

from ..files import make

CASES = Path(__file__).parents[1] / "cases"
KM2 = 6371.0**2
# Names of the file, kind of the grid, its sizes and number of times.
READ = {
    "bowtie.nc": ("curvilinear", {"j": 5, "i": 8}, 10),
    "hadgem_latbnds.nc": ("regular", {"lat": 73, "lon": 96}, 2),
    "lonfill0.nc": ("regular", {"lat": 5, "lon": 8}, 10),
    "rot_half.nc": ("rotated_pole", {"rlat": 11, "rlon": 17}, 10),
    "wrfout.nc": ("regular", {"south_north": 5, "west_east": 8}, 4),
    "healpix.nc": ("unstructured", {"cell": 192}, 5),
    "ugrid.nc": ("unstructured", {"nface": 2}, 3),
    "lambert_nolatlon.nc": ("lambert_conformal_conic", {"y": 5, "x": 8}, 10),
    "mcm_ua.nc": ("regular", {"lat": 5, "lon": 8}, 10),
}


def grid_in(name):
    with xr.open_dataset(CASES / name, decode_times=False) as ds:
        return Grid.from_dataset(ds)


@pytest.mark.parametrize("name", READ)
def test_grid_is_read(name):
    kind, sizes, times = READ[name]
    report = check([str(CASES / name)])
    assert report.ok, report.to_text()
    (grid,) = report.grids.values()
    assert grid.kind == kind
    assert grid.used == grid.points == np.prod(list(sizes.values()))
    (understood,) = report.understood
    assert understood.times == times
    fields = open_fields([str(CASES / name)], ["tas"])
    assert dict(fields.tas.sizes) == {"time": times, **sizes}
    assert Grid.from_dataset(fields).kind == kind


def test_wrf_output_has_the_days_of_its_text_times():
    fields = open_fields([str(CASES / "wrfout.nc")], ["tas"])
    assert [str(t)[:10] for t in fields.time.values] == [f"2000-01-0{day}" for day in (1, 2, 3, 4)]


def test_axes_of_ncl_are_one_grid():
    grid = grid_in("jra55_ncl.nc")
    assert grid.dims == ("g4_lat_1", "g4_lon_2")
    assert grid.shape == (5, 8)


def test_axis_keeps_the_zero_that_a_fill_value_hides():
    files = [str(CASES / "zero_fill.zarr")]
    fields = open_fields(files, ["pr"])
    np.testing.assert_array_equal(fields.lon, np.arange(-10.0, 6.0, 2.0))


def test_missing_latitude_on_an_axis_is_refused_in_one_sentence():
    with pytest.raises(DataError, match=r"lat_nan.nc: The latitude 'lat' has missing values at"):
        open_fields([str(CASES / "lat_nan.nc")], ["tas"])


def test_group_with_the_variables_is_named():
    with pytest.raises(DataError, match="groups.nc: the variables pr are in the group 'Grid'"):
        open_fields([str(CASES / "groups.nc")], ["pr"])


def test_group_of_a_zarr_store_is_named(tmp_path):
    xr.Dataset(attrs={"title": "x"}).to_zarr(tmp_path / "a.zarr", mode="w", consolidated=False)
    make("tas").to_zarr(tmp_path / "a.zarr", group="daily/surface", mode="a", consolidated=False)
    with pytest.raises(DataError, match="tas are in the group 'daily/surface'"):
        open_fields([str(tmp_path / "a.zarr")], ["tas"])


def test_grid_of_a_variable_outside_of_the_catalogue_is_shown(tmp_path):
    make("tas").rename(tas="chlorophyll").to_netcdf(tmp_path / "a.nc")
    report = check([str(tmp_path / "a.nc")])
    assert report.ok
    (grid,) = report.grids.values()
    assert grid.points == 40
    assert "[unknown-variable]" in report.to_text()


@pytest.mark.parametrize("pair", [("wrfh_hist.nc", "wrfh_rcp.nc"), ("lonA.nc", "lonB.nc")])
def test_parts_of_one_grid_told_in_two_ways_are_joined(pair):
    first, second = (str(CASES / name) for name in pair)
    fields, understood = read_files([first, second], Request(("tas",)))
    assert fields.sizes["time"] == 20
    assert "grid-reordered" in {note.rule for note in understood.notes}
    with xr.open_dataset(first) as a, xr.open_dataset(second) as b:
        own = [ds.tas.transpose("time", ...) for ds in (a, b)]
        longitudes = [ds[ds.tas.dims[-1]] if "lat" in ds.dims else None for ds in (a, b)]
        np.testing.assert_array_equal(fields.tas[:10], own[0])
        if "lon" in pair[0]:
            order = np.argsort((longitudes[1].values + 180) % 360)
            np.testing.assert_array_equal(fields.tas[10:], own[1].values[..., order])
        else:
            np.testing.assert_array_equal(fields.tas[10:], own[1])


def relabelled(ds, turned, shift, names, transposed, fields):
    """The same field told in another way."""
    ds = ds.isel(lat=slice(None, None, -1)) if turned else ds
    lon = np.mod(ds.lon.values + shift, 360.0) - shift
    ds = ds.assign_coords(lon=("lon", lon, ds.lon.attrs)).sortby("lon")
    ds = ds.transpose("time", "lon", "lat") if transposed else ds
    if fields:
        lat, lon = xr.broadcast(ds.lat, ds.lon)
        places = {"nav_lat": lat, "nav_lon": lon}
        ds = ds.drop_vars(["lat", "lon"]).assign_coords(places)
        for name, units in (("nav_lat", "degrees_north"), ("nav_lon", "degrees_east")):
            ds[name].attrs["units"] = units
    return ds.rename({"lat": names[0], "lon": names[1]})


@settings(max_examples=12, deadline=None)
@given(
    turned=st.booleans(),
    shift=st.sampled_from([0.0, 180.0, 90.0]),
    names=st.sampled_from([("lat", "lon"), ("latitude", "longitude"), ("y", "x")]),
    transposed=st.booleans(),
    fields=st.booleans(),
    globe=st.booleans(),
    seed=st.integers(0, 99),
)
def test_any_way_to_tell_a_grid_gives_the_same_values(
    tmp_path_factory, turned, shift, names, transposed, fields, globe, seed
):
    lat = np.linspace(-90.0, 90.0, 7) if globe else np.arange(40.0, 52.0, 2.0)
    lon = np.arange(0.0, 360.0, 30.0) if globe else np.arange(-10.0, 8.0, 2.0)
    whole = make("tas", days=6, lat=lat, lon=lon, seed=seed)
    other = relabelled(whole.isel(time=slice(3, None)), turned, shift, names, transposed, fields)
    if names == ("y", "x") and not fields:
        other.y.attrs["standard_name"], other.x.attrs["standard_name"] = "latitude", "longitude"
    folder = tmp_path_factory.mktemp("grids")
    whole.isel(time=slice(3)).to_netcdf(folder / "a.nc")
    other.to_netcdf(folder / "b.nc")
    joined = open_fields([str(folder / "a.nc"), str(folder / "b.nc")], ["tas"])
    np.testing.assert_array_equal(joined.tas, whole.tas)
    np.testing.assert_array_equal(joined.lon, lon)


def test_parts_on_other_points_are_still_refused(tmp_path):
    make("tas").to_netcdf(tmp_path / "a.nc")
    other = make("tas", start="2000-01-11", lat=np.arange(36.5, 46.5, 2.0))
    other.to_netcdf(tmp_path / "b.nc")
    with pytest.raises(DataError, match="hold 'tas' on different grids"):
        open_fields([str(tmp_path / "a.nc"), str(tmp_path / "b.nc")], ["tas"])


def test_crossed_vertices_give_the_cells_around_the_points():
    grid = grid_in("bowtie.nc")
    # The file's cells, of 2 x 2 degrees, lie a tenth of a degree apart from where cells half-way
    # between the points would.
    assert grid.area.min() * KM2 == pytest.approx(35494, rel=2e-3)
    assert grid.area.max() * KM2 == pytest.approx(40199, rel=2e-3)


def test_bounds_past_the_poles_are_cut_there():
    grid = grid_in("hadgem_latbnds.nc")
    assert grid.area.sum() == pytest.approx(4 * np.pi, rel=1e-9)
    assert grid.area.min() == pytest.approx(1.5575e-5, rel=1e-4)


def test_overlapping_bounds_are_told(tmp_path):
    ds = make("tas")
    ds["lat_bnds"] = (("lat", "bnds"), np.stack([ds.lat - 2.0, ds.lat + 2.0], axis=1))
    ds.lat.attrs["bounds"] = "lat_bnds"
    ds.to_netcdf(tmp_path / "a.nc")
    report = check([str(tmp_path / "a.nc")])
    assert report.ok
    assert "[cells-overlap]" in report.to_text()
    make("tas").to_netcdf(tmp_path / "b.nc")
    assert "[cells-overlap]" not in check([str(tmp_path / "b.nc")]).to_text()


def test_array_in_place_of_a_dataset_is_refused():
    from graphdown.data.reading.fields import to_canonical

    with pytest.raises(DataError, match=r"type DataArray, not an xarray.Dataset; give one"):
        to_canonical(make("tas").tas, ["tas"], notes=Notes())
