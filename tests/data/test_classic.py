import numpy as np
import pytest
import xarray as xr

from graphdown.data.classic import expected_size


@pytest.mark.parametrize("form", ["NETCDF3_CLASSIC", "NETCDF3_64BIT"])
@pytest.mark.parametrize("unlimited", [[], ["time"]])
@pytest.mark.parametrize("names", ["a", "ab"])
def test_the_header_says_the_size_of_the_file(form, unlimited, names, tmp_path):
    values = np.arange(21, dtype=np.int16).reshape(7, 3)
    ds = xr.Dataset({name: (("time", "x"), values, {"note": "odd"}) for name in names})
    ds = ds.assign(b=ds.a.astype("f8")) if "b" in names else ds
    path = tmp_path / "a.nc"
    ds.to_netcdf(path, format=form, unlimited_dims=unlimited)
    with open(path, "rb") as file:
        assert path.stat().st_size - 3 <= expected_size(file) <= path.stat().st_size
