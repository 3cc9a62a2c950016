"""Measure the memory that fits of baselines and scores take, for more years and more cells.

Example: python benchmarks/evaluate_memory.py --sides 64 128 --years 2 8

Made-up fields on disk: a regular target of 0.11 degrees with 2 variables, a source of 1.4 degrees
with 8 predictors. There are so many years to fit, half of them to score, and one as the historical
period. One process for each size runs through the stages: the fit of each baseline, the predictions
of all of them, which go to a file, and the scores. The memory of a stage is the peak of the process
in it, libraries and what was learned before included.
The table is written to benchmarks/results/evaluate_memory.md, the figures to
evaluate_memory.json.
"""

import argparse
import ctypes
import json
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from child_process import measure_in_child, process_peak
from common_arguments import benchmark_parser, parse
from results_table import markdown_table, page_head, write_results

PREDICTORS = ("tas", "pr", "psl", "ta850", "hus850", "ua850", "va850", "zg500")
TARGETS = ("tas", "pr")
METHODS = ("bilinear", "mean bias", "quantile mapping", "scaled delta", "ridge")
UNITS = {"tas": "K", "pr": "mm day-1"}
DAYS_AT_ONCE = 64
FIRST_YEAR = 1981


def main() -> None:
    parser = benchmark_parser(__doc__, methods=list(METHODS), folder=None)
    parser.add_argument("--sides", type=int, nargs="+", default=[64, 128], help="of the target")
    parser.add_argument("--years", type=int, nargs="+", default=[2, 8], help="to fit")
    options = parse(parser)
    if options.measure:
        folder, side, years, *methods = options.measure
        print(json.dumps(measure(Path(folder), int(side), int(years), methods)))
        return
    rows = []
    for side in options.sides:
        for years in options.years:
            with tempfile.TemporaryDirectory(dir=options.folder) as folder:
                size = {"side": side, "years": years}
                found = measure_in_child(__file__, folder, side, years, *options.methods)
                rows += [{**size, **row} for row in found]
                print(*rows[-len(found) :], sep="\n", flush=True)
    write(options, rows)


def measure(folder: Path, side: int, years: int, methods: list[str]) -> list[dict[str, Any]]:
    """Return the peak of memory in bytes and the seconds of each stage."""
    from graphdown.baselines import make_baselines
    from graphdown.evaluation import Case, score_cases
    from graphdown.runtime.scratch import Scratch

    rows: list[dict[str, Any]] = []

    def stage(name: str, started: float) -> None:
        row = {"stage": name, "peak": process_peak(), "seconds": time.monotonic() - started}
        rows.append(row)
        forget_peak()

    with Scratch(folder, "make room") as data, Scratch(folder, "make room") as made:
        first = FIRST_YEAR
        periods = []
        for length in (years, 1, max(1, years // 2)):
            periods.append([kept(data, side, first, length, fine) for fine in (False, True)])
            first += length
        (coarse, fine), (past, past_fine), (now, now_fine) = periods
        forget_peak()
        predictions: tuple[dict[str, Any], dict[str, Any]] = ({}, {})
        fitted = {}
        for name in methods:
            started = time.monotonic()
            (fitted[name],) = make_baselines([name])
            fitted[name].fit([(coarse, fine)], None, [(past, past_fine)], made)
            stage(f"fit {name}", started)
        started = time.monotonic()
        for days, of_period in zip((now, past), predictions, strict=True):
            for name, method in fitted.items():
                of_period[name] = made.keep(method.parts(days), days.sizes["time"])
        stage("predictions", started)
        started = time.monotonic()
        reference = predictions[1], past_fine
        maps = ("bias", "rmse", "signal_prediction", "signal_truth")
        case = Case("made up", True, now, now_fine, predictions[0], reference, maps)
        case.settle()
        assert len(score_cases([case]))
        stage("scores", started)
    return rows


def kept(scratch: Any, side: int, first: int, years: int, fine: bool) -> Any:
    """Made-up fields of a target or its source on disk, see the head."""
    from meshes import Grid

    west, south, east, north = 2.0, 42.0, 2.0 + 0.11 * side, 42.0 + 0.11 * side
    grid = Grid.regular(0.11, 0.11, (west, south, east, north))
    if not fine:
        grid = Grid.regular(1.4, 1.4, (west - 5, south - 4, east + 5, north + 4))
    names = TARGETS if fine else PREDICTORS
    return scratch.keep(parts(grid, names, first, years), 365 * years)


def parts(grid: Any, names: tuple[str, ...], first: int, years: int) -> Iterator[Any]:
    """Yield waves that move over a grid, with noise, some days at a time."""
    import xarray as xr

    index = xr.date_range(f"{first}-01-01", periods=365 * years, calendar="noleap", use_cftime=True)
    x, y = np.radians(8 * grid.lon), np.radians(8 * grid.lat)
    waves = np.stack([np.sin(x), np.cos(y), np.sin(x + 2 * y), np.ones_like(x)]).astype("float32")
    for start in range(0, len(index), DAYS_AT_ONCE):
        days = index[start : start + DAYS_AT_ONCE]
        weather = np.random.default_rng([first, start]).normal(size=(8, len(days), len(waves)))
        noise = np.random.default_rng([first, start, grid.size])
        fields = {}
        for place, name in enumerate(names):
            values = weather[place].astype("float32") @ waves
            values += 0.4 * noise.standard_normal(values.shape, dtype=np.float32)
            values = np.maximum(3 * values, 0.0) if name == "pr" else 280 + 3 * values
            units = {"units": UNITS.get(name, "1")}
            fields[name] = grid.dataarray(values, name, ("time",), {"time": days}, units)
        yield xr.Dataset(fields)


def forget_peak() -> None:
    """Reset the process's peak of memory."""
    ctypes.CDLL("libc.so.6").malloc_trim(0)
    Path("/proc/self/clear_refs").write_text("5", encoding="ascii")


def write(options: argparse.Namespace, rows: list[dict[str, Any]]) -> None:
    gib = 2.0**30
    few = {(row["side"], row["stage"]): row["peak"] for row in reversed(rows)}
    table = [
        [
            row["stage"],
            f"{row['side']} x {row['side']}",
            f"{row['years']}",
            f"{row['peak'] / gib:.2f}",
            f"{row['peak'] / few[row['side'], row['stage']]:.2f}",
            f"{row['seconds']:.0f}",
        ]
        for row in rows
    ]
    head = ("stage", "cells", "years", "peak [GiB]", "of the fewest years", "time [s]")
    lines = [
        *page_head("The memory of fits and scores", options, ", shared with other work"),
        f"{len(TARGETS)} targets, {len(PREDICTORS)} predictors of a source of 1.4 degrees, all on "
        "disk; so many years to fit, half of them and a historical year to score. Peaks are those "
        "of the whole process, libraries included.",
        "",
        *markdown_table(head, table),
    ]
    write_results(options, "evaluate_memory", lines, {"scores": rows})


if __name__ == "__main__":
    main()
