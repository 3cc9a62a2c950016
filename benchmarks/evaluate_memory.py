"""Measure the memory that `graphdown evaluate` takes for more years and more cells.

Example: python benchmarks/evaluate_memory.py --sides 64 128 --years 2 8

Made-up files, a network that is trained for one step, fields kept on disk; the target is regular,
of 0.11 degrees, the source of 1.4 degrees has 8 predictors. Training has as many years as `--years`
validation one, the test half of them. The stages: `fit` of each baseline alone, then `evaluate` of
the run beside all of them. Each is a process of its own; the memory is the peak of the process,
what it takes before any data included (`import`).
The table is written to benchmarks/results/evaluate_memory.md, the figures to evaluate_memory.json.
"""

import argparse
import json
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from child_process import measure_in_child, process_peak
from common_arguments import benchmark_parser, parse
from results_table import markdown_table, page_head, write_results

PREDICTORS = ("tas", "pr", "psl", "ta850", "hus850", "ua850", "va850", "zg500")
TARGETS = ("tas", "pr")
METHODS = ("bilinear", "mean bias", "quantile mapping", "scaled delta", "ridge")
UNITS = {"tas": "K", "pr": "mm day-1", "psl": "Pa", "ta850": "K", "hus850": "1", "zg500": "m"}
SCALE = {"psl": (1e5, 800), "hus850": (5e-3, 1e-3), "zg500": (5600, 100), "pr": (0, 3)}
FIRST_YEAR = 1981
DAYS_AT_ONCE = 64


def main() -> None:
    parser = benchmark_parser(__doc__, methods=list(METHODS), folder=None)
    parser.add_argument("--sides", type=int, nargs="+", default=[64, 128], help="of the target")
    parser.add_argument("--years", type=int, nargs="+", default=[2, 8], help="of training")
    options = parse(parser)
    if options.measure:
        stage, run = options.measure
        print(json.dumps(measure(stage, Path(run))))
        return
    rows = []
    for side in options.sides:
        for years in options.years:
            with tempfile.TemporaryDirectory(dir=options.folder) as folder:
                rows += case(Path(folder), side, years, options.methods)
    write(options, rows)


def case(folder: Path, side: int, years: int, methods: list[str]) -> list[dict[str, Any]]:
    """Return a row for each stage of one size."""
    write_files(folder, side, years)
    stages = ["import", "train", *(f"fit {name}" for name in methods), "evaluate"]
    rows = []
    for stage in stages:
        size = {"side": side, "years": years}
        rows.append({**size, "stage": stage, **measure_in_child(__file__, stage, folder)})
        print(rows[-1], flush=True)
    return rows


def measure(stage: str, folder: Path) -> dict[str, float]:
    """Return the peak of memory in bytes and the seconds of a stage."""
    import graphdown.comparison as comparison
    import graphdown.training
    from graphdown.config.experiment_file import load_experiment
    from graphdown.data.load import load_data
    from graphdown.data.sample_store import store_folder
    from graphdown.runtime.scratch import Scratch

    started = time.monotonic()
    experiment = load_experiment(folder / "experiment.yaml")
    run = Path(experiment.output)
    if stage == "train":
        graphdown.training.train(experiment)
    if stage == "evaluate":
        comparison.evaluate_run(run)
    if stage.startswith("fit "):
        alone = replace(experiment, baselines=(stage.removeprefix("fit "),))
        data = load_data(experiment, store_folder(experiment, run))
        with Scratch(run, "make room") as scratch:
            fitted = comparison.fit_baselines(alone, data, scratch=scratch)
            assert not fitted.left_out, fitted.left_out
    return {"peak": process_peak(), "seconds": time.monotonic() - started}


def write_files(folder: Path, side: int, years: int) -> None:
    """Write the experiment and the files of its target and its source."""
    from meshes import Grid

    region = (2.0, 42.0, 2.0 + 0.11 * side, 42.0 + 0.11 * side)
    fine = Grid.regular(0.11, 0.11, region)
    west, south, east, north = region
    coarse = Grid.regular(1.4, 1.4, (west - 5, south - 4, east + 5, north + 4))
    last = FIRST_YEAR + years + max(1, years // 2)
    for year in range(FIRST_YEAR, last + 1):
        write_year(folder / f"fine_{year}.nc", fine, TARGETS, year, 0.4)
        write_year(folder / f"coarse_{year}.nc", coarse, PREDICTORS, year, 0.1)
    middle = FIRST_YEAR + years
    experiment = {
        "name": "made up",
        "output": str(folder / "run"),
        "predictors": list(PREDICTORS),
        "targets": list(TARGETS),
        "baselines": list(METHODS),
        "data": {
            "target": {"files": [str(folder / "fine_*.nc")]},
            "sources": [{"name": "gcm", "files": [str(folder / "coarse_*.nc")]}],
        },
        "periods": {
            "train": [str(FIRST_YEAR), str(middle - 1)],
            "validation": [str(middle), str(middle)],
            "test": [str(middle + 1), str(last)],
        },
        "graph": {"mesh_level": 6, "encode_radius_km": 350},
        "model": {"channels": 16, "rounds": 1, "target_channels": 16, "target_embedding": 4},
        "training": {"steps": 1, "batch_size": 8, "sample_storage": "disk"},
    }
    (folder / "experiment.yaml").write_text(yaml.safe_dump(experiment), encoding="utf-8")


def write_year(path: Path, grid: Any, names: tuple[str, ...], year: int, noise: float) -> None:
    """Write a year of waves that move over a grid, with noise, a few days at a time."""
    import xarray as xr

    from graphdown.variables.catalogue import describe

    random = np.random.default_rng(year)
    days = xr.date_range(f"{year}-01-01", f"{year}-12-31")
    x, y = np.radians(8 * grid.lon), np.radians(8 * grid.lat)
    waves = np.stack([np.sin(x), np.cos(y), np.sin(x + 2 * y), np.ones_like(x)]).astype("float32")
    weather = np.random.default_rng([year, 1]).normal(size=(len(days), len(PREDICTORS), len(waves)))
    fields = {}
    for place, name in enumerate(names):
        middle, spread = SCALE.get(name, (280.0 if describe(name).is_temperature else 0.0, 5.0))
        values = weather[:, place].astype("float32") @ waves
        values += noise * random.standard_normal(values.shape, dtype=np.float32)
        values = middle + spread * values
        values = np.maximum(values, 0.0) if name in ("pr", "hus850") else values
        units = {"units": UNITS.get(name, "m s-1")}
        fields[name] = grid.dataarray(values, name, ("time",), {"time": days}, units)
    xr.Dataset(fields).to_netcdf(path, engine="netcdf4")


def write(options: argparse.Namespace, rows: list[dict[str, Any]]) -> None:
    gib = 2.0**30
    first = {(row["side"], row["stage"]): row["peak"] for row in reversed(rows)}
    table = [
        [
            row["stage"],
            f"{row['side']} x {row['side']}",
            f"{row['years']}",
            f"{row['peak'] / gib:.2f}",
            f"{row['peak'] / first[row['side'], row['stage']]:.2f}",
            f"{row['seconds']:.0f}",
        ]
        for row in sorted(rows, key=lambda row: (row["side"], row["stage"], row["years"]))
    ]
    head = ("stage", "cells", "years", "peak [GiB]", "of the fewest years", "time [s]")
    lines = [
        *page_head("The memory of `graphdown evaluate`", options, ", shared with other work"),
        f"Two targets; {len(PREDICTORS)} predictors of a source of 1.4 degrees; years of training; "
        "a year of validation and half of the years of training are scored. `evaluate` is of all "
        f"of {', '.join(METHODS)} and the network. Peaks include what a process takes before any "
        "data, the row `import`.",
        "",
        *markdown_table(head, table),
    ]
    write_results(options, "evaluate_memory", lines, {"scores": rows})


if __name__ == "__main__":
    main()
