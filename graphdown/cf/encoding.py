"""How fields are laid out in a file: chunks, compression, missing values, time.

Chunks: a variable of up to 2 MiB is one chunk. A larger one is cut into chunks of 1 to 2 MiB, into
as many parts along time as over space, so that a map and a time series touch about the same number
of chunks and neither reads the whole file; but what has to be in memory to write whole chunks, a
row of them over space, is at most 64 MiB and four years (or one chunk). Members of the driving
model, whose days are made one member after the other, have chunks of their own. Compression is
lossless. Fields that are missing at a point have the fill value 1e20 of CMIP there; coordinates and
bounds have no fill value, as CF demands. Dates are float64 since the source's reference date, in
the source's calendar.
"""

import math
import re
from collections.abc import Hashable, Iterable, Mapping
from typing import Any

import cftime
import numpy as np
import xarray as xr

from meshes.grids.conventions import bounds_label

DRIVING_MEMBER = "driving_member"
CHUNK_BYTES = 2 * 2**20
ROW_BYTES, ROW_TIMES = 64 * 2**20, 4 * 366
FILL_VALUE = 1e20
DEFAULT_UNITS = "days since 1850-01-01"
SINCE = re.compile(
    r"(day|hour|minute|second)s? since (\d{1,4})-(\d{1,2})-(\d{1,2})(?:[T ](\d{2}:\d{2}:\d{2}))?"
)


def encodings(ds: xr.Dataset, zarr: bool) -> dict[Hashable, dict[str, Any]]:
    """Return the encoding of every variable, for `Dataset.to_netcdf` or `to_zarr`.

    Args:
        ds: the fields with their coordinates.
        zarr: for zarr (format 2) instead of netCDF.
    """
    fields = set(ds.data_vars) - descriptions(ds)
    dates, days = _date_encoding(ds), _days_in_a_chunk([ds[name].variable for name in fields])
    out: dict[Hashable, dict[str, Any]] = {}
    for name, variable in ds.variables.items():
        encoding: dict[str, Any] = {}
        is_date = _is_date(variable)
        if is_date:
            encoding |= dates
        if is_date or variable.dtype.kind == "f":
            fill = variable.dtype.type(FILL_VALUE) if name in fields and not is_date else None
            encoding["_FillValue"] = fill
        if variable.ndim and (is_date or variable.dtype.kind in "fiu"):
            encoding |= _storage(variable, zarr, days if name in fields else None)
        if is_text(variable) and not zarr:
            encoding["dtype"] = "S1"  # arrays of characters: cdo knows no other text
        out[name] = encoding
    return out


def descriptions(ds: xr.Dataset) -> set[Hashable]:
    """Return the names of the variables that describe others: bounds and grid mappings."""
    bounds = {bounds_label(v) for v in ds.variables.values()} & set(ds.variables)
    return bounds | {n for n, v in ds.variables.items() if "grid_mapping_name" in v.attrs}


def is_text(variable: xr.Variable) -> bool:
    """Whether a variable holds text, such as the names of stations."""
    if variable.dtype.kind == "O":
        return all(isinstance(label, str) for label in variable.values.flat)
    return variable.dtype.kind in "US"


def chunk_sizes(sizes: Mapping[Hashable, int], itemsize: int) -> dict[Hashable, int]:
    """Return the chunk length along each dimension of a variable.

    Args:
        sizes: length of each dimension; all but "time" count as space.
        itemsize: bytes per value.
    """
    parts = dict.fromkeys(sizes, 1)
    if DRIVING_MEMBER in sizes and "time" in sizes:
        alone = chunk_sizes({d: n for d, n in sizes.items() if d != DRIVING_MEMBER}, itemsize)
        return {d: alone.get(d, 1) for d in sizes}
    if "time" in sizes and itemsize * math.prod(sizes.values()) > CHUNK_BYTES:
        moment = itemsize * math.prod(n for d, n in sizes.items() if d != "time")
        most = max(1, min(ROW_BYTES // moment, max(ROW_TIMES, CHUNK_BYTES // moment)))
        parts["time"] = math.ceil(sizes["time"] / most)

    def lengths() -> dict[Hashable, int]:
        return {d: math.ceil(sizes[d] / parts[d]) for d in sizes}

    while itemsize * math.prod(lengths().values()) > CHUNK_BYTES:
        along_time = parts.get("time", 1)
        over_space = math.prod(n for d, n in parts.items() if d != "time")
        length = lengths()
        splittable = sorted((d for d in sizes if length[d] > 1), key=lambda d: -length[d])
        if not splittable:
            break
        time_first = along_time <= over_space
        parts[min(splittable, key=lambda d: (d == "time") != time_first)] += 1
    return lengths()


def _days_in_a_chunk(fields: Iterable[xr.Variable]) -> int | None:
    """The least length in time of the chunks of some fields: all of them are written together."""
    sizes = [chunk_sizes(dict(v.sizes), v.dtype.itemsize) for v in fields if "time" in v.dims]
    return min((lengths["time"] for lengths in sizes), default=None)


def _storage(variable: xr.Variable, zarr: bool, days: int | None = None) -> dict[str, Any]:
    """Chunks and compression of a variable, with so many times in a chunk if that is stated."""
    sizes = chunk_sizes(dict(variable.sizes), variable.dtype.itemsize)
    if days is not None and "time" in sizes:
        sizes["time"] = days
    chunks = tuple(sizes[d] for d in variable.dims)
    if zarr:
        from numcodecs import Blosc

        compressor = Blosc(cname="zstd", clevel=5, shuffle=Blosc.SHUFFLE)
        return {"chunks": chunks, "compressors": (compressor,)}
    # The level of CMIP6's own files: level 4 takes half as long again to save 4 % of the bytes.
    return {"chunksizes": chunks, "zlib": True, "complevel": 1, "shuffle": True}


def _date_encoding(ds: xr.Dataset) -> dict[str, Any]:
    """Return units and calendar of dates: the source's, where its file said them usably."""
    if "time" not in ds.variables or not _is_date(ds["time"].variable):
        return {}
    kept, calendar = ds["time"].encoding, ds["time"].dt.calendar
    if calendar == "proleptic_gregorian" and kept.get("calendar") in ("standard", "gregorian"):
        calendar = "standard"
    units, found = DEFAULT_UNITS, SINCE.match(str(kept.get("units", "")))
    if found:
        unit, year, month, day, clock = found.groups()
        units = f"{unit}s since {int(year):04}-{int(month):02}-{int(day):02}"
        units += f" {clock}" if clock else ""
    return {"units": units, "calendar": calendar, "dtype": np.float64}


def _is_date(variable: xr.Variable) -> bool:
    if variable.dtype.kind == "O" and variable.size:
        return isinstance(variable[(0,) * variable.ndim].values.item(), cftime.datetime)
    return variable.dtype.kind == "M"
