"""Bring coarse and fine data onto the same days, and part them."""

from collections.abc import Mapping, Sequence
from typing import TypeVar

import numpy as np
import xarray as xr

T = TypeVar("T")

Pair = tuple[xr.Dataset, xr.Dataset]  # coarse and fine
HELD_BACK = 5  # without a validation pair, the last 1/5 of the days chooses


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
    # A dataset that is in order already is not copied: many sources may share one target.
    first, second = (
        ds if ds.indexes["time"].equals(common) else ds.sel(time=common) for ds in (coarse, fine)
    )
    return first, second


def held_back(pairs: Sequence[Pair], purpose: str) -> tuple[list[Pair], list[Pair]]:
    """Return the first days of each pair, and the last 1/HELD_BACK of them.

    Raises:
        ValueError: a pair has too few days for that; the message names the purpose.
    """
    first: list[Pair] = []
    last: list[Pair] = []
    for coarse, fine in pairs:
        days = fine.sizes["time"]
        if days < HELD_BACK:
            raise ValueError(
                f"{days} common days are too few to hold back the last 1/{HELD_BACK} for "
                f"{purpose}; give more days or a validation pair."
            )
        begin = days - days // HELD_BACK
        for part, group in ((slice(None, begin), first), (slice(begin, None), last)):
            group.append((coarse.isel(time=part), fine.isel(time=part)))
    return first, last


def seasons(time: xr.DataArray) -> dict[str, np.ndarray]:
    """Return the days of each season (DJF, MAM, JJA, SON) that occurs, as indices."""
    names = time.dt.season.values
    return {str(name): np.flatnonzero(names == name) for name in np.unique(names)}


def of_season(fitted: Mapping[str, T], season: str, method: str) -> T:
    """Part of a fit that belongs to a season.

    Raises:
        ValueError: no fitted day lies in it.
    """
    if season not in fitted:
        raise ValueError(
            f"The baseline {method!r} was fitted to days in {', '.join(fitted)} and cannot be "
            f"applied to days in {season}; fit it on days of that season too."
        )
    return fitted[season]
