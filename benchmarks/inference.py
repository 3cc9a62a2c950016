"""Time `graphdown downscale` of daily EUR-11 fields beside the network alone, and its memory.

Example: python benchmarks/inference.py

The network is that of configs/demo.yaml, untrained, with two variables on EUR-11; the source is a
made-up Gaussian grid of 1.125 degrees. "Network" runs it on days in memory. Each figure is that of
a process of its own, and those of a repeat follow each other. Seconds are counted from the first
days that the network made to the end of the command: what comes before, benchmarks/start.py
measures. The table goes to benchmarks/results/inference.md, the figures to inference.json.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pandas as pd
import xarray as xr
from results_table import RESULTS, machine, markdown_table, process_peak, write_text
from untrained import write_emulator, write_source

from meshes import Grid

TARGET = "EUR-11"
ENDINGS = (".nc", ".zarr")
LONGER = 4
GOAL = 0.85


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--days", type=int, default=365)
    parser.add_argument("--repeats", type=int, default=3, help="processes for each rate")
    parser.add_argument("--folder", type=Path, help="for the made-up files; a temporary one")
    parser.add_argument("--measure", nargs="+", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.measure:
        kind, *words = options.measure
        print(json.dumps((network if kind == "network" else files)(*words)))
        return
    with tempfile.TemporaryDirectory(dir=options.folder) as folder:
        rows = measure(Path(folder), options)
    write(options, pd.DataFrame(rows))


def measure(folder: Path, options: argparse.Namespace) -> list[dict]:
    """Return days a second and the peak of memory in GiB of each process."""
    longest = LONGER * options.days
    write_emulator(folder / "run", Grid.named(TARGET))
    write_source(folder / "every.nc", Grid.named(TARGET), longest // 365 + 1)
    for days in (options.days, longest):
        with xr.open_dataset(folder / "every.nc") as ds:
            ds.isel(time=slice(0, days)).to_netcdf(folder / f"{days}.nc")
    own = [("network", "", options.days), *((e, e, options.days) for e in ENDINGS)]
    jobs = [(repeat, *job) for repeat in range(options.repeats) for job in own]
    jobs += [(0, f"{ending}, longer", ending, longest) for ending in ENDINGS]
    rows = []
    for repeat, name, ending, days in jobs:
        out = folder / f"out{ending}"
        words = [str(folder / "run"), str(folder / f"{days}.nc"), *([str(out)] if ending else [])]
        command = [sys.executable, __file__, "--measure", "files" if ending else "network", *words]
        environment = os.environ | {"GRAPHDOWN_CACHE": str(folder / "cache")}
        done = subprocess.run(
            command, check=True, stdout=subprocess.PIPE, text=True, env=environment
        )
        found = json.loads(done.stdout.splitlines()[-1])
        rows.append({"repeat": repeat, "name": name, "days": days, **found})
        print(rows[-1], flush=True)
    return rows


def network(run: str, source: str) -> dict:
    """Return the rate of the network on days in memory."""
    from graphdown.emulator.inference import BATCH
    from graphdown.emulator.storage import load
    from graphdown.runtime.batches import regrouped
    from graphdown.runtime.compilation_cache import keep_compiled
    from graphdown.variables.forcings import forcings

    keep_compiled()
    with xr.open_dataset(source) as ds:
        work = load(run).inference(ds, None, None, 0, 0)
        days = list(regrouped(work.values(), BATCH))
    batches = [(part, forcings(work.time.time[: len(part)]), np.arange(len(part))) for part in days]
    work.result(batches[0])
    count, start = sum(map(len, days[1:])), clocks()
    for batch in batches[1:]:
        work.result(batch)
    return rates(count, start)


def files(run: str, source: str, out: str) -> dict:
    """Return the rate of the command."""
    from dataclasses import replace

    from graphdown.cli import main as command
    from graphdown.emulator.emulator import Emulator
    from graphdown.emulator.inference import BATCH

    real, began = Emulator.stream, []

    def timed(*words, **options):
        stream = real(*words, **options)

        def counted():
            for part in stream.parts:
                began.append((clocks(), stream.time.sizes["time"]))
                yield part

        return replace(stream, parts=counted())

    Emulator.stream = timed
    command(["downscale", run, source, "-o", out, "--overwrite"])
    start, days = began[0]
    return rates(days - BATCH, start)


def clocks() -> np.ndarray:
    """Return the seconds by the clock and of the processors."""
    return np.asarray([time.perf_counter(), time.process_time()])


def rates(days: int, start: np.ndarray) -> dict:
    """Return days a second, processor seconds a day and the peak of memory in GiB."""
    clock, processor = clocks() - start
    peak = process_peak() / 2**30
    return {"rate": days / clock, "processor": processor / days, "peak": peak}


def write(options: argparse.Namespace, rows: pd.DataFrame) -> None:
    command = f"`python benchmarks/inference.py --days {options.days} --repeats {options.repeats}`"
    lines = [
        "# Downscaling to EUR-11",
        "",
        f"Command: {command}. Machine: {machine()}.",
        "",
        f"{Grid.named(TARGET).size:,} target points, two variables, daily. Rates are median and "
        "range; the ratio is of medians, to the network's alone. Memory is the largest peak "
        "(resident) of a process.",
        "",
    ]
    alone = rows[rows["name"] == "network"].rate.median()
    table = []
    for name, own in rows.groupby("name", sort=False):
        rate = own.rate
        spread = f"{rate.median():.2f} ({rate.min():.2f} to {rate.max():.2f})"
        goal = f">= {GOAL:g}" if name != "network" else ""
        ratio = f"{rate.median() / alone:.3f}"
        cells = [name, f"{own.days.iloc[0]}", spread, ratio, goal]
        table.append([*cells, f"{own.processor.median():.3f}", f"{own.peak.max():.2f}"])
    head = ("what", "days", "days a second", "of the network's", "goal")
    head = (*head, "processor s a day", "peak [GiB]")
    write_text("inference.md", lines + markdown_table(head, table))
    every = {"command": command, "machine": machine(), "processes": rows.to_dict("records")}
    (RESULTS / "inference.json").write_text(json.dumps(every, indent=1) + "\n", encoding="utf-8")
    print("\n".join(lines + markdown_table(head, table)))


if __name__ == "__main__":
    main()
