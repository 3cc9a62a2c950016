"""Open every gridded file of a folder as a Grid, build graphs to EUR-11, and tabulate both.

Example: GRAPHDOWN_DATA=../shared/data python benchmarks/grids.py

The table is written to benchmarks/results/grids.md. A graph is built from every grid that covers
the target and all of the margin; GRIB files need the extra "grib".
"""

import argparse
import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr
from common_arguments import benchmark_parser, parse
from results_table import markdown_table, page_head, write_results

import meshes
from meshes.geometry.sphere import normalise, tangent_frame
from meshes.graphs.cell_search import in_cells

SAMPLES = 100_000
HEAD = (
    "file", "variables", "kind", "nodes", "spacing [km]", "area / sphere", "area / covered",
    "open [s]", "covers target", "covers margin", "graph [s]", "graph CPU [s]", "edges",
)  # fmt: skip


def main() -> None:
    parser = benchmark_parser(__doc__)
    data = os.environ.get("GRAPHDOWN_DATA")
    parser.add_argument("--folder", type=Path, default=data, required=data is None)
    parser.add_argument("--target", default="EUR-11", help="a grid of the catalogue")
    options = parse(parser)
    target = meshes.Grid.named(options.target)
    rows = []
    for path in sorted(options.folder.iterdir()):
        if path.suffix in (".nc", ".grib"):
            for row in table_rows(path, target):
                rows.append(row)
                print(" | ".join(row), flush=True)
    write(options, rows)


def open_file(path: Path) -> xr.Dataset:
    if path.suffix == ".grib":
        # Without an index path nothing is written beside the data.
        return xr.open_dataset(path, engine="cfgrib", backend_kwargs={"indexpath": ""})
    return xr.open_dataset(path, decode_times=False, engine="netcdf4")


def table_rows(path: Path, target: meshes.Grid) -> Iterator[tuple[str, ...]]:
    with open_file(path) as ds:
        grids, seconds, _ = timed(lambda: meshes.grids_in(ds))
        for names, grid in grids:
            yield (
                path.name, ", ".join(names[:3]) + (", ..." if len(names) > 3 else ""),
                *grid_cells(grid), f"{seconds:.2f}", *graph_cells(grid, target),
            )  # fmt: skip


def timed(call: Callable[[], Any]) -> tuple[Any, float, float]:
    """Return the result and the seconds by the clock and of the processor."""
    clock, cpu = time.perf_counter(), time.process_time()
    result = call()
    return result, time.perf_counter() - clock, time.process_time() - cpu


def grid_cells(grid: meshes.Grid) -> tuple[str, ...]:
    share = grid.area.sum() / (4 * np.pi)
    covered = f"{grid.area.sum() / extent(grid):.4f}"
    return grid.kind, str(grid.size), f"{grid.spacing_km:.1f}", f"{share:.6f}", covered


def extent(grid: meshes.Grid) -> float:
    """Return the area (steradian) that a grid's cells cover, from points spread over a cap.

    Each point counts once, however many cells hold it: cells that overlap or leave gaps show.
    """
    centre = grid.xyz[grid.mask].mean(axis=0)
    centre = np.array([0.0, 0.0, 1.0]) if np.linalg.norm(centre) < 0.1 else normalise(centre)
    reach = np.arccos(np.clip(grid.xyz[grid.mask] @ centre, -1.0, 1.0)).max()
    reach = min(reach + 2.0 * grid.spacing_km / meshes.EARTH_RADIUS_KM, np.pi)
    height = 1.0 - np.cos(reach)
    up = 1.0 - height * (np.arange(SAMPLES) + 0.5) / SAMPLES
    angle = np.pi * (3.0 - np.sqrt(5.0)) * np.arange(SAMPLES)
    radius = np.sqrt(1.0 - up**2)
    points = np.stack([radius * np.cos(angle), radius * np.sin(angle), up], axis=1)
    return 2 * np.pi * height * float(in_cells(grid, points @ tangent_frame(centre)).mean())


def graph_cells(source: meshes.Grid, target: meshes.Grid) -> tuple[str, ...]:
    spec = meshes.GraphSpec()
    found = meshes.coverage(source, target, spec.margin_km)
    shares = f"{found.target:.3f}", f"{found.margin:.3f}"
    if min(found.target, found.margin) < 0.999:
        return (*shares, "", "", "")
    graph, seconds, cpu = timed(lambda: meshes.build_graph(source, target, spec))
    graph.validate()
    edges = graph.encode.size + graph.process.size + graph.decode.size
    return (*shares, f"{seconds:.2f}", f"{cpu:.2f}", str(edges))


def write(options: argparse.Namespace, rows: list[tuple[str, ...]]) -> None:
    lines = [
        *page_head(f"Grids of real files, and graphs from them to {options.target}", options),
        "`area / covered` is the sum of the cell areas over the area that the cells cover, counted "
        f"by {SAMPLES} points. A graph is built where the source covers the target and the "
        f"{meshes.GraphSpec().margin_km:g} km around it; each passed its validator.",
        "",
        *markdown_table(HEAD, rows),
    ]
    write_results(options, "grids", lines)


if __name__ == "__main__":
    main()
