"""Run the commands at a user's size, each in a process of its own, and measure what they take.

Example: python benchmarks/rehearsal.py --sizes small cut --years 2 8 --folder /scratch/rehearsal

The files are made up, with the names, grids, levels and compression of those that
configs/eurocordex.yaml asks for, the target on the rotated grid of EUR-11 as RACMO22E has it, the
driver on a Gaussian grid of 128 latitudes over Europe and the Atlantic, or the globe by `--world`.
Sizes are "small", 24 x 24 cells; "cut", 128 x 128 cells of files of the whole domain; and "whole",
412 x 424. There are so many years to train on, one to validate and at least one to test.

The experiment is that template's, with the regression of the target nodes, and all of its settings
can be changed by `--set`. Memory is the process's peak, the time of the CPU is that of all its
threads, and the disk is what the run's folder and its store hold after the stage. A stage that an
earlier start has measured is not run again, as long as `--folder` is the same.
The table is written to benchmarks/results/rehearsal.md, the figures to rehearsal.json.
"""

import argparse
import json
import os
import shlex
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from child_process import measure_in_child, process_peak
from common_arguments import benchmark_parser, parse
from results_table import markdown_table, page_head, write_results

FIRST_YEAR, SIDE, POLL_S = 1961, 24, 0.05
RUN = "historical_r1i1p1"
TARGET = "EUR-11_CNRM-CERFACS-CNRM-CM5"
RCM = "KNMI-RACMO22E_v2"
CUTS = {"small": {}, "cut": {"rlat": [130, 258], "rlon": [130, 258]}, "whole": {}}
SIZES = tuple(CUTS)
LEVELS = (100000, 85000, 70000, 50000, 25000, 10000, 5000, 1000)  # Pa
EUROPE = (-45.0, 22.0, 65.0, 80.0)  # of the driver: west, south, east, north
# Mean, spread, units and standard name; the mean of fields on levels is that at 850 hPa.
FIELDS: dict[str, tuple[float, float, str, str]] = {
    "tas": (283.0, 6.0, "K", "air_temperature"),
    "pr": (0.0, 3e-5, "kg m-2 s-1", "precipitation_flux"),
    "psl": (101300.0, 800.0, "Pa", "air_pressure_at_mean_sea_level"),
    "ta": (275.0, 5.0, "K", "air_temperature"),
    "hus": (0.005, 5e-4, "1", "specific_humidity"),
    "ua": (3.0, 6.0, "m s-1", "eastward_wind"),
    "va": (0.0, 6.0, "m s-1", "northward_wind"),
    "zg": (5500.0, 60.0, "m", "geopotential_height"),
}
ON_LEVELS = ("ta", "hus", "ua", "va", "zg")


def main() -> None:
    parser = benchmark_parser(__doc__, folder=None, steps=20, overrides=[])
    parser.add_argument("--sizes", nargs="+", choices=SIZES, default=["small"], help="of targets")
    parser.add_argument("--years", type=int, nargs="+", default=[2, 8], help="to train on")
    parser.add_argument("--around", type=int, default=64, help="mesh nodes of the regression")
    parser.add_argument("--world", action="store_true", help="the driver is global")
    options = parse(parser)
    if options.measure:
        folder, size, years, world = options.measure
        print(json.dumps(make_files(Path(folder), size, int(years), world == "True")))
        return
    with tempfile.TemporaryDirectory() as temporary:
        folder = (options.folder or Path(temporary)).resolve()
        rows: list[dict[str, Any]] = []
        for size in options.sizes:
            for years in options.years:
                rows += rehearse(folder, size, years, options)
                write(options, rows)


def rehearse(
    folder: Path, size: str, years: int, options: argparse.Namespace
) -> list[dict[str, Any]]:
    """Return the figures of each stage at a size."""
    domain = "small" if size == "small" else "whole"
    measure_in_child(__file__, folder / domain, domain, years, options.world)
    own = folder / f"{size}-{years}"
    own.mkdir(parents=True, exist_ok=True)
    experiment_file(own, folder / domain, size, years, options)
    known = own / "stages.json"
    rows: list[dict[str, Any]] = json.loads(known.read_text()) if known.exists() else []
    for stage, words in stages(folder / domain, years):
        if any(row["stage"] == stage for row in rows):
            continue
        figures = watch(own, stage, words)
        rows.append({"size": size, "years": years, "stage": stage, **figures})
        known.write_text(json.dumps(rows, indent=1))
        print(rows[-1], flush=True)
    return rows


def stages(files: Path, years: int) -> list[tuple[str, list[str]]]:
    """Return the name of each stage and the words of its command."""
    tested = test_years(years)
    driver = [str(files / f"*_day_CNRM-CM5_{RUN}_{year}0101-*.nc") for year in tested]
    return [
        ("check", ["check", "--experiment", "experiment.yaml"]),
        ("train", ["train", "experiment.yaml"]),
        ("evaluate", ["evaluate", "run"]),
        ("downscale", ["downscale", "run", *driver, "-o", "fine.zarr"]),
    ]


def watch(folder: Path, stage: str, words: list[str]) -> dict[str, Any]:
    """Run a command to its end; return its seconds, time of the CPU, peak and disk."""
    environment = os.environ | {"GRAPHDOWN_CACHE": str(folder / "cache")}
    command = [sys.executable, "-m", "graphdown", *words]
    started, peak = time.monotonic(), 0
    with (folder / f"{stage}.log").open("wb") as log:
        process = subprocess.Popen(command, cwd=folder, env=environment, stdout=log, stderr=log)
        ended = 0
        while not ended:
            time.sleep(POLL_S)
            peak = max(peak, peak_of(process.pid))
            ended, status, usage = os.wait4(process.pid, os.WNOHANG)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        last = (folder / f"{stage}.log").read_text(errors="replace")[-2000:]
        raise SystemExit(f"{shlex.join(command[2:])} in {folder} ended with {status}:\n{last}")
    return {
        "seconds": time.monotonic() - started,
        "cpu": usage.ru_utime + usage.ru_stime,
        "peak": peak,
        "disk": sum(path.stat().st_size for path in folder.rglob("*") if path.is_file()),
    }


def peak_of(process: int) -> int:
    """Return the peak of memory of a process in bytes; 0 of one that has ended."""
    try:
        return process_peak(process)
    except (OSError, IndexError):
        return 0


def spans(years: int) -> tuple[range, range, range]:
    """Return the years to train on, to validate, and to test."""
    train = range(FIRST_YEAR, FIRST_YEAR + years)
    test = range(train.stop + 1, train.stop + 1 + max(1, years // 4))
    return train, range(train.stop, train.stop + 1), test


def test_years(years: int) -> range:
    return spans(years)[2]


def experiment_file(
    own: Path, files: Path, size: str, years: int, options: argparse.Namespace
) -> None:
    """Write the experiment: the template's, with the files, the periods and fewer steps."""
    import yaml

    from graphdown.config.packaged import packaged_config

    raw = yaml.safe_load(packaged_config("eurocordex").read_text(encoding="utf-8"))
    train, validation, test = spans(years)
    raw |= {"output": "run", "name": f"rehearsal, {size}, {years} years"}
    target = {"files": [str(files / f"{name}_{TARGET}_*.nc") for name in ("tas", "pr")]}
    if CUTS[size]:
        target["cut"] = CUTS[size]
    target["statics"] = {
        name: {"file": str(fixed_file(files, name)), "variable": name} for name in ("orog", "sftlf")
    }
    driver = [str(files / f"{name}_day_CNRM-CM5_{RUN}_*.nc") for name in FIELDS]
    raw["data"] = {"target": target, "sources": [{"name": "CNRM-CM5", "files": driver}]}
    periods = {"train": train, "validation": validation, "test": test}
    raw["periods"] = {name: [str(span[0]), str(span[-1])] for name, span in periods.items()}
    raw["model"]["target_regression"] = options.around
    raw["training"] |= {"steps": options.steps, "validate_every": options.steps}
    for change in options.overrides:
        key, value = change.split("=", 1)
        *path, last = key.split(".")
        place = raw
        for step in path:
            place = place.setdefault(step, {})
        place[last] = yaml.safe_load(value)
    (own / "experiment.yaml").write_text(yaml.safe_dump(raw), encoding="utf-8")


def fixed_file(files: Path, name: str) -> Path:
    return files / f"{name}_{TARGET}_historical_r0i0p0_{RCM}_fx.nc"


def make_files(files: Path, domain: str, years: int, world: bool) -> dict[str, int]:
    """Write the files of all years that are not there yet; return their number."""
    from meshes import Grid

    files.mkdir(parents=True, exist_ok=True)
    fine = Grid.named("EUR-11")
    if domain == "small":
        rows, columns = (axis[200 : 200 + SIDE] for axis in rotated_axes(fine))
        fine = Grid.rotated(-162.0, 39.25, columns, rows)
    coarse = Grid.gaussian(128, None if world else EUROPE)
    for name in ("orog", "sftlf"):
        if not fixed_file(files, name).exists():
            keep(fixed(fine, name), fixed_file(files, name), name)
    last = spans(years)[2].stop
    for year in range(FIRST_YEAR, last):
        span = f"{year}0101-{year}1231"
        for name in ("tas", "pr"):
            path = files / f"{name}_{TARGET}_{RUN}_{RCM}_day_{span}.nc"
            if not path.exists():
                keep(days_of(fine, name, year, ()), path, name)
        for name in FIELDS:
            path = files / f"{name}_day_CNRM-CM5_{RUN}_{span}.nc"
            if not path.exists():
                keep(days_of(coarse, name, year, LEVELS if name in ON_LEVELS else ()), path, name)
    return {"files": len(list(files.glob("*.nc")))}


def rotated_axes(grid: Any) -> Iterator[np.ndarray]:
    """Yield rlat and rlon of a rotated grid."""
    from graphdown.cf.coordinates import cf_coordinates

    coords = cf_coordinates(grid).coords
    yield from (np.asarray(coords[name]) for name in ("rlat", "rlon"))


def keep(ds: Any, path: Path, name: str) -> None:
    """Write a file whole, compressed as on ESGF."""
    chunks = tuple(1 if d in ("time", "plev") else n for d, n in ds[name].sizes.items())
    encoding = {name: {"zlib": True, "complevel": 1, "shuffle": True, "chunksizes": chunks}}
    ds.to_netcdf(path.with_suffix(".part"), encoding=encoding, unlimited_dims=())
    path.with_suffix(".part").rename(path)


def waves(grid: Any) -> np.ndarray:
    """Return smooth patterns [N, 4]."""
    x, y = np.radians(8 * grid.lon), np.radians(8 * grid.lat)
    return np.stack([np.sin(x), np.cos(y), np.sin(x + 2 * y), np.ones_like(x)], axis=-1)


def fixed(grid: Any, name: str) -> Any:
    """Return made-up orography or land fraction."""
    height = 600.0 * (1.0 + np.sin(np.radians(60 * grid.lon)) * np.cos(np.radians(50 * grid.lat)))
    land = np.clip(height / 6.0, 0.0, 100.0)
    values, units = (height, "m") if name == "orog" else (land, "%")
    standard = "surface_altitude" if name == "orog" else "land_area_fraction"
    attrs = {"units": units, "standard_name": standard}
    return with_coordinates(grid, grid.dataarray(values.astype(np.float32), name, attrs=attrs))


def days_of(grid: Any, name: str, year: int, levels: tuple[int, ...]) -> Any:
    """Return a year of days of a made-up variable: waves that all share, and noise of its own."""
    import xarray as xr

    time_axis = xr.date_range(f"{year}-01-01T12", f"{year}-12-31T12", use_cftime=True)
    mean, spread, units, standard = FIELDS[name]
    place = list(FIELDS).index(name)
    shared = np.random.default_rng(year).normal(size=(len(time_axis), 4, 4)).astype(np.float32)
    noise = np.random.default_rng([year, place, grid.size])
    patterns = waves(grid).astype(np.float32)

    def values(number: int) -> np.ndarray:
        made = shared[:, (place + number) % 4] @ patterns.T
        made += 0.5 * noise.standard_normal(made.shape, dtype=np.float32)
        made *= np.float32(spread / 2)
        if name == "pr":
            return np.maximum(made, 0.0)
        return made + np.float32(mean)

    dims, coords = ("time",), {"time": time_axis}
    attrs = {"units": units, "standard_name": standard, "cell_methods": "time: mean"}
    if not levels:
        field = grid.dataarray(values(0), name, dims, coords, attrs)
        return with_coordinates(grid, field)
    stacked = np.stack([values(number) for number in range(len(levels))], axis=1)
    pressure = xr.Variable("plev", np.asarray(levels, float), {"units": "Pa", "positive": "down"})
    pressure.attrs["standard_name"] = "air_pressure"
    field = grid.dataarray(stacked, name, ("time", "plev"), {**coords, "plev": pressure}, attrs)
    return with_coordinates(grid, field)


def with_coordinates(grid: Any, field: Any) -> Any:
    """Return a field with its grid's coordinates, as a dataset."""
    from graphdown.cf.coordinates import cf_coordinates

    return field.to_dataset().assign_coords(cf_coordinates(grid).coords)


def write(options: argparse.Namespace, rows: list[dict[str, Any]]) -> None:
    gib = 2.0**30
    few: dict[tuple[str, str], int] = {}
    for row in rows:
        few.setdefault((row["size"], row["stage"]), row["peak"])
    cells = {"small": f"{SIDE} x {SIDE}", "cut": "128 x 128", "whole": "412 x 424"}
    table = [
        [
            row["stage"],
            cells[row["size"]],
            f"{row['years']}",
            f"{row['cpu']:.0f}",
            f"{row['seconds']:.0f}",
            f"{row['peak'] / gib:.2f}",
            f"{row['peak'] / few[row['size'], row['stage']]:.2f}",
            f"{row['disk'] / gib:.2f}",
        ]
        for row in rows
    ]
    head = ("stage", "cells", "years", "CPU [s]", "time [s]", "peak [GiB]", "of the fewest years")
    lines = [
        *page_head("The commands at a user's size", options, ", shared with other work"),
        f"configs/eurocordex.yaml with `model.target_regression: {options.around}`, "
        f"{options.steps} steps of training, one year of validation and a quarter of the training "
        "years, at least one, to test. `evaluate` scores the template's baselines and writes the "
        "report. The disk holds the run with its packed days and scores, the downscaled fields and "
        "compiled programs.",
        "",
        *markdown_table((*head, "disk [GiB]"), table),
    ]
    write_results(options, "rehearsal", lines, {"stages": rows})


if __name__ == "__main__":
    main()
