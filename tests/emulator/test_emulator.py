"""An emulator in use: fed with any source, asked for the impossible."""

from dataclasses import replace

import jax
import numpy as np
import pytest
import xarray as xr
from flax import nnx

from graphdown.data.reading.fields import read_files
from graphdown.data.reading.file_request import Request
from graphdown.emulator.build_network import new_network
from graphdown.emulator.emulator import Emulator
from graphdown.errors import DataError, GraphdownError
from graphdown.model.parameters import named_values
from graphdown.output.writer import write
from meshes import Grid, bilinear

from .conftest import GLOBAL, MODEL, NORMALISER, SOURCES, TARGETS, dataset, emulator

pytestmark = pytest.mark.usefixtures("compiled_in_haste")


def assert_close(result, expected, tas=2e-4, pr=1e-5):
    """Equal but for rounding; float32 resolves 3e-5 K."""
    np.testing.assert_allclose(result["tas"].values, expected["tas"].values, atol=tas, rtol=0)
    np.testing.assert_allclose(result["pr"].values, expected["pr"].values, atol=pr, rtol=0)


def test_the_parameters_matter(coarse, fine):
    plain = bilinear(SOURCES["regular"], TARGETS["regular"]).apply(
        SOURCES["regular"].values(coarse["tas"])
    )
    assert 0.1 < np.sqrt(np.mean((TARGETS["regular"].values(fine["tas"]) - plain) ** 2)) < 10.0


@pytest.mark.parametrize("target", TARGETS)
def test_output_stands_on_the_target_grid_with_cf_attributes(target, coarse):
    grid, result = TARGETS[target], emulator(target).downscale(coarse)
    assert result.attrs["Conventions"] == "CF-1.10" and "tiny" in result.attrs["title"]
    assert list(result.data_vars) == ["tas", "pr"]
    np.testing.assert_array_equal(result["time"], coarse["time"])
    for name, units, standard in (
        ("tas", "K", "air_temperature"),
        ("pr", "mm day-1", "lwe_precipitation_rate"),
    ):
        field = result[name]
        assert field.dtype == np.float32 and field.dims == ("time", *grid.dims)
        assert field.attrs["units"] == units and field.attrs["standard_name"] == standard
        assert field.attrs["cell_methods"] == "time: mean"
        assert np.isfinite(field).all()
    for name, coord in grid.dataarray(np.zeros(grid.size)).coords.items():
        np.testing.assert_array_equal(result[name], coord)
        assert coord.attrs.items() <= result[name].attrs.items()
    assert result["tas"].attrs.get("grid_mapping") == grid.grid_mapping
    again = Grid.from_dataset(result)
    np.testing.assert_allclose(again.lon, grid.lon)
    np.testing.assert_allclose(again.lat, grid.lat)


def test_precipitation_is_never_negative(coarse, fine):
    params = dict(emulator().params)
    name = next(n for n in params if n.startswith("head.bias"))
    params[name] = params[name] - np.asarray([0.0, 3.0], np.float32)
    result = replace(emulator(), params=params).downscale(coarse)
    assert_close(result, fine.assign(pr=np.maximum(fine["pr"] - 3.0, 0.0)))
    assert 0.05 < float((result["pr"] == 0).mean()) < 0.95


def test_files_of_the_output_are_read_back(fine, tmp_path):
    fine.to_netcdf(tmp_path / "fine.nc")
    with xr.open_dataset(tmp_path / "fine.nc") as again:
        xr.testing.assert_allclose(again.load(), fine)


@pytest.mark.parametrize("source", ["gaussian", "rotated", "icosahedral"])
def test_another_source_grid_of_the_same_fields_gives_nearly_the_same(source, fine):
    result = emulator().downscale(dataset(SOURCES[source]))
    xr.testing.assert_identical(result["time"], fine["time"])
    error = np.sqrt(np.mean((result["tas"].values - fine["tas"].values) ** 2))
    assert 1e-3 < error < 0.1
    assert float(fine["tas"].std()) > 1.5


def celsius(ds):
    return ds.assign(tas=(ds["tas"] - np.float32(273.15)).assign_attrs(units="degC"))


def flux(ds):
    changed = (ds["pr"].astype(np.float64) / 86400.0).assign_attrs(units="kg m-2 s-1")
    return ds.assign(pr=changed)


def with_more(ds):
    return ds.assign(
        psl=ds["tas"] * 350.0,
        quality=("time", np.arange(ds.sizes["time"])),
        time_bnds=(("time", "bnds"), np.zeros((ds.sizes["time"], 2))),
        height=((), 2.0),
    )


EQUIVALENT = {
    "south up or down": lambda ds: ds.isel(lat=slice(None, None, -1)),
    "longitudes from 0 to 360": lambda ds: ds.assign_coords(lon=ds["lon"] % 360).sortby("lon"),
    "longitudes shifted by 360": lambda ds: ds.assign_coords(lon=ds["lon"] + 360),
    "variables in another order": lambda ds: ds[["ua850", "pr", "tas"]],
    "dimensions in another order": lambda ds: ds.transpose("lon", "time", "lat"),
    "dimensions of other names": lambda ds: ds.rename(lat="latitude", lon="longitude"),
    "days in another order": lambda ds: ds.isel(time=[3, 0, 5, 1, 4, 2]),
    "degrees Celsius": celsius,
    "a mass flux": flux,
    "float64": lambda ds: ds.astype(np.float64),
    "more variables": with_more,
    "chunks": lambda ds: ds.chunk(time=2),
}


@pytest.fixture(scope="module")
def around_the_globe():
    ds = dataset(GLOBAL)
    ds = ds.assign_coords(lon=(ds["lon"] + 180) % 360 - 180).sortby("lon")
    return ds, emulator().downscale(ds)


@pytest.mark.parametrize("case", EQUIVALENT)
def test_the_same_source_written_otherwise_gives_the_same(case, around_the_globe):
    ds, expected = around_the_globe
    result = emulator().downscale(EQUIVALENT[case](ds))
    assert_close(result, expected)
    xr.testing.assert_identical(result["time"], expected["time"])


def test_a_region_across_greenwich_may_be_written_from_0_to_360(coarse, fine):
    assert_close(emulator().downscale(coarse.assign_coords(lon=coarse["lon"] % 360)), fine)


def test_units_may_be_stated_where_the_file_has_none(coarse, fine):
    bare = celsius(coarse)
    del bare["tas"].attrs["units"]
    assert_close(emulator().downscale(bare, {"tas": "degC"}), fine)
    wrong = coarse.assign(tas=celsius(coarse)["tas"].assign_attrs(units="K"))
    assert_close(emulator().downscale(wrong, {"tas": "degC"}), fine)


def test_each_day_is_downscaled_for_itself():
    days = dataset(SOURCES["regular"], days=71)
    whole = emulator().downscale(days)
    assert whole.sizes["time"] == 71
    parts = [emulator().downscale(days.isel(time=slice(a, b))) for a, b in ((0, 40), (40, 71))]
    assert_close(xr.concat(parts, "time"), whole)
    one = emulator().downscale(days.isel(time=[50]))
    assert_close(one, whole.isel(time=[50]))


@pytest.mark.parametrize("days_read", [9, 71])
def test_a_stream_gives_the_bytes_of_the_whole(days_read):
    days = dataset(SOURCES["regular"], days=71)
    days["tas"][:, 2, 3] = np.nan
    whole = emulator().downscale(days)
    stream = emulator().stream(days.chunk(time=days_read))
    parts = list(stream.parts)
    assert [part.sizes["time"] for part in parts] == [32, 32, 7]
    xr.testing.assert_identical(xr.concat(parts, "time"), whole)
    xr.testing.assert_identical(stream.time, whole[["time"]].drop_attrs(deep=False))


def test_a_stream_refuses_at_once_what_it_cannot_use(coarse):
    with pytest.raises(DataError, match="1 value is missing, the first in 'pr'"):
        emulator().stream(broken(coarse, "pr", time=3, lat=2, lon=2))


def test_days_of_a_calendar_of_360_days_are_kept(coarse):
    time = xr.date_range("2001-02-27", periods=6, calendar="360_day", use_cftime=True)
    result = emulator().downscale(coarse.assign_coords(time=time))
    assert result["time"].dt.calendar == "360_day"
    assert list(result.indexes["time"]) == list(time)


def test_the_season_matters(coarse, fine):
    later = coarse.assign_coords(time=coarse["time"] + np.timedelta64(182, "D"))
    assert np.abs(emulator().downscale(later)["tas"].values - fine["tas"].values).max() > 0.01


def test_the_height_of_the_source_is_used_where_it_is_known(coarse, fine):
    grid = SOURCES["regular"]
    orog = grid.dataarray(np.full(grid.size, 1500.0), attrs={"units": "m"})
    known = emulator().downscale(coarse.assign(orog=orog))
    assert np.abs(known["tas"].values - fine["tas"].values).max() > 0.01
    kilometres = (orog / 1000.0).assign_attrs(units="km")
    assert_close(emulator().downscale(coarse.assign(orog=kilometres)), known)


def test_a_height_that_is_repeated_every_day_is_understood(coarse):
    grid = SOURCES["regular"]
    orog = grid.dataarray(np.full(grid.size, 1500.0), attrs={"units": "m"})
    daily = coarse.assign(orog=orog.expand_dims(time=coarse["time"]))
    expected = emulator().downscale(coarse.assign(orog=orog))
    xr.testing.assert_identical(emulator().downscale(daily), expected)


def broken(ds, name, **index):
    values = ds[name].copy(deep=True)
    values[index] = np.nan
    return ds.assign({name: values})


def every(ds, step):
    """Return the dataset with its times a step apart."""
    time = xr.date_range("2001-01-01", periods=ds.sizes["time"], freq=step)
    return ds.assign_coords(time=time)


WRONG = {
    "absent": (lambda ds: ds.drop_vars("pr"), "'pr' is absent .*correct the name"),
    "no units": (
        lambda ds: ds.assign(ua850=ds["ua850"].drop_attrs()),
        "'ua850' has no units; state them",
    ),
    "other units": (
        lambda ds: ds.assign(tas=ds["tas"].assign_attrs(units="kg")),
        "'kg' of 'tas' cannot be turned into 'K'",
    ),
    "missing": (
        lambda ds: broken(ds, "pr", time=2, lat=3),
        "14 values are missing, the first in 'pr'; fill or leave out",
    ),
    "infinite": (
        lambda ds: ds.assign(tas=ds["tas"].where(ds["tas"] < ds["tas"].max(), np.inf)),
        "1 value is missing, the first in 'tas'",
    ),
    "no time": (lambda ds: ds.isel(time=0, drop=True), "'tas' has no dimension 'time'"),
    "twice, differing": (
        lambda ds: xr.concat([ds, ds.isel(time=[1]) + 1.0], "time", join="override"),
        "twice with different values .2001-03-29.; drop one",
    ),
    "no day": (lambda ds: ds.isel(time=slice(0)), "there is no time in it; check the file"),
    "no coordinates": (lambda ds: ds.drop_vars(["lat", "lon"]), "latitude"),
    "monthly": (lambda ds: every(ds, "MS"), "the values are monthly, but daily ones are needed"),
    "five-day means": (lambda ds: every(ds, "5D"), "the values are 5-daily, but daily ones"),
    "hourly": (lambda ds: every(ds, "h"), "the values are hourly, but daily ones are needed"),
}


@pytest.mark.parametrize("case", WRONG)
def test_a_source_that_cannot_be_used_is_answered_by_one_sentence(case, coarse):
    change, pattern = WRONG[case]
    with pytest.raises(DataError, match=f"^the dataset to downscale.*{pattern}") as caught:
        emulator().downscale(change(coarse))
    text = str(caught.value)
    assert "\n" not in text and text.endswith((".", '"'))


def test_parameters_of_another_network_are_refused(coarse):
    params = dict(emulator().params)
    name = next(iter(params))
    for changed, pattern in (
        ({**params, name: params[name][:-1]}, f"{name!r} has shape .*the network needs"),
        ({k: v for k, v in params.items() if k != name}, f"{name!r} is on one side only"),
        ({**params, "further": params[name]}, "'further' is on one side only"),
        ({**params, name: 1j * params[name]}, f"{name!r} holds complex64 numbers, the network"),
    ):
        with pytest.raises(GraphdownError, match=pattern):
            replace(emulator(), params=changed).downscale(coarse)


def test_a_target_that_is_no_predictor_starts_from_its_base(coarse):
    normaliser = replace(NORMALISER, targets=("tasmax", "pr"), base=(290.0, 0.0))
    domain = emulator().domain
    network = new_network(MODEL, domain, normaliser, seed=0)
    params = named_values(nnx.state(network))
    result = Emulator("base", MODEL, normaliser, domain, params).downscale(coarse)
    np.testing.assert_array_equal(result["tasmax"].values, np.float32(290.0))
    assert result["tasmax"].attrs["cell_methods"] == "time: maximum"
    assert jax.tree.all(jax.tree.map(lambda v: np.isfinite(v).all(), params))


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("suffix", [".nc", ".zarr"])
def test_what_is_written_is_read_as_whole(target, suffix, coarse, tmp_path):
    made = emulator(target).downscale(coarse)
    made["pr"] = made.pr.where(made.time > made.time[3], 0.0)
    write(made, tmp_path / f"own{suffix}", "the test")
    read, understood = read_files([str(tmp_path / f"own{suffix}")], Request(()))
    assert not understood.notes and {"tas", "pr"} <= set(read)
    for name in ("tas", "pr"):
        np.testing.assert_array_equal(read[name], made[name])
