"""Time `graphdown downscale` of daily EUR-11 fields beside the network alone, and its memory.

Example: python benchmarks/inference.py

The network is that of configs/demo.yaml, untrained, with two variables on EUR-11; the source is a
synthetic Gaussian grid of 1.125 degrees. "Network" runs it on days in memory. Each figure is that
of a process of its own, and those of a repeat follow each other. Seconds are counted from the first
days of the network to the end of the command; benchmarks/start.py measures the time before. The
table is written to benchmarks/results/inference.md, the figures to inference.json.
"""

import argparse
import json
import tempfile
import time
from pathlib import Path

import numpy as np
import pandas as pd
import xarray as xr
from child_process import measure_in_child, process_peak
from common_arguments import benchmark_parser, parse
from results_table import markdown_table, median_and_range, page_head, write_results
from untrained import square, write_emulator, write_source

from meshes import Grid

ENDINGS = (".nc", ".zarr")
GOAL = 0.85


def main() -> None:
    parser = benchmark_parser(__doc__, days=365, repeats=3, folder=None)
    parser.add_argument("--target", default="EUR-11", help="a catalogue's name, or cells of a side")
    parser.add_argument(
        "--longer", type=int, default=4, help="times the days, for the memory of long inputs; or 1"
    )
    options = parse(parser)
    if options.measure:
        kind, *words = options.measure
        print(json.dumps((network if kind == "network" else files)(*words)))
        return
    with tempfile.TemporaryDirectory(dir=options.folder) as folder:
        rows = measure(Path(folder), options)
    write(options, pd.DataFrame(rows))


def measure(folder: Path, options: argparse.Namespace) -> list[dict]:
    """Return days a second and the peak of memory in GiB of each process."""
    target, longest = target_grid(options.target), options.longer * options.days
    write_emulator(folder / "run", target)
    write_source(folder / "years.nc", target, longest // 365 + 1)
    for days in {options.days, longest}:
        with xr.open_dataset(folder / "years.nc") as ds:
            ds.isel(time=slice(0, days)).to_netcdf(folder / f"{days}.nc")
    kinds = [("network", "", options.days), *((e, e, options.days) for e in ENDINGS)]
    jobs = [(repeat, *kind) for repeat in range(options.repeats) for kind in kinds]
    if options.longer > 1:
        jobs += [(0, f"{ending}, longer", ending, longest) for ending in ENDINGS]
    rows = []
    for repeat, name, ending, days in jobs:
        words = ["files" if ending else "network", folder / "run", folder / f"{days}.nc"]
        words += [folder / f"out{ending}"] if ending else []
        figures = measure_in_child(__file__, *words, GRAPHDOWN_CACHE=str(folder / "cache"))
        rows.append({"repeat": repeat, "name": name, "days": days, **figures})
        print(rows[-1], flush=True)
    return rows


def target_grid(name: str) -> Grid:
    return square(int(name)) if name.isdigit() else Grid.named(name)


def network(run: str, source: str) -> dict:
    """Return the rate of the network on days in memory."""
    from graphdown.emulator.inference import BATCH
    from graphdown.emulator.storage import load
    from graphdown.runtime.batches import regrouped
    from graphdown.runtime.compilation_cache import keep_compiled

    keep_compiled()
    with xr.open_dataset(source) as ds:
        inference = load(run).inference(ds, None, None, 0, 0)
        days = list(regrouped(inference.values(), BATCH))
    times = inference.time.time
    inference.blocks(days[0], times[: len(days[0])], inference.watch)
    count, start = sum(map(len, days[1:])), clocks()
    for part in days[1:]:
        inference.blocks(part, times[: len(part)], inference.watch)
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
    lines = [
        *page_head(f"Downscaling to {options.target}", options),
        f"{target_grid(options.target).size:,} target points, two variables, daily. Rates are "
        "median and range; the ratio is of medians, to the network's alone. Memory is the largest "
        "peak (resident) of a process.",
        "",
    ]
    alone = rows[rows["name"] == "network"].rate.median()
    table = []
    for name, part in rows.groupby("name", sort=False):
        goal = f">= {GOAL:g}" if name != "network" else ""
        ratio = f"{part.rate.median() / alone:.3f}"
        cells = [name, f"{part.days.iloc[0]}", median_and_range(part.rate, 2), ratio, goal]
        table.append([*cells, f"{part.processor.median():.3f}", f"{part.peak.max():.2f}"])
    head = ("measured", "days", "days a second", "of the network's", "goal")
    head = (*head, "processor s a day", "peak [GiB]")
    lines += markdown_table(head, table)
    write_results(options, "inference", lines, {"processes": rows.to_dict("records")})


if __name__ == "__main__":
    main()
