"""The time axis of downscaled fields: the source's times, their attributes and their bounds."""

import numpy as np
import xarray as xr

from graphdown.coordinates import bounds_label

KEPT_ATTRS = ("long_name", "comment")


def time_axis(time: xr.DataArray, source: xr.Dataset) -> xr.Dataset:
    """Return the coordinate `time` as CF wants it, with the source's bounds if it has any.

    Units and calendar stay in the encoding, where the source's file put them.

    Args:
        time: the times [time] that were downscaled, a selection of the source's.
        source: the dataset that they come from; its bounds are found by the attribute `bounds`.
    """
    attrs = {k: v for k, v in time.attrs.items() if k in KEPT_ATTRS}
    attrs |= {"standard_name": "time", "axis": "T"}
    variable = xr.Variable("time", time.variable, attrs, time.encoding)
    bounds = _bounds(time, source)
    if bounds is None:
        return xr.Dataset(coords={"time": variable})
    variable.attrs["bounds"] = "time_bnds"
    return xr.Dataset(coords={"time": variable, "time_bnds": (("time", "bnds"), bounds)})


def _bounds(time: xr.DataArray, source: xr.Dataset) -> np.ndarray | None:
    """Return the bounds [time, 2] as dates, None if the source has none of this shape."""
    label = bounds_label(source["time"].variable)
    if label not in source.variables:
        return None
    given = source[label]
    if "time" not in given.dims or given.ndim != 2 or given.dtype.kind not in "MO":
        return None
    place = source.indexes["time"].get_indexer(time.to_index())
    values = given.transpose("time", ...).values
    return values[place] if values.shape[1] == 2 and (place >= 0).all() else None
