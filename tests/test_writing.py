import numpy as np
import pytest
import xarray as xr

from graphdown.errors import GraphdownError
from graphdown.writing import check_output, write
from meshes import Grid


@pytest.mark.parametrize("ending", ["nc", "zarr"])
def test_rotated_coordinates_and_attributes_are_written(ending, tmp_path):
    grid = Grid.rotated(-162.0, 39.25, np.arange(4.0), np.arange(3.0))
    time = xr.date_range("2000-01-01", periods=2)
    values = np.arange(24.0, dtype=np.float32).reshape(2, 12)
    attrs = {"units": "K", "standard_name": "air_temperature"}
    field = grid.dataarray(values, "tas", ("time",), {"time": time}, attrs)
    path = tmp_path / f"out.{ending}"
    for _ in range(2):
        write(field.to_dataset(), path, "graphdown downscale")
    assert [p.name for p in tmp_path.iterdir()] == [path.name]
    opened = xr.open_dataset(path, engine="netcdf4" if ending == "nc" else "zarr")
    with opened as ds:
        assert {"rlat", "rlon", "lat", "lon"} <= set(ds.variables)
        mapping = ds.tas.attrs.get("grid_mapping") or ds.tas.encoding["grid_mapping"]
        assert ds[mapping].attrs["grid_mapping_name"] == "rotated_latitude_longitude"
        assert ds.tas.attrs["standard_name"] == "air_temperature"
        assert ds.attrs["history"].endswith("graphdown downscale")
        np.testing.assert_array_equal(ds.tas.values.reshape(2, 12), values)


def test_outputs_that_cannot_be_written_are_refused(tmp_path):
    path = tmp_path / "a.nc"
    check_output(path, overwrite=False)
    path.touch()
    check_output(path, overwrite=True)
    for wrong, match in [
        (path, "--overwrite"),
        (tmp_path / "a.txt", "must end"),
        (tmp_path / "b" / "a.nc", "make it first"),
    ]:
        with pytest.raises(GraphdownError, match=match):
            check_output(wrong, overwrite=False)
