"""Time and memory until `Emulator.downscale` of lazy years returns, and of writing some of them.

Example: python benchmarks/lazy.py

The network is that of configs/demo.yaml, untrained, on EUR-11; the source is dask arrays of a
global Gaussian grid of T127, a month a chunk, whose values are made when they are computed. The
first row ends when the lazy result is there; the second writes its first days to a zarr store with
dask's threads. Each is a process of its own; its memory is the peak beyond that of the emulator.
The table is written to benchmarks/results/lazy.md, the figures to lazy.json.
"""

import argparse
import json
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr
from child_process import measure_in_child, process_peak
from common_arguments import benchmark_parser, parse
from epoch import MEAN, PREDICTORS, SPREAD
from inference import target_grid
from results_table import markdown_table, page_head, write_results
from untrained import write_emulator

from meshes import Grid

LATITUDES = 192  # of a Gaussian grid of T127
MONTH = 32  # days
GOAL_SECONDS, GOAL_BYTES = 10.0, 1e9
UNITS = {"pr": "mm day-1", "psl": "Pa"}


def main() -> None:
    parser = benchmark_parser(__doc__, years=30, days=96, folder=None)
    parser.add_argument("--target", default="EUR-11", help="a catalogue's name, or cells of a side")
    parser.add_argument("--latitudes", type=int, default=LATITUDES, help="of the source's grid")
    options = parse(parser)
    if options.measure:
        print(json.dumps(measured(*options.measure)))
        return
    with tempfile.TemporaryDirectory(dir=options.folder) as folder:
        write_emulator(Path(folder) / "run", target_grid(options.target))
        rows = [
            {"what": what, **measure_in_child(__file__, folder, options.latitudes, *words)}
            for what, *words in (
                ("returns", options.years, 0),
                ("writes", options.years, options.days),
            )
        ]
    write(options, rows)


def measured(folder: str, latitudes: str, years: str, days: str) -> dict[str, Any]:
    """Return seconds, bytes and days of one case; without `days` nothing is written."""
    from graphdown.emulator.storage import load

    emulator = load(Path(folder) / "run")
    coarse = lazy_years(Grid.gaussian(int(latitudes)), int(years))
    before, start, cpu = process_peak(), time.perf_counter(), time.process_time()
    fine = emulator.downscale(coarse)
    if int(days):
        start, cpu = time.perf_counter(), time.process_time()
        fine.isel(time=slice(0, int(days))).to_zarr(Path(folder) / "out.zarr", zarr_format=2)
    seconds, cpu = time.perf_counter() - start, time.process_time() - cpu
    count = int(days) or fine.sizes["time"]
    peak = process_peak() - before
    return {"days": count, "seconds": seconds, "processor": cpu, "bytes": peak}


def lazy_years(grid: Grid, years: int) -> xr.Dataset:
    """Return years of daily predictors that are made chunk by chunk when they are computed."""
    import dask.array as da

    time = xr.date_range("1981-01-01", periods=365 * years, calendar="noleap", use_cftime=True)
    shape = (len(time), *grid.shape)
    like, fields = grid.dataarray(np.zeros(grid.size, np.float32)), {}
    for name in PREDICTORS:
        values = da.map_blocks(
            _weather,
            chunks=da.core.normalize_chunks((MONTH, -1, -1), shape),
            dtype=np.float32,
            mean=MEAN[name],
            spread=SPREAD[name],
            least=0.0 if name in ("pr",) or name.startswith("hus") else -np.inf,
        )
        attrs = {"units": units(name)}
        fields[name] = xr.DataArray(values, dims=("time", *grid.dims), attrs=attrs)
    return xr.Dataset(fields, {**like.coords, "time": time})


def units(name: str) -> str:
    from graphdown.variables.catalogue import describe

    return describe(name).units


def _weather(block_info: Any, mean: float, spread: float, least: float) -> np.ndarray:
    shape, (first, _) = block_info[None]["chunk-shape"], block_info[None]["array-location"][0]
    values = np.random.default_rng(first).standard_normal(shape, np.float32)
    return np.maximum(mean + spread * np.clip(values, -3, 3), least, dtype=np.float32)


def write(options: argparse.Namespace, rows: list[dict]) -> None:
    head = ("what", "days", "seconds", "goal", "processor s", "memory [GB]", "goal")
    goals = {"returns": (f"<= {GOAL_SECONDS:g}", f"<= {GOAL_BYTES / 1e9:g}")}
    table = [
        (r["what"], f"{r['days']:,}", f"{r['seconds']:.1f}", goals.get(r["what"], ("", ""))[0])
        + (f"{r['processor']:.1f}", f"{r['bytes'] / 1e9:.2f}", goals.get(r["what"], ("", ""))[1])
        for r in rows
    ]
    remark = f"A T127 source ({options.latitudes} latitudes), {len(PREDICTORS)} predictors."
    lines = [*page_head("Lazy downscaling to EUR-11", options), remark, ""]
    write_results(options, "lazy", [*lines, *markdown_table(head, table)], {"rows": rows})


if __name__ == "__main__":
    main()
