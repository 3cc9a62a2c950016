"""Small files as users have them, each made awkward in one way."""

import numpy as np
import xarray as xr

LAT = np.arange(36.0, 46.0, 2.0)
LON = np.arange(-10.0, 6.0, 2.0)
RANGES = {"tas": (270.0, 300.0), "pr": (0.0, 1e-4), "ta": (260.0, 280.0), "psl": (99e3, 103e3)}
UNITS = {"tas": "K", "pr": "kg m-2 s-1", "ta": "K", "psl": "Pa"}


def make(
    *names, start="2000-01-01", days=10, calendar="standard", lat=LAT, lon=LON, seed=0, freq="D"
):
    """Return a CMIP-like dataset with the named variables [time, lat, lon]."""
    random = np.random.default_rng(seed)
    cftime = calendar not in ("standard", "proleptic_gregorian")
    time = xr.date_range(start, periods=days, freq=freq, calendar=calendar, use_cftime=cftime)
    fields = {}
    for name in names or ("tas",):
        values = random.uniform(*RANGES[name], (days, len(lat), len(lon))).astype("float32")
        fields[name] = (("time", "lat", "lon"), values, {"units": UNITS[name]})
    coords = {
        "time": time,
        "lat": ("lat", lat, {"units": "degrees_north", "standard_name": "latitude"}),
        "lon": ("lon", lon, {"units": "degrees_east", "standard_name": "longitude"}),
    }
    return xr.Dataset(fields, coords, {"source_id": "TEST-1"})


def levels(values, units="Pa", name="plev", **options):
    """Return ta on pressure levels; each level's values are its pressure in hPa / 10 + 200."""
    ds = make("ta", **options)
    factor = {"hPa": 1.0, "Pa": 0.01}.get(units, 0.01 if max(values) > 1100 else 1.0)
    stacked = ds.ta * 0 + xr.DataArray(np.asarray(values) * factor / 10 + 200, dims=name)
    attrs = {} if units is None else {"units": units}
    out = stacked.transpose("time", name, ...).assign_attrs(units="K").to_dataset(name="ta")
    return out.assign_coords({name: (name, np.asarray(values, float), attrs)})
