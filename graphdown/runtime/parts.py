"""Datasets in parts of some days, so that memory does not grow with their length."""

from collections.abc import Iterator

import numpy as np
import xarray as xr

PART_BYTES = 64 * 2**20


def parts_of(ds: xr.Dataset, size: int = PART_BYTES) -> Iterator[xr.Dataset]:
    """Days of a dataset in parts, whole chunks where it has chunks.

    Args:
        ds: fields [time, ...].
        size: bytes of a part, about.
    """
    days = ds.sizes["time"]
    timed = [v for v in ds.data_vars.values() if "time" in v.dims]
    per_day = max(1, sum(4 * v.size for v in timed) // max(days, 1))
    most = max(1, size // per_day)
    chunks = ds.unify_chunks().chunksizes.get("time")
    ends = np.cumsum(chunks) if chunks else np.arange(most, days + most, most)
    start = 0
    for end, following in zip(ends, [*ends[1:], None], strict=True):
        if following is None or following - start > most:
            yield ds.isel(time=slice(start, int(end)))
            start = int(end)
