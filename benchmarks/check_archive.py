"""Run `graphdown check` on archives of 20 GB and note its peak memory and time.

Example: python benchmarks/check_archive.py --folder /tmp

Three archives are made in a new folder there, one after the other, and removed again: the same
few fields over and over, compressed, so that 20 GB of values take less than 3 GB of disk. The
table goes to benchmarks/results/check_archive.md.
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
from results_table import machine, markdown_table, write_text

from graphdown.cf.encoding import encodings
from meshes import Grid

GRID = Grid.regular(0.25, 0.25)
BYTES = 20e9
LIMIT_MB, LIMIT_S = 1000, 60
FIELDS = {  # name: units, mean, amplitude
    "tas": ("K", 285.0, 20.0),
    "pr": ("mm day-1", 3.0, 3.0),
    "psl": ("Pa", 101000.0, 2000.0),
    "ta850": ("K", 275.0, 15.0),
    "hus850": ("1", 0.006, 0.005),
}
DAY_BYTES = len(FIELDS) * GRID.size * 4
DAYS = int(np.ceil(BYTES / DAY_BYTES))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--folder", type=Path, default=Path(tempfile.gettempdir()))
    options = parser.parse_args()
    rows = []
    for name, make in ARCHIVES.items():
        with tempfile.TemporaryDirectory(dir=options.folder) as folder:
            work = Path(folder)
            # A process of its own: the peak of a child counts what its parent held before.
            with multiprocessing.get_context("spawn").Pool(1) as pool:
                pool.apply(make_target, (work / "target.nc",))
                given = pool.apply(make, (work / "archive",))
            rows.append((name, *sizes(work / "archive"), *measure(given, work / "target.nc")))
        print(" | ".join(rows[-1]), flush=True)
    write(rows)


def fields(days: int, grid: Grid, names: tuple[str, ...] = tuple(FIELDS)) -> xr.Dataset:
    """Return smooth fields that are the same every day, as they compress well."""
    time_axis = {"time": xr.date_range("2000-01-01", periods=days)}
    wave = np.sin(np.radians(3 * grid.lon)) * np.cos(np.radians(2 * grid.lat))
    made = {}
    for name in names:
        units, mean, amplitude = FIELDS[name]
        day = (mean + amplitude * np.round(wave, 3)).astype(np.float32)
        field = grid.dataarray(day, name, attrs={"units": units})
        made[name] = field.expand_dims(time_axis)  # one day in memory, however many there are
    return xr.Dataset(made)


def make_target(path: Path) -> None:
    fields(30, Grid.named("EUR-44")).to_netcdf(path)


def a_file_a_day(folder: Path) -> list[str]:
    folder.mkdir()
    packed = {"zlib": True, "complevel": 1, "chunksizes": (1, *GRID.shape)}
    write_like = folder / "day_00000.nc"
    fields(1, GRID).to_netcdf(write_like, encoding=dict.fromkeys(FIELDS, packed))
    for day in range(1, DAYS):
        shifted(write_like, folder / f"day_{day:05}.nc", day)
    return [str(folder / "day_*.nc")]


def a_file_per_variable_and_year(folder: Path) -> list[str]:
    folder.mkdir()
    packed = {"zlib": True, "complevel": 1, "chunksizes": (1, *GRID.shape)}
    for name in FIELDS:
        first = folder / f"{name}_0.nc"
        fields(365, GRID, (name,)).to_netcdf(first, encoding={name: packed})
        for year in range(1, -(-DAYS // 365)):
            shifted(first, folder / f"{name}_{year}.nc", 365 * year)
    return [str(folder / "*.nc")]


def shifted(first: Path, path: Path, days: int) -> None:
    """Copy a file and move its times by a number of days."""
    shutil.copyfile(first, path)
    with netCDF4.Dataset(path, "a") as file:
        file["time"][:] = file["time"][:] + days


def one_zarr(folder: Path) -> list[str]:
    """Make a store with the chunks that `graphdown downscale` writes."""
    encoding = encodings(fields(DAYS, GRID), zarr=True)
    step = encoding["tas"]["chunks"][0]
    fields(step, GRID).to_zarr(folder, zarr_format=2, consolidated=False, encoding=encoding)
    group = zarr.open_group(folder, mode="a", use_consolidated=False)
    for name in FIELDS:
        group[name].resize((DAYS, *GRID.shape))
        for chunk in sorted((folder / name).glob("0.*")):
            for later in range(1, -(-DAYS // step)):
                os.link(chunk, chunk.with_name(f"{later}.{chunk.name.split('.', 1)[1]}"))
    group["time"].resize((DAYS,))
    group["time"][:] = group["time"][0] + np.arange(DAYS)
    return [str(folder)]


ARCHIVES: dict[str, Callable[[Path], list[str]]] = {
    "netCDF, a file a day": a_file_a_day,
    "netCDF, a file per variable and year": a_file_per_variable_and_year,
    "one zarr": one_zarr,
}


def measure(given: list[str], target: Path) -> tuple[str, ...]:
    """Run the check; return the days understood, GB of values, peak memory and seconds."""
    command = [sys.executable, "-m", "graphdown", "check", *given, "--target", str(target)]
    started = time.perf_counter()
    with tempfile.TemporaryFile() as out:
        process = subprocess.Popen([*command, "--json"], stdout=out)
        _, status, used = os.wait4(process.pid, 0)
        seconds = time.perf_counter() - started
        out.seek(0)
        report = json.load(out)
    if status or not report["ok"]:
        raise SystemExit(f"The check failed: {report['problems']}")
    understood = report["understood"][0]
    if len(understood["variables"]) != len(FIELDS) or understood["times"] < DAYS:
        raise SystemExit(f"Not all was understood: {understood}")
    peak, cpu = used.ru_maxrss * 1024 / 1e6, used.ru_utime + used.ru_stime
    if peak > LIMIT_MB or seconds > LIMIT_S:
        print(f"Too much: {peak:.0f} MB, {seconds:.0f} s", file=sys.stderr)
    days = understood["times"]
    values = f"{days * DAY_BYTES / 1e9:.1f}"
    return str(days), values, f"{peak:.0f}", f"{seconds:.1f}", f"{cpu:.1f}"


def sizes(folder: Path) -> tuple[str, str]:
    """Return the number of files and the GB that they take on disk."""
    paths = [path for path in folder.rglob("*") if path.is_file()]
    blocks = {path.stat().st_ino: path.stat().st_blocks * 512 for path in paths}
    return str(len(paths)), f"{sum(blocks.values()) / 1e9:.2f}"


def write(rows: list[tuple[str, ...]]) -> None:
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
        "# `graphdown check` on archives of 20 GB",
        "",
        f"Command: `python benchmarks/check_archive.py`. Machine: {machine()}.",
        "",
        f"Daily global fields of 0.25 degrees ({' x '.join(map(str, GRID.shape))}), "
        f"{len(FIELDS)} variables, checked against a target file on EUR-44, each archive in a "
        "process of its own; memory is the largest resident set, times include Python's start. The "
        f"limits are {LIMIT_MB} MB and {LIMIT_S} s.",
        "",
        *markdown_table(head, rows),
    ]
    write_text("check_archive.md", lines)


if __name__ == "__main__":
    main()
