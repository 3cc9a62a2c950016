"""Downscale a century and a half of days in one command that is killed on the way, and check it.

Example: python benchmarks/century.py

Target and network are those of configs/demo.yaml, the network untrained; the source is the embedded
world's unseen view, its years repeated under new dates. The command is started, killed with SIGKILL
at a random moment, and started again; the first kill falls into the first seconds, the others where
a random share of the days is done. Memory is the largest peak (resident) of these processes, beside
that of a process that downscales one year. Then the store is opened, a part of it checked by the CF
checker, and random stretches of it compared with the emulator's output for the same days in memory.
The table is written to benchmarks/results/century.md, the figures to century.json.
"""

import argparse
import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import xarray as xr
from child_process import process_peak
from common_arguments import benchmark_parser, parse
from results_table import markdown_table, page_head, write_results
from untrained import demo, normaliser

from graphdown.output.journal import Journal
from graphdown.output.store_plan import StorePlan

FIRST, VIEW = 1951, "shifted"
PER_FILE = 10  # years
POLL_S = 0.1
SOON_S, LATEST = 3.0, 0.9  # seconds that a kill waits, and the latest share that it waits for
STRETCHES = 5
GOAL = 1.2
ONE_YEAR = {"years": 1}  # a single year to downscale needs no leap year to repeat


def main() -> None:
    parser = benchmark_parser(__doc__, years=150, seed=0, side=48, folder=None)
    parser.add_argument("--kills", type=int, default=5)
    options = parse(parser)
    rng = np.random.default_rng(options.seed)
    with tempfile.TemporaryDirectory(dir=options.folder) as name:
        folder = Path(name)
        write_case(folder, options.years, options.side)
        watch(folder, f"coarse_{FIRST}.nc", "first.zarr")  # it compiles, the others need not
        figures: dict = {"one year": watch(folder, f"coarse_{FIRST}.nc", "year.zarr")}
        figures["years"] = kill_and_finish(folder, rng, options.kills)
        figures["store"] = check_store(folder, rng)
    write(options, figures)


def write_case(folder: Path, years: int, side: int) -> None:
    """Write an emulator, the years to downscale, ten in a file, and a file of the first one."""
    from flax import nnx

    from graphdown.data.synthetic import WorldSpec, make_world
    from graphdown.emulator.build_network import new_network
    from graphdown.emulator.domain import TargetDomain
    from graphdown.emulator.emulator import Emulator
    from graphdown.emulator.storage import save
    from graphdown.model import ModelSpec
    from graphdown.model.parameters import named_values
    from meshes import GraphSpec, Grid

    spec = WorldSpec(**demo()["data"]["world"] | {"size": side} | ({} if years > 1 else ONE_YEAR))
    world, model, statistics = make_world(spec), ModelSpec(**demo()["model"]), normaliser()
    target = Grid.from_dataset(world.truth[["tas"]])
    place = TargetDomain(target, world.statics, GraphSpec(**demo()["graph"]))
    network = new_network(model, place, statistics, seed=0)
    rng = np.random.default_rng(0)
    weights = {  # a last layer of zeros would hide what comes before it
        name: value + 0.1 * rng.normal(size=value.shape).astype(np.float32)
        for name, value in named_values(nnx.state(network)).items()
    }
    save(Emulator("century", model, statistics, place, weights), folder / "run" / "emulator")
    source = world.views[VIEW]
    for start in range(FIRST, FIRST + years, PER_FILE):
        span = range(start, min(start + PER_FILE, FIRST + years))
        parts = [redated(source, year) for year in span]
        whole = xr.concat(parts, "time", data_vars="minimal", coords="minimal", compat="override")
        whole.to_netcdf(folder / f"part_{start}.nc")
        if start == FIRST:
            parts[0].to_netcdf(folder / f"coarse_{FIRST}.nc")


def redated(source: xr.Dataset, year: int) -> xr.Dataset:
    """Return a year of the source under the dates of another one, of as many days."""
    days = xr.date_range(f"{year}-01-01T12", f"{year}-12-31T12")
    lengths = source.time.groupby("time.year").count()
    fitting = lengths.year.values[lengths.values == len(days)]
    return source.sel(time=str(fitting[year % len(fitting)])).assign_coords(time=days)


def command(inputs: str, output: str) -> list[str]:
    """Return the words of the command."""
    return [sys.executable, "-m", "graphdown", "downscale", "run", inputs, "-o", output]


def watch(folder: Path, inputs: str, output: str, kill=lambda *_: False) -> dict:
    """Run the command until it ends or is killed; return its seconds, peak and status.

    Args:
        folder: to run it in.
        inputs, output: of the command.
        kill: function of the seconds since the start that returns whether to kill the process now.
    """
    environment = os.environ | {"GRAPHDOWN_CACHE": str(folder / "cache")}
    start, peak = time.monotonic(), 0
    with subprocess.Popen(command(inputs, output), cwd=folder, env=environment) as process:
        while process.poll() is None:
            peak = max(peak, peak_of(process.pid))
            if kill(time.monotonic() - start):
                process.send_signal(signal.SIGKILL)
                process.wait()
            time.sleep(POLL_S)
    seconds = time.monotonic() - start
    return {"seconds": seconds, "peak": peak / 2**30, "status": process.returncode}


def peak_of(process: int) -> int:
    """Return the peak of memory of a process in bytes; 0 of one that has ended."""
    try:
        return process_peak(process)
    except (OSError, IndexError):
        return 0


def kill_and_finish(folder: Path, rng: np.random.Generator, kills: int) -> list[dict]:
    """Run the command, killing it a number of times; return the figures of each process."""
    shares = [0.0, *np.sort(rng.uniform(0, LATEST, max(kills - 1, 0)))]
    starts: list[dict] = []
    for share in shares[:kills]:
        moment = Moment(folder / "fine.zarr.part", share, rng.uniform(0, SOON_S))
        starts.append(watch(folder, "part_*.nc", "fine.zarr", moment))
        starts[-1]["done"] = share_done(folder / "fine.zarr.part")
        print(starts[-1], flush=True)
        assert not (folder / "fine.zarr").exists() and starts[-1]["status"] == -signal.SIGKILL
    starts.append(watch(folder, "part_*.nc", "fine.zarr"))
    print(starts[-1], flush=True)
    assert starts[-1]["status"] == 0
    return starts


class Moment:
    """The moment of a kill: a while after a share of the days is done."""

    def __init__(self, part: Path, share: float, wait: float) -> None:
        self._part, self._share, self._wait = part, share, wait
        self._reached: float | None = None

    def __call__(self, seconds: float) -> bool:
        if self._reached is None and share_done(self._part) >= self._share:
            self._reached = seconds
        return self._reached is not None and seconds >= self._reached + self._wait


def share_done(part: Path) -> float:
    """Return the share of the days that the journal lists as done."""
    plan, journal = StorePlan.read(part / "plan.json"), Journal.read(part / "1-of-1.json")
    return min(journal.done * plan.length / plan.days, 1.0) if plan else 0.0


def check_store(folder: Path, rng: np.random.Generator) -> dict:
    """Return the figures of the finished store."""
    from graphdown.data import open_fields
    from graphdown.emulator.inference import BATCH
    from graphdown.emulator.storage import load

    before, start = process_peak(), time.monotonic()
    fine = xr.open_zarr(folder / "fine.zarr")
    opened, more = time.monotonic() - start, process_peak() - before
    emulator = load(folder / "run")
    days = fine.sizes["time"]
    needed = emulator.normaliser.needed
    differing = 0
    with open_fields([str(folder / "part_*.nc")], needed, optional=["orog"]) as coarse:
        assert (coarse.time.values == fine.time.values).all()
        for first in rng.integers(0, days - BATCH, STRETCHES) // BATCH * BATCH:
            stretch = slice(int(first), int(first) + BATCH)
            direct = emulator.downscale(coarse.isel(time=stretch).compute())
            for name in emulator.targets:
                stored = fine[name].isel(time=stretch).values
                differing += int((stored != direct[name].values).sum())
    return {
        "days": days,
        "bytes": sum(p.stat().st_size for p in (folder / "fine.zarr").rglob("*") if p.is_file()),
        "raw": sum(fine[name].nbytes for name in emulator.targets),
        "opened_s": opened,
        "opened_bytes": more,
        "lazy": all(fine[name].chunks is not None for name in emulator.targets),
        "compared": STRETCHES * BATCH,
        "differing": differing,
        "left": sorted(p.name for p in folder.iterdir() if "fine.zarr" in p.name),
        "complaints": complaints(fine, folder / "part.nc"),
    }


def complaints(fine: xr.Dataset, path: Path) -> list[str]:
    """Return the CF checker's complaints about the store, of which some days are copied to netCDF.

    The checker reads no zarr of this format.
    """
    from compliance_checker.runner import CheckSuite

    fine.isel(time=slice(-30, None)).drop_encoding().to_netcdf(path, encoding=plain(fine))
    suite = CheckSuite()
    suite.load_all_available_checkers()
    dataset = suite.load_dataset(str(path))
    groups, crashes = suite.run_all(dataset, ["cf:1.10"])["cf:1.10"]
    dataset.close()
    failed = [g for g in groups if g.value is False or g.value[0] != g.value[1]]
    return [str(crash) for crash in crashes] + [m for group in failed for m in group.msgs]


def plain(fine: xr.Dataset) -> dict:
    """Return the fill values and times as they are in the store."""
    kept = ("_FillValue", "units", "calendar", "dtype")
    return {
        name: {"_FillValue": None} | {k: v for k, v in field.encoding.items() if k in kept}
        for name, field in fine.variables.items()
    }


def write(options: argparse.Namespace, figures: dict) -> None:
    year, starts, store = figures["one year"], figures["years"], figures["store"]
    peak = max(start["peak"] for start in starts)
    rows = [
        ["days", f"{store['days']:,}", ""],
        ["processes killed (SIGKILL)", str(sum(s["status"] < 0 for s in starts)), ""],
        ["share done when killed", ", ".join(f"{s['done']:.0%}" for s in starts[:-1]), ""],
        ["seconds of all processes", f"{sum(s['seconds'] for s in starts):.0f}", ""],
        ["peak of one year [GiB]", f"{year['peak']:.2f}", ""],
        ["largest peak [GiB]", f"{peak:.2f}", ""],
        ["ratio", f"{peak / year['peak']:.2f}", f"<= {GOAL:g}"],
        ["store [MiB]", f"{store['bytes'] / 2**20:.0f} ({store['bytes'] / store['raw']:.2f})", ""],
        ["opened lazily", f"{store['lazy']}, in {store['opened_s']:.2f} s", "True"],
        ["memory that opening took [MiB]", f"{store['opened_bytes'] / 2**20:.0f}", ""],
        ["complaints of the CF checker", str(len(store["complaints"])), "0"],
        [f"values that differ in {store['compared']} days", str(store["differing"]), "0"],
        ["left beside the store", str(len(store["left"]) - 1), "0"],
    ]
    lines = [
        *page_head(f"{options.years} years, killed {options.kills} times", options),
        "Daily tas and pr with the target and the untrained network of configs/demo.yaml; each "
        "start is `graphdown downscale run 'part_*.nc' -o fine.zarr`. In brackets, bytes beside "
        "those of float32. Random stretches of days are compared with the emulator's output in "
        "memory, bit for bit.",
        "",
        *markdown_table(("quantity", "measured", "goal"), rows),
    ]
    write_results(options, "century", lines, figures)


if __name__ == "__main__":
    main()
