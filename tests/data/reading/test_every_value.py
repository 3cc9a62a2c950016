"""One bad value at any time and place of a file is found when it is read, in chunks of any size."""

import json
import os
from pathlib import Path

import numpy as np
import pytest
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st

from graphdown.cli import main
from graphdown.data.reading.fields import open_fields
from graphdown.errors import DataError

CASES = Path(os.environ.get("GRAPHDOWN_DATA", "")).parent / "cases"
DAYS, LAT, LON = 40, np.arange(44.0, 48.0), np.arange(4.0, 10.0)
TIME = xr.date_range("2001-01-01", periods=DAYS)
# Honest values, then one that is in other units or of another sign.
FAULTS = {
    "tas in degC": ("tas", "K", (270.0, 300.0), 12.0),
    "humidity in g/kg": ("huss", "1", (0.001, 0.02), 8.0),
    "rain below zero": ("pr", "mm day-1", (0.0, 30.0), -4.0),
    "pressure in hPa": ("psl", "Pa", (97000.0, 104000.0), 1013.0),
    "cover in %": ("clt", "1", (0.0, 1.0), 80.0),
    "wind in no unit": ("sfcWind", "m s-1", (0.0, 20.0), 400.0),
}


def field(name, units, bounds):
    shape = DAYS, len(LAT), len(LON)
    values = np.random.default_rng(0).uniform(*bounds, shape).astype(np.float32)
    coords = {"time": TIME, "lat": LAT, "lon": LON}
    return xr.DataArray(values, coords, name=name, attrs={"units": units}).to_dataset()


@settings(max_examples=25, deadline=None)
@given(data=st.data())
def test_one_bad_value_is_found_where_it_is(tmp_path_factory, data):
    name, units, bounds, wrong = FAULTS[data.draw(st.sampled_from(sorted(FAULTS)))]
    day = data.draw(st.integers(0, DAYS - 1))
    place = data.draw(st.integers(0, len(LAT) - 1)), data.draw(st.integers(0, len(LON) - 1))
    sizes = [data.draw(st.integers(1, n)) for n in (DAYS, len(LAT), len(LON))]
    ds = field(name, units, bounds)
    folder, ending = tmp_path_factory.mktemp("chunks"), data.draw(st.sampled_from(["nc", "zarr"]))
    honest, faulty = folder / f"honest.{ending}", folder / f"faulty.{ending}"
    write(ds, honest, sizes)
    assert np.array_equal(open_fields([str(honest)], [name])[name].values, ds[name].values)
    ds[name][day, place[0], place[1]] = wrong
    write(ds, faulty, sizes)
    date = str(TIME[day])[:10]
    with pytest.raises(DataError, match=date if day not in (0, 19, 39) else name) as caught:
        open_fields([str(faulty)], [name]).compute()
    assert caught.value.rule in ("out-of-range", "negative-precipitation")


def write(ds, path, sizes):
    if path.suffix == ".nc":
        ds.to_netcdf(path, encoding={n: {"chunksizes": sizes} for n in ds.data_vars})
    else:
        ds.to_zarr(
            path,
            mode="w",
            consolidated=False,
            encoding={n: {"chunks": sizes} for n in ds.data_vars},
        )


def test_one_file_of_many_is_found(tmp_path):
    ds = field("tas", "K", (270.0, 300.0))
    ds["tas"][23] -= 273.15
    for day in range(DAYS):
        ds.isel(time=[day]).to_netcdf(tmp_path / f"{day:02d}.nc")
    with pytest.raises(DataError, match="23.nc on 2001-01-24: 'tas' .* look like degC"):
        open_fields([str(tmp_path / "*.nc")], ["tas"]).compute()


def test_check_reads_a_few_times_and_says_so_or_all_of_them(tmp_path, capsys):
    ds = field("pr", "mm day-1", (0.0, 8.0))
    ds["pr"][7, 0, 0] = 127.3
    ds.to_netcdf(tmp_path / "rain.nc")
    main(["check", str(tmp_path / "rain.nc")])
    assert "in 3 of 40 times" in capsys.readouterr().out
    main(["check", str(tmp_path / "rain.nc"), "--full", "--json"])
    (rain,) = json.loads(capsys.readouterr().out)["understood"][0]["variables"]
    assert (rain["sampled"], round(rain["maximum"], 1)) == (0, 127.3)
    ds["pr"][7, 0, 0] = -127.3
    ds.to_netcdf(tmp_path / "rain.nc")
    with pytest.raises(SystemExit):
        main(["check", str(tmp_path / "rain.nc"), "--full"])
    assert "on 2001-01-08: 'pr' has values of -127.3" in capsys.readouterr().out


@pytest.mark.skipif(not CASES.is_dir(), reason="no folder of cases beside GRAPHDOWN_DATA")
def test_a_day_in_other_units_of_a_whole_source_is_refused():
    with pytest.raises(DataError, match="on 1991-01-08: 'tas' .* look like degC") as caught:
        open_fields([str(CASES / "demo_degc7.nc")], ["psl", "tas"]).compute()
    assert caught.value.rule == "out-of-range"
