"""GRIB's times (a forecast's start and the steps from it) to one time axis, and its intervals."""

from collections import defaultdict
from collections.abc import Sequence

import numpy as np
import xarray as xr

from graphdown.data.reading.rules import refuse
from graphdown.data.reading.time_bounds import with_span

START, LEAD = "forecast_reference_time", "forecast_period"
STATISTICS = ("accum", "avg", "max", "min", "diff")  # step types of values over an interval
HOUR = 3600.0
SCALARS = ("number", "surface", "heightAboveGround", "meanSea", "entireAtmosphere")


def flat_in_time(ds: xr.Dataset) -> xr.Dataset:
    """Flatten a dataset from cfgrib to one dimension "time", that of the valid times.

    Forecasts keep their start (seconds) and lead (hours) as coordinates along time. Times stay
    undecoded. Without any step or time dimension the dataset is returned as it is.
    """
    out = ds.drop_vars([n for n in SCALARS if n in ds.coords and ds[n].ndim == 0])
    for variable in out.data_vars.values():
        if variable.attrs.get("standard_name") == "unknown":
            del variable.attrs["standard_name"]
    dims = [d for d in ("time", "step") if d in out.dims]
    if not dims or "valid_time" not in out.coords or "time" not in out.coords:
        return out.drop_vars([n for n in ("step", "time", "valid_time") if n in out.coords])
    valid, start, lead = (_along(out, name, dims) for name in ("valid_time", "time", "step"))
    attrs = out["valid_time"].attrs
    forecast = bool(np.any(lead != 0))
    out = out.drop_vars(["valid_time", "time", "step"])
    if len(dims) == 2:
        # Stacking reads the data unless they are dask arrays.
        out = out.chunk({dims[0]: 1}).stack(moment=dims, create_index=False)
        out = out.transpose("moment", ...)
    else:
        out = out.rename({dims[0]: "moment"})
    out = out.assign_coords(time=("moment", valid, attrs)).swap_dims(moment="time")
    out = out.drop_vars("moment", errors="ignore")
    if forecast:
        out = out.assign_coords({START: ("time", start), LEAD: ("time", lead)})
    return out


def _along(ds: xr.Dataset, name: str, dims: list[str]) -> np.ndarray:
    """Time coordinate flattened over all time dimensions."""
    like = xr.DataArray(np.zeros([ds.sizes[d] for d in dims]), dims=dims)
    field = ds[name].reset_coords(drop=True).drop_vars(list(ds[name].indexes), errors="ignore")
    return (like + field).transpose(*dims).values.ravel()


def with_step_ranges(datasets: Sequence[xr.Dataset], path: str) -> list[xr.Dataset]:
    """Datasets from `flat_in_time`, each field over intervals in one of its own, with them.

    Intervals are those of the step ranges of the file's messages.

    Raises:
        DataError: messages for one time cover different intervals.
    """
    if not any(_over_intervals(ds) for ds in datasets):
        return list(datasets)
    starts, out = _start_steps(path), []
    for ds in datasets:
        over = _over_intervals(ds)
        if len(over) < len(ds.data_vars):
            out.append(ds.drop_vars(over))
        out += [_with_step_range(ds[[name]], starts, path) for name in over]
    return out


def _over_intervals(ds: xr.Dataset) -> list[str]:
    if LEAD not in ds.coords:
        return []
    return [str(n) for n, v in ds.data_vars.items() if v.attrs.get("GRIB_stepType") in STATISTICS]


def _with_step_range(
    ds: xr.Dataset, starts: dict[tuple[int, str, float, float], set[float]], path: str
) -> xr.Dataset:
    name, field = next(iter(ds.data_vars.items()))
    kind = int(field.attrs["GRIB_paramId"]), str(field.attrs["GRIB_stepType"])
    lead = ds[LEAD].values.astype(np.float64)
    begins = np.full(lead.shape, np.nan)
    for i, (start, end) in enumerate(zip(ds[START].values, lead, strict=True)):
        found = sorted(starts.get((*kind, float(start), round(float(end) * HOUR)), ()))
        if len(found) > 1:
            ranges = " and ".join(f"{begin / HOUR:g}-{end:g}" for begin in found)
            raise refuse(
                "interval-ambiguous",
                f"{path}: messages of {str(name)!r} for one time cover different hours ({ranges}); "
                "keep one kind, as with grib_copy -w stepRange.",
            )
        begins[i] = found[0] if found else np.nan
    if np.isnan(begins).any():
        return ds
    return with_span(ds, begins - lead * HOUR, np.zeros(lead.shape))


def _start_steps(path: str) -> dict[tuple[int, str, float, float], set[float]]:
    """Starts of the intervals, seconds, by parameter, step type, start of forecast and end."""
    import cfgrib
    import eccodes

    starts = defaultdict(set)
    with open(path, "rb") as file:
        while (handle := eccodes.codes_grib_new_from_file(file, headers_only=True)) is not None:
            message = cfgrib.Message(handle)  # releases the handle
            kind = message["paramId"], message["stepType"]
            if kind[1] in STATISTICS:
                ends = [
                    cfgrib.cfmessage.from_grib_step(message, f"{key}:int") * HOUR
                    for key in ("startStep", "endStep")
                ]
                start = float(cfgrib.cfmessage.from_grib_date_time(message))
                starts[(*kind, start, round(ends[1]))].add(ends[0])
    return dict(starts)
