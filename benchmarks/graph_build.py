"""Time the graph from a global model's grid to targets of any size, and measure what it takes.

Example: python benchmarks/graph_build.py

From T127 to EUR-11, and to squares of 3 km cells over Europe with 10 thousand to 2 million cells.
Each graph is built repeatedly in a process of its own; grids are made before. Peak memory is that
of the process, grids included. The table is written to benchmarks/results/graph_build.md, the times
to graph_build.json.
"""

import argparse
import json
import time

import numpy as np
from child_process import measure_in_child, process_peak
from common_arguments import benchmark_parser, parse
from results_table import markdown_table, median_and_range, page_head, write_results

from meshes import GraphSpec, Grid, build_graph

SOURCE, NAMED = "T127", "EUR-11"
SIZES = (10_000, 30_000, 100_000, 300_000, 1_000_000, 2_000_000)
SPACING = 0.0275  # degrees, 3 km
POLE = (-162.0, 39.25)
ENOUGH = 2.0  # seconds of builds: the first ones in a process are slower
GOALS = {NAMED: "<= 5 s", SIZES[-1]: "<= 90 s, <= 8 GiB"}


def main() -> None:
    parser = benchmark_parser(__doc__, repeats=3)
    parser.add_argument("--mesh-level", type=int, default=GraphSpec().mesh_level)
    parser.add_argument("--named", default=NAMED, help="a target of the catalogue")
    parser.add_argument("--sizes", type=int, nargs="+", default=SIZES, help="of the squares")
    options = parse(parser)
    if options.measure:
        print(json.dumps(measure(*options.measure)))
        return
    rows = []
    for target in (options.named, *options.sizes):
        figures = measure_in_child(__file__, target, options.repeats, options.mesh_level)
        rows.append({"target": target, **figures})
        print(rows[-1], flush=True)
    write(options, rows)


def measure(target: str, repeats: str, mesh_level: str) -> dict:
    """Return sizes, seconds and the peak of memory in GiB of the builds for a target."""
    spec, seconds, before = GraphSpec(mesh_level=int(mesh_level)), [], 0
    while len(seconds) < int(repeats) or sum(seconds) < ENOUGH:
        source = Grid.named(SOURCE)
        fine = square(int(target)) if target.isdigit() else Grid.named(target)
        before = before or process_peak()
        start = time.perf_counter()
        graph = build_graph(source, fine, spec)
        seconds.append(time.perf_counter() - start)
    return {
        "targets": fine.size,
        "mesh": graph.mesh.size,
        "seconds": seconds,
        "grids": before / 2**30,
        "peak": process_peak() / 2**30,
    }


def square(size: int) -> Grid:
    """Return a square of about `size` cells of 3 km over Europe."""
    side = round(size**0.5)
    degrees = SPACING * (np.arange(side) - side / 2)
    return Grid.rotated(*POLE, degrees, degrees)


def write(options: argparse.Namespace, rows: list[dict]) -> None:
    squares = {r["targets"]: np.median(r["seconds"]) / r["targets"] for r in rows[1:]}
    last = list(squares.values())[-1]
    lines = [
        *page_head("Building graphs", options),
        f"From {SOURCE} ({Grid.named(SOURCE).size:,} points) to {options.named} and to squares of "
        f"cells of {SPACING} degrees; mesh level {options.mesh_level}. Seconds are median and "
        f"range of {options.repeats} builds with new grids in one process, or of as many as take "
        f"{ENOUGH:g} seconds; memory is the peak of that process, before the first build and after "
        "all.",
        "",
    ]
    table = []
    for row in rows:
        seconds = np.asarray(row["seconds"])
        each = np.median(seconds) / row["targets"]
        square_row = row["target"] != options.named
        table.append(
            [
                f"{row['target']:,}" if square_row else options.named,
                f"{row['targets']:,}",
                f"{row['mesh']:,}",
                median_and_range(seconds, 3),
                f"{1e6 * each:.2f}",
                f"{each / last:.2f}" if square_row else "–",
                f"{row['grids']:.2f}",
                f"{row['peak']:.2f}",
                GOALS.get(row["target"], ""),
            ]
        )
    head = ("target", "targets", "mesh nodes", "seconds", "us a target", "of the last's")
    lines += markdown_table((*head, "grids [GiB]", "peak [GiB]", "goal"), table)
    spread = max(squares.values()) / min(squares.values())
    large = [each for size, each in squares.items() if size > 2 * min(squares)] or [last]
    lines += [
        "",
        f"Largest over smallest time a target: {spread:.2f} (goal <= 1.3); without the smallest "
        f"square, {max(large) / min(large):.2f}. A build costs some milliseconds whatever the "
        "target is, for the source's triangles, which the smallest square shows.",
    ]
    write_results(options, "graph_build", lines, {"builds": rows})


if __name__ == "__main__":
    main()
