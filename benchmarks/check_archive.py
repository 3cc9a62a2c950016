"""Run `graphdown check` on archives of 20 GB and measure its peak memory and time.

Example: python benchmarks/check_archive.py --folder /tmp

Three archives are written to a new folder there, one after the other, and removed again: the same
few fields over and over, compressed, so that 20 GB of values take less than 3 GB of disk. The
table is written to benchmarks/results/check_archive.md.
"""

import argparse
import json
import multiprocessing
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import netCDF4
import numpy as np
import xarray as xr
import zarr
from common_arguments import benchmark_parser, parse
from results_table import markdown_table, page_head, write_results

from graphdown.cf.encoding import encodings
from meshes import Grid

GRID = Grid.regular(0.25, 0.25)
LIMIT_MB, LIMIT_S = 1000, 60
FIELDS = {  # name: units, mean, amplitude
    "tas": ("K", 285.0, 20.0),
    "pr": ("mm day-1", 3.0, 3.0),
    "psl": ("Pa", 101000.0, 2000.0),
    "ta850": ("K", 275.0, 15.0),
    "hus850": ("1", 0.006, 0.005),
}
DAY_BYTES = len(FIELDS) * GRID.size * 4


def main() -> None:
    parser = benchmark_parser(__doc__, folder=None)
    parser.add_argument("--gigabytes", type=float, default=20.0, help="of values in an archive")
    parser.add_argument("--archives", nargs="+", choices=ARCHIVES, default=list(ARCHIVES))
    options = parse(parser)
    days = int(np.ceil(1e9 * options.gigabytes / DAY_BYTES))
    rows = []
    for name in options.archives:
        with tempfile.TemporaryDirectory(dir=options.folder) as folder:
            work = Path(folder)
            # In a process of its own: the peak of a child includes the memory of its parent.
            with multiprocessing.get_context("spawn").Pool(1) as pool:
                pool.apply(make_target, (work / "target.nc",))
                inputs = pool.apply(ARCHIVES[name], (work / "archive", days))
            measured = measure(inputs, work / "target.nc", days)
            rows.append((name, *sizes(work / "archive"), *measured))
        print(" | ".join(rows[-1]), flush=True)
    write(options, rows)


def fields(days: int, grid: Grid, names: tuple[str, ...] = tuple(FIELDS)) -> xr.Dataset:
    """Return smooth fields that are the same every day, as they compress well."""
    time_axis = {"time": xr.date_range("2000-01-01", periods=days)}
    wave = np.sin(np.radians(3 * grid.lon)) * np.cos(np.radians(2 * grid.lat))
    variables = {}
    for name in names:
        units, mean, amplitude = FIELDS[name]
        day = (mean + amplitude * np.round(wave, 3)).astype(np.float32)
        field = grid.dataarray(day, name, attrs={"units": units})
        variables[name] = field.expand_dims(time_axis)  # one day in memory, not all of them
    return xr.Dataset(variables)


def make_target(path: Path) -> None:
    fields(30, Grid.named("EUR-44")).to_netcdf(path)


def a_file_a_day(folder: Path, days: int) -> list[str]:
    folder.mkdir()
    packed = {"zlib": True, "complevel": 1, "chunksizes": (1, *GRID.shape)}
    write_like = folder / "day_00000.nc"
    fields(1, GRID).to_netcdf(write_like, encoding=dict.fromkeys(FIELDS, packed))
    for day in range(1, days):
        shifted(write_like, folder / f"day_{day:05}.nc", day)
    return [str(folder / "day_*.nc")]


def a_file_per_variable_and_year(folder: Path, days: int) -> list[str]:
    folder.mkdir()
    packed = {"zlib": True, "complevel": 1, "chunksizes": (1, *GRID.shape)}
    for name in FIELDS:
        first = folder / f"{name}_0.nc"
        fields(min(days, 365), GRID, (name,)).to_netcdf(first, encoding={name: packed})
        for year in range(1, -(-days // 365)):
            shifted(first, folder / f"{name}_{year}.nc", 365 * year)
    return [str(folder / "*.nc")]


def shifted(first: Path, path: Path, days: int) -> None:
    """Copy a file and move its times by a number of days."""
    shutil.copyfile(first, path)
    with netCDF4.Dataset(path, "a") as file:
        file["time"][:] = file["time"][:] + days


def one_zarr(folder: Path, days: int) -> list[str]:
    """Write a store with the chunks that `graphdown downscale` writes."""
    encoding = encodings(fields(days, GRID), zarr=True)
    step = encoding["tas"]["chunks"][0]
    fields(step, GRID).to_zarr(folder, zarr_format=2, consolidated=False, encoding=encoding)
    group = zarr.open_group(folder, mode="a", use_consolidated=False)
    for name in FIELDS:
        group[name].resize((days, *GRID.shape))
        for chunk in sorted((folder / name).glob("0.*")):
            for later in range(1, -(-days // step)):
                os.link(chunk, chunk.with_name(f"{later}.{chunk.name.split('.', 1)[1]}"))
    group["time"].resize((days,))
    group["time"][:] = group["time"][0] + np.arange(days)
    return [str(folder)]


ARCHIVES: dict[str, Callable[[Path, int], list[str]]] = {
    "netCDF, a file a day": a_file_a_day,
    "netCDF, a file per variable and year": a_file_per_variable_and_year,
    "one zarr": one_zarr,
}


def measure(inputs: list[str], target: Path, days: int) -> tuple[str, ...]:
    """Run the check; return the days reported, GB of values, peak memory and seconds."""
    command = [sys.executable, "-m", "graphdown", "check", *inputs, "--target", str(target)]
    started = time.perf_counter()
    with tempfile.TemporaryFile() as out:
        process = subprocess.Popen([*command, "--json"], stdout=out)
        _, status, used = os.wait4(process.pid, 0)
        seconds = time.perf_counter() - started
        out.seek(0)
        report = json.load(out)
    if status or not report["ok"]:
        raise SystemExit(f"The check failed: {report['problems']}")
    source = report["understood"][0]
    if len(source["variables"]) != len(FIELDS) or source["times"] < days:
        raise SystemExit(f"Something is missing in the report: {source}")
    peak, cpu = used.ru_maxrss * 1024 / 1e6, used.ru_utime + used.ru_stime
    if peak > LIMIT_MB or seconds > LIMIT_S:
        print(f"Too much: {peak:.0f} MB, {seconds:.0f} s", file=sys.stderr)
    values = f"{source['times'] * DAY_BYTES / 1e9:.1f}"
    return str(source["times"]), values, f"{peak:.0f}", f"{seconds:.1f}", f"{cpu:.1f}"


def sizes(folder: Path) -> tuple[str, str]:
    """Return the number of files and the GB that they take on disk."""
    paths = [path for path in folder.rglob("*") if path.is_file()]
    blocks = {path.stat().st_ino: path.stat().st_blocks * 512 for path in paths}
    return str(len(paths)), f"{sum(blocks.values()) / 1e9:.2f}"


def write(options: argparse.Namespace, rows: list[tuple[str, ...]]) -> None:
    head = (
        "archive",
        "files",
        "GB on disk",
        "days",
        "GB of values",
        "peak MB",
        "s",
        "CPU s",
    )
    lines = [
        *page_head(f"`graphdown check` on archives of {options.gigabytes:g} GB", options),
        f"Daily global fields of 0.25 degrees ({' x '.join(map(str, GRID.shape))}), "
        f"{len(FIELDS)} variables, checked against a target file on EUR-44, each archive in a "
        "process of its own; memory is the largest resident set, times include Python's start. The "
        f"limits are {LIMIT_MB} MB and {LIMIT_S} s.",
        "",
        *markdown_table(head, rows),
    ]
    write_results(options, "check_archive", lines)


if __name__ == "__main__":
    main()
