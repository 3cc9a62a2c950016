"""Time downscaling, and the packing of an archive for training, with and without value checks.

Example: python benchmarks/value_checks.py

Every value is compared with its variable's range as it is read, and predictors and outputs of an
emulator with the ranges of the training and of the catalogue. Here the same work is done with these
comparisons and without them, in turns in one process. The network is that of configs/demo.yaml,
untrained. Packing comes before the first epoch from disk, which reads what is packed. The table is
written to benchmarks/results/value_checks.md.
"""

import argparse
import contextlib
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from unittest import mock

import numpy as np
import pandas as pd
from common_arguments import benchmark_parser, parse
from epoch import experiment, make_archive
from results_table import markdown_table, page_head, write_results
from untrained import square, write_emulator, write_source

GOAL = 3.0  # %
KINDS = ("checked", "unchecked")
WORKS = ("downscaling to zarr", "packing for training from disk")


def main() -> None:
    parser = benchmark_parser(__doc__, side=128, repeats=7, years=1, folder=None)
    options = parse(parser)
    with tempfile.TemporaryDirectory(dir=options.folder) as folder:
        works = dict(zip(WORKS, (downscaling, packing), strict=True))
        rows = [
            row
            for name, prepare in works.items()
            for row in time_turns(name, prepare(Path(folder), options), options.repeats)
        ]
    write(options, pd.DataFrame(rows))


def time_turns(name: str, work: Callable[[], None], repeats: int) -> list[dict]:
    """Return wall-clock and processor seconds of the work by turns, after one that warms up."""
    work()
    rows = []
    for repeat in range(repeats):
        for kind in np.roll(KINDS, repeat):
            with checks_left_out() if kind == "unchecked" else contextlib.nullcontext():
                start, busy = time.perf_counter(), time.process_time()
                work()
                seconds = time.perf_counter() - start, time.process_time() - busy
            row = {"work": name, "repeat": repeat, "kind": str(kind)}
            rows.append(row | dict(zip(("wall", "processor"), seconds, strict=True)))
            print(rows[-1], flush=True)
    return rows


@contextlib.contextmanager
def checks_left_out() -> Iterator[None]:
    """Let values pass unseen."""
    from graphdown.data.reading import every_value
    from graphdown.emulator.input_range import RangeWatch

    def nothing(*_: object) -> None:
        pass

    with (
        mock.patch.object(every_value, "_check", nothing),
        mock.patch.object(RangeWatch, "watch_predictors", nothing),
        mock.patch.object(RangeWatch, "watch_outputs", nothing),
    ):
        yield


def downscaling(folder: Path, options: argparse.Namespace) -> Callable[[], None]:
    """Return the work of downscaling years of a file to a zarr store."""
    from graphdown.downscaling.downscale import downscale_files
    from graphdown.downscaling.request import DownscaleRequest

    target = square(options.side)
    write_emulator(folder / "run", target)
    write_source(folder / "source.nc", target, options.years)
    inputs, output = (str(folder / "source.nc"),), folder / "out.zarr"
    request = DownscaleRequest(folder / "run", inputs, output, overwrite=True)

    def work() -> None:
        downscale_files(request)

    return work


def packing(folder: Path, options: argparse.Namespace) -> Callable[[], None]:
    """Return the work of packing an archive of daily files into stores."""
    from graphdown.data.load import load_data

    archive = make_archive(folder, options.years, options.side)
    last = pd.Timestamp(f"{1980 + options.years}-12-01")
    packed = experiment(archive, folder / "training", "disk", last)

    def work() -> None:
        shutil.rmtree(folder / "samples", ignore_errors=True)
        load_data(packed, folder / "samples")

    return work


def write(options: argparse.Namespace, rows: pd.DataFrame) -> None:
    table = []
    for name, part in rows.groupby("work", sort=False):
        wall, busy = (
            part.pivot(index="repeat", columns="kind", values=v) for v in ("wall", "processor")
        )
        cells = [f"{seconds[kind].median():.2f}" for seconds in (wall, busy) for kind in KINDS]
        extra = [100 * (s.checked / s.unchecked - 1).median() for s in (wall, busy)]
        table.append([str(name), *cells, *(f"{value:+.1f} %" for value in extra)])
    head = ("work", *(f"{clock}, {kind} (s)" for clock in ("wall", "processor") for kind in KINDS))
    lines = [
        *page_head("The cost of checking every value", options),
        f"{options.side} x {options.side} target cells, {options.years} year(s) of daily fields, "
        f"medians of {options.repeats} turns; extra: the median of the ratios of each turn, by the "
        f"clock on the wall and by the processor's. Goal: at most {GOAL:g} %.",
        "",
        *markdown_table((*head, "extra, wall", "extra, processor"), table),
    ]
    write_results(options, "value_checks", lines, {"turns": rows.to_dict("records")})


if __name__ == "__main__":
    main()
