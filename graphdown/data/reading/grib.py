"""GRIB's times (a forecast's start and the steps from it) to one time axis."""

import numpy as np
import xarray as xr

START, LEAD = "forecast_reference_time", "forecast_period"
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
