"""Time an epoch from disk beside one from memory, and measure what either takes of memory.

Example: python benchmarks/epoch.py

The network is that of configs/demo.yaml, on a synthetic archive of daily files: a target of 128 x
128 cells and a source with six variables. The epochs are interleaved in one run, a few steps of
each at a time. "cold" drops the store's pages from the system's cache before those steps. Peak
memory is that of a process that trains a few steps on a long archive. The tables are written to
benchmarks/results/epoch.md.
"""

import argparse
import json
import os
import shutil
import tempfile
import time
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr
import yaml
from child_process import measure_in_child, process_peak
from common_arguments import benchmark_parser, parse
from results_table import markdown_table, median_and_range, page_head, write_results

from meshes import Grid

ROOT = Path(__file__).resolve().parents[1]
PREDICTORS = ("tas", "pr", "psl", "hus700", "ua850", "va850")
TARGETS = ("tas", "pr")
MEAN = {"tas": 285.0, "pr": 3.0, "psl": 1e5, "hus700": 4e-3, "ua850": 2.0, "va850": 0.0}
SPREAD = {"tas": 8.0, "pr": 2.0, "psl": 900.0, "hus700": 8e-4, "ua850": 6.0, "va850": 6.0}
UNITS = {
    "tas": "K",
    "pr": "mm day-1",
    "psl": "Pa",
    "hus700": "1",
    "ua850": "m s-1",
    "va850": "m s-1",
}
START = 1981
MODES = ("memory", "disk", "disk, cold")
COLUMNS = ("epoch", "cpu", "batches")
BLOCK = 4  # steps of one kind in a row: the machine's other work changes more slowly


def main() -> None:
    parser = benchmark_parser(__doc__, days=96, repeats=7, side=128, folder=None)
    parser.add_argument("--years", type=int, nargs="+", default=[5, 20], help="of the archives")
    options = parse(parser)
    if options.measure:
        print(json.dumps(measure_memory(*options.measure)))
        return
    with tempfile.TemporaryDirectory(dir=options.folder) as folder:
        epochs = time_epochs(Path(folder), options)
        peaks = [peak_memory(Path(folder), years, options.side) for years in options.years]
    write(options, epochs, pd.DataFrame(peaks))


def make_archive(folder: Path, years: int, side: int) -> Path:
    """Write a file a year of source and target, and return their folder."""
    archive = folder / f"archive{years}"
    archive.mkdir(exist_ok=True)
    reach = 0.11 * side - 0.01
    fine = Grid.regular(0.11, 0.11, (3.0, 40.0, 3.0 + reach, 40.0 + reach))
    coarse = Grid.regular(1.25, 1.0, (-4.0, 35.0, 24.0, 59.0))
    for year in range(START, START + years):
        for name, grid, variables in (("fine", fine, TARGETS), ("coarse", coarse, PREDICTORS)):
            days(grid, variables, year).to_netcdf(archive / f"{name}_{year}.nc")
    return archive


def days(grid: Grid, variables: Sequence[str], year: int) -> xr.Dataset:
    """Return a year of waves and noise."""
    dates = pd.date_range(f"{year}-01-01", f"{year}-12-31")
    fields = {}
    for number, name in enumerate(variables):
        random = np.random.default_rng([year, number])
        waves = np.stack([np.sin(np.radians(k * grid.lon + 5 * k * grid.lat)) for k in range(1, 9)])
        values = random.normal(size=(len(dates), 8)) @ waves / 3.0
        values = values.astype(np.float32) + random.normal(0.0, 0.1, (1, grid.size))
        values = MEAN[name] + SPREAD[name] * values
        values = np.maximum(values, 0.0) if name in ("pr", "hus700") else values
        attrs, coords = {"units": UNITS[name]}, {"time": dates}
        fields[name] = grid.dataarray(values.astype(np.float32), name, ("time",), coords, attrs)
    return xr.Dataset(fields)


def experiment(archive: Path, run: Path, storage: str, last: pd.Timestamp) -> Any:
    """Return an experiment with the network of configs/demo.yaml that trains up to a day."""
    from graphdown.config.experiment_file import parse_experiment

    raw = yaml.safe_load((ROOT / "configs" / "demo.yaml").read_text(encoding="utf-8"))
    source = {"name": "gcm", "files": [str(archive / "coarse_*.nc")]}
    raw["data"] = {"target": {"files": [str(archive / "fine_*.nc")]}, "sources": [source]}
    raw["output"] = str(run)
    dates = [last + pd.Timedelta(days=n) for n in (1, 14, 15, 28)]
    first, second, third, fourth = (str(date)[:10] for date in dates)
    raw["periods"] = {
        "train": [f"{START}-01-01", str(last)[:10]],
        "validation": [first, second],
        "test": [third, fourth],
    }
    raw["training"] |= {"sample_storage": storage, "devices": 1}
    return parse_experiment(raw, "the benchmark")


def time_epochs(folder: Path, options: argparse.Namespace) -> pd.DataFrame:
    """Return the seconds of each epoch by mode, and of its batches alone."""
    clock = EpochClock(folder, options)
    clock.run("memory", 0, True)  # compiles
    rows = []
    for repeat in range(options.repeats):
        spent = {mode: np.zeros(3) for mode in MODES}
        for number in range(clock.steps // BLOCK):
            first = repeat * clock.steps + number * BLOCK
            for mode in np.roll(MODES, repeat + number):
                seconds, cpu = clock.run(mode, first, True)
                batches, _ = clock.run(mode, first, False)
                spent[mode] += (seconds, cpu, batches)
        for mode, sums in spent.items():
            rows.append({"repeat": repeat, "mode": mode} | dict(zip(COLUMNS, sums, strict=True)))
            print(rows[-1], flush=True)
    shutil.rmtree(clock.archive)
    return pd.DataFrame(rows)


class EpochClock:
    """Trainings of one network from memory and from disk, whose steps are timed.

    Attributes:
        archive: folder of the files.
        steps: number of steps of an epoch.
    """

    def __init__(self, folder: Path, options: argparse.Namespace) -> None:
        from graphdown.data.load import load_data
        from graphdown.training import Trainer, prepare_training
        from graphdown.training.parallel import DataParallel
        from graphdown.training.step import initial_state, make_step

        self.archive = make_archive(folder, options.days // 365 + 1, options.side)
        self._store = folder / "samples"
        last = pd.Timestamp(f"{START}-01-01") + pd.Timedelta(days=options.days - 1)
        self._trainers = {}
        for storage in ("memory", "disk"):
            chosen = experiment(self.archive, folder / "unused", storage, last)
            data = load_data(chosen, self._store if storage == "disk" else None)
            self._trainers[storage] = Trainer(prepare_training(chosen, data), folder / "unused")
        trainer = self._trainers["memory"]
        spec = trainer.experiment.training
        self.steps = options.days // spec.batch_size
        step = make_step(trainer.graphdef, trainer.optimiser, spec.ema_decay)
        self._mapped = DataParallel(step, spec.backend, spec.devices)
        self._constants = self._mapped.replicate(trainer.constants_of(trainer.samples[0]))
        self._state = self._mapped.replicate(initial_state(trainer.params, trainer.optimiser))

    def run(self, mode: str, first: int, network: bool) -> np.ndarray:
        """Return the seconds of a block of steps by the clock and of the processor.

        Args:
            mode: one of `MODES`.
            first: number of the first step.
            network: whether to take the steps, or to make their batches only.
        """
        import jax

        from graphdown.runtime.prefetch import prefetched

        if mode == "disk, cold":
            drop_pages(self._store)
        make = self._trainers["memory" if mode == "memory" else "disk"].batch
        start = np.asarray([time.perf_counter(), time.process_time()])
        with closing(prefetched(make, range(first, first + BLOCK))) as batches:
            for batch, _ in batches:
                if network:
                    split = self._mapped.split(batch)
                    self._state, _ = self._mapped(self._state, split, self._constants)
            jax.block_until_ready(self._state)
        return np.asarray([time.perf_counter(), time.process_time()]) - start


def drop_pages(folder: Path) -> None:
    """Let the system forget what it has read of the files below a folder."""
    for path in folder.rglob("*"):
        if path.is_file():
            with path.open("rb") as file:
                os.fsync(file.fileno())
                os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


def peak_memory(folder: Path, years: int, side: int) -> dict[str, Any]:
    """Return the peaks of memory of processes that train on an archive, in GiB."""
    archive = make_archive(folder, years, side)
    row: dict[str, Any] = {"years": years}
    row["fields"] = sum(p.stat().st_size for p in archive.iterdir()) / 2**30
    for storage in ("memory", "disk"):
        run = folder / f"run_{storage}_{years}"
        peaks = measure_in_child(__file__, storage, archive, run)
        row |= {f"{storage}, {moment}": peak for moment, peak in peaks.items()}
        print(row, flush=True)
        shutil.rmtree(run)
    shutil.rmtree(archive)
    return row


def measure_memory(storage: str, archive: str, run: str) -> dict[str, float]:
    """Train a few steps and return the peak of memory before them and after, in GiB."""
    from dataclasses import replace

    from graphdown.training import Trainer, load_for, prepare_training
    from graphdown.training.run.folder import open_run

    years = len(list(Path(archive).glob("fine_*.nc")))
    last = pd.Timestamp(f"{START + years - 1}-11-30")
    chosen = experiment(Path(archive), Path(run), storage, last)
    chosen = replace(chosen, training=replace(chosen.training, steps=4, validate_every=4))
    data = load_for(chosen)
    trainer = Trainer(prepare_training(chosen, data), open_run(chosen))
    ready = process_peak()
    trainer.run()
    return {"ready": ready / 2**30, "trained": process_peak() / 2**30}


def write(options: argparse.Namespace, epochs: pd.DataFrame, peaks: pd.DataFrame) -> None:
    by = {c: epochs.pivot(index="repeat", columns="mode", values=c) for c in COLUMNS}
    lines = [
        *page_head("An epoch from disk and from memory", options, ", shared with other work"),
        f"The network of configs/demo.yaml, {options.side} x {options.side} target cells, "
        f"{options.days} days, {options.repeats} epochs of each kind, {BLOCK} steps of each in "
        "turn. Speed is the ratio of the seconds of the neighbouring epoch from memory to those of "
        "the epoch, by the clock and of the processor: median and range. Batches alone: the same "
        "batches, made but not used. Cold: the system's cache of the store is dropped before each "
        "turn.",
        "",
    ]
    rows = []
    for mode in MODES:
        ratios = [by[c]["memory"] / by[c][mode] for c in ("epoch", "cpu")]
        cells = [median_and_range(by["epoch"][mode], 1)]
        cells += [median_and_range(ratio, 3) for ratio in ratios]
        rows.append([mode, *cells, median_and_range(by["batches"][mode], 3)])
    head = ("samples", "epoch [s]", "speed / memory's", "by processor time", "batches alone [s]")
    lines += [
        *markdown_table(head, rows),
        "",
        "Peak memory (resident) in GiB of a process that trains on daily files: once it is ready "
        "for the first step, and after four steps and a validation.",
        "",
        *markdown_table(
            ("years", "files [GiB]", "memory: ready", "trained", "disk: ready", "trained"),
            [[f"{r[0]:.0f}", *(f"{v:.2f}" for v in r[1:])] for r in peaks.itertuples(index=False)],
        ),
    ]
    write_results(options, "epoch", lines)


if __name__ == "__main__":
    main()
