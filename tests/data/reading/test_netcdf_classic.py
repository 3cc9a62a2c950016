import netCDF4
import numpy as np
import pytest
import xarray as xr

from graphdown.data.reading.netcdf_classic import expected_size

FORMATS = ["NETCDF3_CLASSIC", "NETCDF3_64BIT", "NETCDF3_64BIT_DATA"]


def written(path, ds, form, unlimited):
    """Write a dataset as xarray does, which knows the first two formats only."""
    with netCDF4.Dataset(path, "w", format=form) as file:
        for dim, size in ds.sizes.items():
            file.createDimension(dim, None if dim in unlimited else size)
        file.title = "any"
        for name, field in ds.variables.items():
            variable = file.createVariable(name, field.dtype, field.dims)
            variable.setncatts(field.attrs)
            variable[:] = field.values


@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize("unlimited", [[], ["time"]])
@pytest.mark.parametrize("names", ["a", "ab"])
def test_the_header_says_the_size_of_the_file(form, unlimited, names, tmp_path):
    values = np.arange(21, dtype=np.int16).reshape(7, 3)
    ds = xr.Dataset({name: (("time", "x"), values, {"note": "odd"}) for name in names})
    ds = ds.assign(b=ds.a.astype("f8")) if "b" in names else ds
    path = tmp_path / "a.nc"
    written(path, ds, form, unlimited)
    with open(path, "rb") as file:
        assert path.stat().st_size - 3 <= expected_size(file) <= path.stat().st_size
