"""The time axis of downscaled fields: the source's times, their attributes and their bounds."""

import numpy as np
import xarray as xr

from meshes.grids.conventions import bounds_label

KEPT_ATTRS = ("long_name", "comment")


def time_axis(time: xr.DataArray, *sources: xr.Dataset) -> xr.Dataset:
    """Return the coordinate `time` as CF wants it, with bounds [time, bnds] if there are any.

    Units and calendar stay in the encoding, where the source's file put them.

    Args:
        time: the times [time] that were downscaled.
        sources: datasets that may hold their bounds, under the name that the attribute `bounds`
            of their time gives; the first that does counts.
    """
    attrs = {k: v for k, v in time.attrs.items() if k in KEPT_ATTRS}
    attrs |= {"standard_name": "time", "axis": "T"}
    variable = xr.Variable("time", time.variable, attrs, time.encoding)
    found = (_bounds(time, source) for source in sources)
    bounds = next((values for values in found if values is not None), None)
    if bounds is None:
        return xr.Dataset(coords={"time": variable})
    variable.attrs["bounds"] = "time_bnds"
    return xr.Dataset(coords={"time": variable, "time_bnds": (("time", "bnds"), bounds)})


def _bounds(time: xr.DataArray, source: xr.Dataset) -> np.ndarray | None:
    """Return the bounds as dates [time, 2], None if the source does not have them."""
    if "time" not in source.indexes or not source.indexes["time"].is_unique:
        return None
    label = bounds_label(source["time"].variable)
    if label not in source.variables or source[label].dtype.kind not in "MO":
        return None
    place = source.indexes["time"].get_indexer(time.to_index())
    values = source[label].transpose("time", ...).values
    return values[place] if values.shape[1:] == (2,) and (place >= 0).all() else None
