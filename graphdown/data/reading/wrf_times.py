"""Times of WRF output: text in `Times`, or numbers in `XTIME`, beside an axis without values."""

import re

import numpy as np
import xarray as xr

AXIS = "Time"
_STAMP = re.compile(r"(\d{4}-\d{2}-\d{2})_(\d{2}:\d{2}:\d{2})")


def with_wrf_times(ds: xr.Dataset) -> xr.Dataset:
    """Dataset with the values of its axis `Time`, unchanged unless it is output of WRF."""
    if AXIS not in ds.dims or AXIS in ds.variables:
        return ds
    if "Times" in ds.variables:
        stamps = _stamps(ds["Times"].values)
        if stamps is not None:
            return ds.assign_coords({AXIS: (AXIS, stamps)})
    if "XTIME" in ds.variables and ds["XTIME"].dims == (AXIS,):
        return ds.assign_coords({AXIS: (AXIS, ds["XTIME"].values, ds["XTIME"].attrs)})
    return ds


def _stamps(text: np.ndarray) -> np.ndarray | None:
    """Dates [time] of texts such as 2000-01-01_12:00:00, None if one is no such text.

    The characters of a text [time, length] are joined.
    """
    if text.dtype.kind != "S" or text.ndim not in (1, 2):
        return None
    joined = ["".join(np.char.decode(np.atleast_1d(row), "latin-1")) for row in text]
    found = [_STAMP.fullmatch(one.strip("\x00 ")) for one in joined]
    if not all(found):
        return None
    return np.array(["T".join(one.groups()) for one in found if one], "datetime64[ns]")
