"""Made-up files of archives: names, levels, units and grids as there, random values of few days."""

import numpy as np
import xarray as xr

from meshes import Grid

LEVELS = (850, 700, 500)
RANGES = {
    "tas": (265, 300, "K"),
    "tasmax": (265, 305, "K"),
    "pr": (0, 3e-4, "kg m-2 s-1"),
    "psl": (98000, 104000, "Pa"),
    "t": (240, 285, "K"),
    "q": (1e-4, 8e-3, "kg kg-1"),
    "u": (-20, 20, "m s-1"),
    "v": (-20, 20, "m s-1"),
}
HEIGHTS = {850: 1500.0, 700: 3000.0, 500: 5600.0}
CMIP = {"ta": "t", "hus": "q", "ua": "u", "va": "v"}


def days(years, calendar="standard"):
    """The first days of some years, at noon."""
    cftime = calendar != "standard"
    parts = [
        xr.date_range(f"{y}-01-01T12:00:00", periods=3, calendar=calendar, use_cftime=cftime)
        for y in years
    ]
    return xr.DataArray(np.concatenate(parts), dims="time", name="time")


def field(grid, name, time, kind=None, level=None):
    """One variable [time, ...] with random values in its range."""
    random = np.random.default_rng([len(name), level or 0])
    if kind == "z":
        low, high, units = HEIGHTS[level] - 100, HEIGHTS[level] + 100, "m"
    else:
        low, high, units = RANGES[kind or name]
    values = random.uniform(low, high, (time.size, grid.size)).astype(np.float32)
    return grid.dataarray(values, name, ("time",), {"time": time}, {"units": units})


def write(path, ds):
    path.parent.mkdir(parents=True, exist_ok=True)
    ds.to_netcdf(path)


def cut_out(grid, **parts):
    whole = grid.dataarray(np.zeros(grid.size, np.float32), "mask")
    return Grid.from_dataset(whole.isel(parts).to_dataset())


CORDEX_YEARS = {"historical": (1961, 1996), "rcp85": (2081,)}
ALADIN = "EUR-11_CNRM-CERFACS-CNRM-CM5_{}_r1i1p1_CNRM-ALADIN63_v2"


def aladin_grid():
    """A few cells of a Lambert grid."""
    few = slice(50, 60)
    return cut_out(Grid.named("ALPS-12"), y=few, x=few)


def driver_grid():
    """The grid of CNRM-CM5 around Europe."""
    return Grid.gaussian(128, (-10.0, 30.0, 35.0, 65.0))


def cordex_files(folder, grid, run, *statics):
    """Files of a regional model, one for each variable and scenario."""
    for scenario, years in CORDEX_YEARS.items():
        span = f"{years[0]}0101-{years[-1]}1231"
        for name in ("tas", "pr"):
            ds = field(grid, name, days(years)).to_dataset()
            write(folder / f"{name}_{run.format(scenario)}_day_{span}.nc", ds)
    for name, units in zip(statics, ("m", "%"), strict=True):
        values = np.linspace(0, 100, grid.size, dtype=np.float32)
        ds = grid.dataarray(values, name).assign_attrs(units=units).to_dataset()
        path = f"{name}_{run.format('historical').replace('r1i1p1', 'r0i0p0')}_fx.nc"
        write(folder / path, ds)


def cmip_files(folder, grid):
    """Files of CNRM-CM5, levels from the ground up in Pa."""
    for scenario, years in CORDEX_YEARS.items():
        end = f"day_CNRM-CM5_{scenario}_r1i1p1_{years[0]}0101-{years[-1]}1231.nc"
        time = days(years)
        for name in ("tas", "pr", "psl"):
            write(folder / f"{name}_{end}", field(grid, name, time).to_dataset())
        for name in ("ta", "hus", "ua", "va", "zg"):
            kind = CMIP.get(name, "z")
            parts = [field(grid, name, time, kind, level) for level in LEVELS]
            plev = xr.DataArray(
                [100.0 * level for level in LEVELS], dims="plev", attrs={"units": "Pa"}
            )
            stacked = xr.concat(parts, plev.rename("plev")).transpose("time", "plev", ...)
            write(folder / f"{name}_{end}", stacked.to_dataset(name=name))
