"""Random files of one variable with one planted fault each, and honest ones beside them.

A file is drawn: variable, units, grid, calendar, stamps, packing, format and attributes. Its true
values are known in canonical units. A planted fault changes the file such that a reader who does
not look closely takes wrong values; it may end in a refusal, in a sentence that names what is
doubtful, or in the true values.
"""

import contextlib
import shutil
import traceback
import warnings
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

Random = np.random.Generator

# Name: (canonical units, least and greatest value, other units: canonical = value * a + b).
VARIABLES: dict[str, tuple[str, float, float, dict[str, tuple[float, float]]]] = {
    "tas": ("K", 255.0, 305.0, {"degC": (1.0, 273.15), "degF": (5 / 9, 255.372222)}),
    "tasmax": ("K", 260.0, 315.0, {"degC": (1.0, 273.15)}),
    "pr": ("mm day-1", 0.0, 60.0, {"kg m-2 s-1": (86400.0, 0.0), "m day-1": (1000.0, 0.0)}),
    "psl": ("Pa", 97000.0, 104500.0, {"hPa": (100.0, 0.0)}),
    "sfcWind": ("m s-1", 0.0, 25.0, {"km h-1": (1 / 3.6, 0.0), "knot": (0.5144444, 0.0)}),
    "huss": ("1", 0.0005, 0.02, {"g kg-1": (0.001, 0.0)}),
    "hurs": ("1", 0.1, 1.0, {"%": (0.01, 0.0)}),
    "rsds": ("W m-2", 0.0, 380.0, {"MJ m-2 day-1": (1e6 / 86400.0, 0.0)}),
    "ta850": ("K", 250.0, 300.0, {"degC": (1.0, 273.15)}),
    "zg500": ("m", 4900.0, 5950.0, {"m2 s-2": (1 / 9.80665, 0.0)}),
}
STANDARD_NAMES = {
    "tas": "air_temperature",
    "tasmax": "air_temperature",
    "pr": "precipitation_flux",
    "psl": "air_pressure_at_mean_sea_level",
    "sfcWind": "wind_speed",
    "huss": "specific_humidity",
    "hurs": "relative_humidity",
    "rsds": "surface_downwelling_shortwave_flux_in_air",
    "ta850": "air_temperature",
    "zg500": "geopotential_height",
}
METHODS = {"tasmax": "maximum"}
CALENDARS = ("standard", "proleptic_gregorian", "noleap", "360_day")
FORMATS = ("nc", "nc3", "zarr2", "zarr3")
DAY = 86400.0


@dataclass
class Drawn:
    """A file to be.

    Attributes:
        name: CF/CMIP name.
        ds: its contents, values in the file's units, times as numbers.
        truth: canonical values [time, y, x], NaN where missing.
        dates: of the times, as YYYY-MM-DD.
        format: one of FORMATS.
        packed: (scale, offset, fill) of packing, or nothing.
        parts: where it is cut into files along time.
        options: of the reader, such as `daily`.
    """

    name: str
    ds: xr.Dataset
    truth: np.ndarray
    dates: list[str]
    format: str
    packed: tuple[float, float, int] | None
    parts: tuple[int, ...]
    options: dict[str, Any] = field(default_factory=dict)


def draw(random: Random) -> Drawn:
    """Return an honest file."""
    name = str(random.choice(list(VARIABLES)))
    canonical, low, high, others = VARIABLES[name]
    units = str(random.choice([canonical, *others]))
    days, rows, columns = (int(n) for n in random.integers([20, 4, 5], [60, 9, 10]))
    shape = days, rows, columns
    wave = np.sin(np.arange(days) / 5.0)[:, None, None] + random.normal(0, 0.4, shape)
    share = np.clip(0.5 + 0.22 * wave, 0.0, 1.0)
    truth = low + (high - low) * (share**4 if name == "pr" else share)
    if name == "pr":
        truth[share < 0.4] = 0.0
    coords, dims = _grid(random, rows, columns)
    time, bounds, dates = _days(random, days)
    factor, offset = others.get(units, (1.0, 0.0))
    values = ((truth - offset) / factor).astype(np.float32)
    attrs = {"units": units, "cell_methods": f"time: {METHODS.get(name, 'mean')}"}
    if random.random() < 0.7:
        attrs["standard_name"] = STANDARD_NAMES[name]
    ds = xr.Dataset({name: (("time", *dims), values, attrs)}, {**coords, "time": time})
    if bounds is not None:
        ds["time_bnds"] = (("time", "bnds"), bounds)
        ds["time"].attrs["bounds"] = "time_bnds"
    missing = random.random() < 0.3
    if missing:
        ds[name][:, 0, : columns // 2] = np.nan
        truth[:, 0, : columns // 2] = np.nan
    packed = _packing(random, values) if random.random() < 0.3 else None
    parts = (int(random.integers(1, days)),) if random.random() < 0.3 else ()
    return Drawn(name, ds, truth, dates, str(random.choice(FORMATS)), packed, parts)


def _grid(random: Random, rows: int, columns: int) -> tuple[dict[str, Any], tuple[str, str]]:
    """Return coordinates of a regular or rotated grid, and its dimensions."""
    north, east = {"units": "degrees_north"}, {"units": "degrees_east"}
    lat = 42.0 + 0.5 * np.arange(rows)
    lon = float(random.choice([4.0, 350.0])) + 0.5 * np.arange(columns)
    if random.random() < 0.3:
        lat = lat[::-1]
    if random.random() < 0.7:
        names = ("lat", "lon") if random.random() < 0.6 else ("latitude", "longitude")
        return {names[0]: (names[0], lat, north), names[1]: (names[1], lon, east)}, names
    tilt = 0.1 * np.arange(columns)[None, :]
    places = (lat[:, None] + tilt, (lon[None, :] - 0.1 * np.arange(rows)[:, None]) % 360.0)
    dims = ("y", "x")
    return {"lat": (dims, places[0], north), "lon": (dims, places[1], east)}, dims


def _days(random: Random, days: int) -> tuple[Any, np.ndarray | None, list[str]]:
    """Return daily times as a variable, their bounds, and their dates."""
    import cftime

    calendar = str(random.choice(CALENDARS))
    units = f"days since {random.choice(['2001-01-01', '1949-12-01 00:00:00', '1850-01-01'])}"
    first = cftime.datetime(2001, int(random.integers(1, 12)), 3, calendar=calendar)
    start = float(cftime.date2num(first, units, calendar))
    begins = start + np.arange(days)
    dates = [str(d)[:10] for d in cftime.num2date(begins, units, calendar)]
    bounded = random.random() < 0.5
    hour = float(random.choice([0.0, 0.5, 1.0] if bounded else [0.0, 0.5]))
    attrs = {"units": units, "calendar": calendar, "standard_name": "time"}
    bounds = np.stack([begins, begins + 1.0], axis=-1) if bounded else None
    return ("time", begins + hour, attrs), bounds, dates


def _packing(random: Random, values: np.ndarray) -> tuple[float, float, int]:
    low, high = float(np.nanmin(values)), float(np.nanmax(values))
    return max((high - low) / 60000.0, 1e-12), (low + high) / 2.0, -32768


def write(drawn: Drawn, folder: Path) -> list[str]:
    """Write the files of a drawn one; return their paths in order."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    ends = [*drawn.parts, drawn.ds.sizes["time"]]
    paths = []
    for number, (begin, end) in enumerate(zip([0, *drawn.parts], ends, strict=True)):
        part = drawn.ds.isel(time=slice(begin, end))
        paths.append(_write(drawn, part, folder / f"part{number}"))
    return paths


def _write(drawn: Drawn, ds: xr.Dataset, stem: Path) -> str:
    encoding: dict[str, dict[str, Any]] = {n: {"_FillValue": None} for n in ds.variables}
    if drawn.packed is not None:
        scale, offset, fill = drawn.packed
        packing = {"dtype": "int16", "scale_factor": scale, "add_offset": offset}
        encoding[drawn.name] = {**packing, "_FillValue": fill}
    for name, values in ds.data_vars.items():
        if name != "time_bnds" and drawn.packed is None and np.isnan(values.values).any():
            encoding[str(name)] = {"_FillValue": np.float32(1e20)}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        if drawn.format in ("nc", "nc3"):
            kind = "NETCDF4" if drawn.format == "nc" else "NETCDF3_CLASSIC"
            ds.to_netcdf(f"{stem}.nc", format=kind, encoding=encoding)
            return f"{stem}.nc"
        version = int(drawn.format[-1])
        ds.to_zarr(f"{stem}.zarr", zarr_format=version, encoding=encoding)
        return f"{stem}.zarr"


@dataclass(frozen=True)
class Fault:
    """A kind of planted fault.

    Attributes:
        plant: changes a drawn file, given random numbers; None if it does not suit the file. What
            it returns has the true values that a careful reader would find.
        spoil: changes the written files; False if it does not suit them.
        curable: whether a careful reader can find the true values; else it has to refuse.
    """

    plant: Callable[[Drawn, Random], Drawn | None] = lambda drawn, random: drawn
    spoil: Callable[[list[str], Drawn, Random], bool] | None = None
    curable: bool = False


def _with(drawn: Drawn, values: np.ndarray) -> Drawn:
    ds = drawn.ds.copy()
    ds[drawn.name] = ds[drawn.name].copy(data=values.astype(np.float32))
    return replace(drawn, ds=ds, packed=None)


# In other units of the same label: what a value of the file's units becomes.
SLIPS = {
    "K": lambda v: v - 273.15,
    "degC": lambda v: v + 273.15,
    "Pa": lambda v: v / 100.0,
    "hPa": lambda v: v * 100.0,
    "1": lambda v: v * 1000.0,
    "g kg-1": lambda v: v * 1000.0,
    "m": lambda v: v * 9.80665,
}


def day_in_other_units(drawn: Drawn, random: Random) -> Drawn | None:
    units = drawn.ds[drawn.name].attrs["units"]
    if units not in SLIPS:
        return None
    values = drawn.ds[drawn.name].values.copy()
    day = int(random.integers(len(values)))
    values[day] = SLIPS[units](values[day])
    return _with(drawn, values)


def one_value_out(drawn: Drawn, random: Random) -> Drawn | None:
    values = drawn.ds[drawn.name].values.copy()
    place = tuple(int(random.integers(n)) for n in values.shape)
    values[place] = float(random.choice([-1.0, 1.0])) * 3e9
    return _with(drawn, values)


def negative_day(drawn: Drawn, random: Random) -> Drawn | None:
    if drawn.name not in ("pr", "sfcWind", "rsds"):
        return None
    values = drawn.ds[drawn.name].values.copy()
    day = int(random.integers(len(values)))
    values[day] = -np.abs(values[day]) - 0.5 * np.nanmax(values)
    return _with(drawn, values)


def wrong_label(drawn: Drawn, random: Random) -> Drawn | None:
    labels = {"K": "degC", "degC": "K", "Pa": "hPa", "hPa": "Pa", "g kg-1": "1", "m2 s-2": "m"}
    labels |= {"kg m-2 s-1": "mm day-1", "m day-1": "mm day-1", "%": "1", "degF": "K"}
    units = drawn.ds[drawn.name].attrs["units"]
    if units not in labels:
        return None
    ds = drawn.ds.copy()
    ds[drawn.name] = ds[drawn.name].assign_attrs(units=labels[units])
    return replace(drawn, ds=ds)


def no_units(drawn: Drawn, random: Random) -> Drawn | None:
    ds = drawn.ds.copy()
    ds[drawn.name] = ds[drawn.name].copy()
    del ds[drawn.name].attrs["units"]
    return replace(drawn, ds=ds)


def wrong_dimension(drawn: Drawn, random: Random) -> Drawn | None:
    ds = drawn.ds.copy()
    units = "kg" if drawn.name != "psl" else "degC"
    ds[drawn.name] = ds[drawn.name].assign_attrs(units=units)
    return replace(drawn, ds=ds)


def undeclared_fill(drawn: Drawn, random: Random) -> Drawn | None:
    code = float(random.choice([-999.0, -9999.0, 1e20, 9.96921e36, -32768.0]))
    values, truth = drawn.ds[drawn.name].values.copy(), drawn.truth.copy()
    column = int(random.integers(values.shape[2]))
    values[:, :, column], truth[:, :, column] = code, np.nan
    return replace(_with(drawn, values), truth=truth)


def time_twice(drawn: Drawn, random: Random) -> Drawn | None:
    day = int(random.integers(drawn.ds.sizes["time"]))
    order = np.concatenate([np.arange(drawn.ds.sizes["time"]), [day]])
    ds = drawn.ds.isel(time=order)
    values = ds[drawn.name].values.copy()
    values[-1] = values[-1] * 1.01 + 0.01
    return replace(_with(replace(drawn, ds=ds), values), parts=())


def other_method(drawn: Drawn, random: Random) -> Drawn | None:
    if drawn.name not in ("tas", "tasmax", "sfcWind", "hurs"):
        return None
    method = "minimum" if drawn.name in ("tasmax", "hurs") else "maximum"
    ds = drawn.ds.copy()
    ds[drawn.name] = ds[drawn.name].assign_attrs(cell_methods=f"time: {method}")
    return replace(drawn, ds=ds)


def hybrid_levels(drawn: Drawn, random: Random) -> Drawn | None:
    if drawn.name != "ta850":
        return None
    attrs = {
        "standard_name": "atmosphere_hybrid_sigma_pressure_coordinate",
        "units": "hPa",
        "formula_terms": "a: hyam b: hybm ps: ps",
    }
    ds = drawn.ds.rename(ta850="ta")
    ds["ta"] = ds["ta"].expand_dims({"lev": [850.0]}, axis=1)
    ds = ds.assign_coords(lev=("lev", [850.0], attrs))
    return replace(drawn, name="ta850", ds=ds, packed=None)


def along_the_grid(drawn: Drawn, random: Random) -> Drawn | None:
    if drawn.name != "sfcWind":
        return None
    attrs = {"units": "m s-1", "standard_name": "grid_eastward_wind"}
    field = drawn.ds["sfcWind"].drop_attrs().assign_attrs(attrs)
    return replace(drawn, name="uas", ds=drawn.ds.drop_vars("sfcWind").assign(uas=field))


def swapped_axes(drawn: Drawn, random: Random) -> Drawn | None:
    if "lat" not in drawn.ds or float(drawn.ds["lon"].max()) < 90.0:
        return None
    ds = drawn.ds.copy()
    lat, lon = ds["lat"], ds["lon"]
    if lat.ndim != 2:
        return None
    lat, lon = lon.assign_attrs(units="degrees_north"), lat.assign_attrs(units="degrees_east")
    return replace(drawn, ds=ds.assign_coords(lat=lat, lon=lon))


def lost_position(drawn: Drawn, random: Random) -> Drawn | None:
    name = str(random.choice([n for n in drawn.ds.coords if str(n).startswith("l")]))
    values = drawn.ds[name].values.copy()
    values.flat[int(random.integers(values.size))] = float(random.choice([np.nan, 1e20, -9999.0]))
    return replace(drawn, ds=drawn.ds.assign_coords({name: drawn.ds[name].copy(data=values)}))


def missing_time(drawn: Drawn, random: Random) -> Drawn | None:
    values = drawn.ds["time"].values.astype(np.float64)
    values[int(random.integers(len(values)))] = np.nan
    return replace(drawn, ds=drawn.ds.assign_coords(time=drawn.ds["time"].copy(data=values)))


def running_total(drawn: Drawn, random: Random) -> Drawn | None:
    """Hourly totals since a start that is drawn, labelled as amounts of a step."""
    if drawn.name != "pr" or drawn.ds["pr"].dims[1:] == ("y", "x"):
        return None
    truth, hours = np.nan_to_num(drawn.truth[:8]), 24
    weight = random.dirichlet(np.ones(hours), size=len(truth))
    hourly = (truth[:, None] * weight[..., None, None]).reshape(-1, *truth.shape[1:])
    every = int(random.choice([6, 24, len(hourly)]))
    blocks = [hourly[i : i + every].cumsum(axis=0) for i in range(0, len(hourly), every)]
    stamps = 1.0 / 24.0 * np.arange(1, len(hourly) + 1)
    attrs = {"units": "days since 2001-03-01", "calendar": "standard", "standard_name": "time"}
    values = np.concatenate(blocks).astype(np.float32)
    dims = drawn.ds["pr"].dims
    places = drawn.ds.drop_vars([n for n in drawn.ds.variables if "time" in drawn.ds[n].dims])
    label = {"units": "kg m-2", "standard_name": "precipitation_amount"}
    ds = places.assign(pr=(dims, values, label)).assign_coords(time=("time", stamps, attrs))
    dates = [f"2001-03-{day:02d}" for day in range(1, len(truth) + 1)]
    return replace(
        drawn, ds=ds, truth=truth, dates=dates, packed=None, parts=(), options={"daily": "mean"}
    )


def rolling_total(drawn: Drawn, random: Random) -> Drawn | None:
    """Totals of several hours at every hour, told by bounds alone."""
    made = running_total(drawn, random)
    if made is None:
        return None
    days, window = len(made.truth), int(random.choice([2, 3, 6]))
    hourly = np.repeat(made.truth / 24.0, 24, axis=0)
    hourly[:] = made.truth.mean(axis=0) / 24.0  # the same rain at every hour, so that days agree
    stamps = np.arange(1, 24 * days + 1) / 24.0
    values = np.full(hourly.shape, hourly * window, np.float32)
    ds = made.ds.copy()
    ds["pr"] = ds["pr"].copy(data=values).assign_attrs(cell_methods="time: sum")
    ds["time_bnds"] = (("time", "bnds"), np.stack([stamps - window / 24.0, stamps], axis=-1))
    ds["time"].attrs["bounds"] = "time_bnds"
    truth = np.repeat(made.truth.mean(axis=0)[None], days, axis=0)
    return replace(made, ds=ds, truth=truth)


def differing_overlap(drawn: Drawn, random: Random) -> Drawn | None:
    return replace(drawn, parts=()) if drawn.format == "nc" else None


def _overlap(paths: list[str], drawn: Drawn, random: Random) -> bool:
    """Add a file that holds some of the days with other values."""
    begin = int(random.integers(drawn.ds.sizes["time"] - 5))
    part = drawn.ds.isel(time=slice(begin, begin + 5)).copy(deep=True)
    part[drawn.name][int(random.integers(5))] *= 1.02
    other = replace(drawn, ds=part, packed=None)
    paths.append(_write(other, part, Path(paths[0]).with_name("again")))
    return bool(np.nanmax(np.abs(part[drawn.name].values)) > 0)


def cut_off(paths: list[str], drawn: Drawn, random: Random) -> bool:
    """Cut the end off a file."""
    path = Path(paths[-1])
    if path.is_dir():
        return False
    path.write_bytes(path.read_bytes()[: -max(1, path.stat().st_size // 3)])
    return True


def lost_chunk(paths: list[str], drawn: Drawn, random: Random) -> bool:
    """Remove a chunk of a zarr store."""
    folder = Path(paths[0]) / drawn.name
    chunks = [p for p in folder.rglob("*") if p.is_file() and p.name[0] not in ".z"]
    if not chunks:
        return False
    chunks[int(random.integers(len(chunks)))].unlink()
    return True


FAULTS = {
    "one day in other units": Fault(day_in_other_units),
    "one value out of range": Fault(one_value_out),
    "one day negative": Fault(negative_day),
    "wrong units": Fault(wrong_label),
    "no units": Fault(no_units),
    "units of another quantity": Fault(wrong_dimension),
    "undeclared fill code": Fault(undeclared_fill, curable=True),
    "a time twice, values differ": Fault(time_twice),
    "a time that is missing": Fault(missing_time),
    "another cell method": Fault(other_method),
    "hybrid levels": Fault(hybrid_levels),
    "wind along the grid": Fault(along_the_grid, curable=True),
    "latitude and longitude swapped": Fault(swapped_axes, curable=True),
    "a position that is missing": Fault(lost_position, curable=True),
    "running totals": Fault(running_total, curable=True),
    "rolling totals": Fault(rolling_total, curable=True),
    "files overlap and differ": Fault(differing_overlap, _overlap),
    "a file cut off": Fault(spoil=cut_off),
    "a chunk lost": Fault(spoil=lost_chunk),
}
HONEST = "nothing"


def drawn_with(kind: str, random: Random, folder: Path) -> tuple[Drawn, list[str]]:
    """Return a file with a fault of a kind, or an honest one, and the paths it is written to."""
    while True:
        drawn = draw(random)
        if kind == HONEST:
            return drawn, write(drawn, folder)
        fault = FAULTS[kind]
        planted = fault.plant(drawn, random)
        if planted is None:
            continue
        paths = write(planted, folder)
        if fault.spoil is None or fault.spoil(paths, planted, random):
            return planted, paths


def outcome_of(kind: str, drawn: Drawn, paths: list[str]) -> tuple[str, str]:
    """Return how reading a file with a fault of a kind ends, and its message.

    Returns:
        "refused"; "right", the true values; "doubted", other values beside a sentence that warns;
        "silent", other values without one; or "broken", an exception of another kind.
    """
    from graphdown.data.reading.fields import read_files
    from graphdown.data.reading.file_request import Request
    from graphdown.data.reading.rules import NOTICES
    from graphdown.errors import DataError

    warning = {*NOTICES, "hidden-cells", "amount-of-unknown-time"}

    try:
        ds, understood = read_files(paths, Request((drawn.name,), **drawn.options))
        with contextlib.closing(ds):
            found = ds.load()
    except DataError as error:
        return "refused", str(error)
    except Exception:
        return "broken", traceback.format_exc()
    notes = [str(note) for note in understood.notes if note.rule in warning]
    reason = difference(drawn, found)
    if not reason and kind != HONEST and not FAULTS[kind].curable:
        reason = "the first values that there are, which others contradict"
    if not reason:
        return "right", ""
    return ("doubted", "; ".join(notes)) if notes else ("silent", reason)


def difference(drawn: Drawn, found: xr.Dataset) -> str:
    """Return what differs between fields that were read and the true ones, empty if nothing."""
    field = found[drawn.name].transpose("time", ...)
    dates = [str(t)[:10] for t in found.indexes["time"]]
    if dates != drawn.dates:
        return f"dates {dates[:3]} ... ({len(dates)}), not {drawn.dates[:3]} ..."
    if field.shape != drawn.truth.shape:
        return f"shape {field.shape}, not {drawn.truth.shape}"
    size = float(np.nanmax(np.abs(drawn.truth)))
    spread = float(np.nanmax(drawn.truth) - np.nanmin(drawn.truth))
    allowed = 1e-5 * size + (2e-5 * spread if drawn.packed else 0.0)
    close = np.isclose(field.values, drawn.truth, rtol=0.0, atol=allowed, equal_nan=True)
    if close.all():
        return ""
    worst = np.unravel_index(int(np.argmin(close)), close.shape)
    return f"{field.values[worst]:.6g}, not {drawn.truth[worst]:.6g}, at {tuple(map(int, worst))}"
