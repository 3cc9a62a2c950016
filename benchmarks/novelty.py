"""Time downscaling with and without the distance from the training climate.

Example: python benchmarks/novelty.py

The same years are downscaled by an emulator that knows its training climate, so that the input is
looked at beforehand and the novelty of each day is written, and by one that does not, in turns in
one process. The network is that of configs/demo.yaml, untrained. The table is written to
benchmarks/results/novelty.md.
"""

import argparse
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import xarray as xr
from common_arguments import benchmark_parser, parse
from results_table import markdown_table, page_head, write_results
from untrained import square, write_emulator, write_source

GOAL = 5.0  # %
KINDS = ("with novelty", "without")


def main() -> None:
    parser = benchmark_parser(__doc__, side=128, repeats=5, years=2, folder=None)
    options = parse(parser)
    with tempfile.TemporaryDirectory(dir=options.folder) as folder:
        works = prepare(Path(folder), options)
        rows = time_turns(works, options.repeats)
    write(options, pd.DataFrame(rows))


def prepare(folder: Path, options: argparse.Namespace) -> dict[str, Callable[[], None]]:
    """Return the work of downscaling a file to a zarr store, with novelty and without."""
    from graphdown.downscaling.downscale import downscale_files
    from graphdown.downscaling.request import DownscaleRequest
    from graphdown.emulator.storage import load, save

    target = square(options.side)
    write_emulator(folder / "without", target)
    write_source(folder / "source.nc", target, options.years)
    plain = load(folder / "without")
    climate = climate_of_file(folder / "source.nc", plain)
    save(replace(plain, climate=climate), folder / "with" / "emulator")
    inputs = (str(folder / "source.nc"),)
    output = folder / "out.zarr"

    def work(run: Path) -> Callable[[], None]:
        request = DownscaleRequest(run, inputs, output, overwrite=True)
        return lambda: print(downscale_files(request), flush=True)

    return {KINDS[0]: work(folder / "with"), KINDS[1]: work(folder / "without")}


def climate_of_file(path: Path, emulator: object) -> object:
    """Return the climate of a file's days, as training fits it."""
    from graphdown import Emulator
    from graphdown.applicability.fit_climate import SourceRecord, fit_climate
    from graphdown.data.load import source_arrays

    assert isinstance(emulator, Emulator)
    names, transforms = emulator.normaliser.predictors, emulator.normaliser.predictor_transforms
    with xr.open_dataset(path) as ds:
        grid, values = source_arrays(ds, names, "the source")
        record = SourceRecord("source", grid, lambda: iter([values]), ds.time, held_out=False)
        domain = emulator.domain
        radius = domain.spec.encode_radius_km
        return fit_climate([record], names, transforms, domain.target, radius)


def time_turns(works: dict[str, Callable[[], None]], repeats: int) -> list[dict]:
    """Return wall-clock and processor seconds of each work by turns, after one that warms up."""
    for work in works.values():
        work()
    rows = []
    for repeat in range(repeats):
        for kind in np.roll(KINDS, repeat):
            start, busy = time.perf_counter(), time.process_time()
            works[str(kind)]()
            seconds = time.perf_counter() - start, time.process_time() - busy
            row = {"repeat": repeat, "kind": str(kind)}
            rows.append(row | dict(zip(("wall", "processor"), seconds, strict=True)))
    return rows


def write(options: argparse.Namespace, rows: pd.DataFrame) -> None:
    table = []
    for clock in ("wall", "processor"):
        seconds = rows.pivot(index="repeat", columns="kind", values=clock)
        extra = 100 * (seconds[KINDS[0]] / seconds[KINDS[1]] - 1).median()
        table.append([clock, *(f"{seconds[k].median():.2f}" for k in KINDS), f"{extra:+.1f} %"])
    lines = [
        *page_head("The cost of the distance from the training climate", options),
        f"{options.side} x {options.side} target cells, {options.years} year(s) of daily fields to "
        f"zarr, medians of {options.repeats} turns; extra: the median of the ratios of each turn. "
        f"Goal: at most {GOAL:g} %.",
        "",
        *markdown_table(("clock", *(f"{kind} (s)" for kind in KINDS), "extra"), table),
    ]
    write_results(options, "novelty", lines, {"turns": rows.to_dict("records")})


if __name__ == "__main__":
    main()
