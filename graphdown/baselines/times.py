"""Bring coarse and fine data onto the same days."""

import xarray as xr


def on_common_times(coarse: xr.Dataset, fine: xr.Dataset) -> tuple[xr.Dataset, xr.Dataset]:
    """Return both datasets on the times that both hold, in ascending order.

    Raises:
        ValueError: no time coordinate, a time that occurs twice, or no time in common.
    """
    sides = {"coarse": coarse, "fine": fine}
    for side, ds in sides.items():
        if "time" not in ds.indexes or not ds.sizes["time"]:
            raise ValueError(f"The {side} data have no time coordinate, or an empty one.")
        index = ds.indexes["time"]
        if index.has_duplicates:
            twice = index[index.duplicated()][0]
            raise ValueError(f"The {side} data hold the time {twice} twice; drop the duplicates.")
    common = coarse.indexes["time"].intersection(fine.indexes["time"]).sort_values()
    if common.empty:
        spans = ", ".join(
            f"{side} from {ds.indexes['time'][0]} to {ds.indexes['time'][-1]}"
            for side, ds in sides.items()
        )
        raise ValueError(
            f"The coarse and the fine data have no time in common ({spans}); choose the same days, "
            "hour and calendar."
        )
    return coarse.sel(time=common), fine.sel(time=common)
