"""Time an epoch from disk beside one from memory, and measure what either takes of memory.

Example: python benchmarks/epoch.py

The network is that of configs/demo.yaml, on a made-up archive of daily files: a target of 128 x 128
cells and a source with six variables. The epochs are interleaved in one run, a few steps of each
at a time. "cold" drops the store's pages from the system's cache before those steps. Peak memory
is that of a process that trains a few steps on a long archive. The tables go to
benchmarks/results/epoch.md.
"""

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr
import yaml
from results_table import machine, markdown_table, process_peak, write_text

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
SIDE = 128
MODES = ("memory", "disk", "disk, cold")
COLUMNS = ("epoch", "cpu", "batches")
BLOCK = 4  # steps of one kind in a row: the machine's other work changes more slowly


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--days", type=int, default=96, help="days of an epoch")
    parser.add_argument("--repeats", type=int, default=7, help="epochs of each kind")
    parser.add_argument("--years", type=int, nargs="+", default=[5, 20], help="of the archives")
    parser.add_argument("--folder", type=Path, help="for the made-up files; a temporary one")
    parser.add_argument("--measure", nargs=3, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.measure:
        measure_memory(*options.measure)
        return
    with tempfile.TemporaryDirectory(dir=options.folder) as folder:
        epochs = time_epochs(Path(folder), options.days, options.repeats)
        peaks = [peak_memory(Path(folder), years) for years in options.years]
    write(options, epochs, pd.DataFrame(peaks))


def make_archive(folder: Path, years: int) -> Path:
    """Write a file a year of each side, and return their folder."""
    made = folder / f"archive{years}"
    made.mkdir(exist_ok=True)
    fine = Grid.regular(
        0.11, 0.11, (3.0, 40.0, 3.0 + 0.11 * SIDE - 0.01, 40.0 + 0.11 * SIDE - 0.01)
    )
    coarse = Grid.regular(1.25, 1.0, (-4.0, 35.0, 24.0, 59.0))
    for year in range(START, START + years):
        for name, grid, variables in (("fine", fine, TARGETS), ("coarse", coarse, PREDICTORS)):
            days(grid, variables, year).to_netcdf(made / f"{name}_{year}.nc")
    return made


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
        attrs = {"units": UNITS[name]}
        own = {"time": dates}
        fields[name] = grid.dataarray(values.astype(np.float32), name, ("time",), own, attrs)
    return xr.Dataset(fields)


def experiment(archive: Path, run: Path, samples: str, last: pd.Timestamp) -> Any:
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
    raw["training"] |= {"sample_storage": samples, "devices": 1}
    return parse_experiment(raw, "the benchmark")


def time_epochs(folder: Path, count: int, repeats: int) -> pd.DataFrame:
    """Return the seconds of each epoch by mode, and of its batches alone."""
    import jax

    from graphdown.data.load import load_data
    from graphdown.runtime.prefetch import prefetched
    from graphdown.training import Trainer, prepare_training
    from graphdown.training.parallel import DataParallel
    from graphdown.training.step import initial_state, make_step

    years = count // 365 + 1
    archive = make_archive(folder, years)
    last = pd.Timestamp(f"{START}-01-01") + pd.Timedelta(days=count - 1)
    trainers = {}
    for samples in ("memory", "disk"):
        store = folder / "samples" if samples == "disk" else None
        asked = experiment(archive, folder / "unused", samples, last)
        trainers[samples] = Trainer(
            prepare_training(asked, load_data(asked, store)), folder / "unused"
        )
    trainer = trainers["memory"]
    spec = trainer.experiment.training
    step = make_step(trainer.graphdef, trainer.optimiser, spec.ema_decay)
    mapped = DataParallel(step, spec.backend, spec.devices)
    constants = mapped.replicate(trainer.constants_of(trainer.samples[0]))
    steps = count // spec.batch_size

    state = mapped.replicate(initial_state(trainer.params, trainer.optimiser))

    def block(make: Callable[[int], Any], first: int, network: bool) -> np.ndarray:
        nonlocal state
        start = np.asarray([time.perf_counter(), time.process_time()])
        with closing(prefetched(make, range(first, first + BLOCK))) as batches:
            for batch, _ in batches:
                if network:
                    state, _ = mapped(state, mapped.split(batch), constants)
            jax.block_until_ready(state)
        return np.asarray([time.perf_counter(), time.process_time()]) - start

    block(trainer.batch, 0, True)
    rows = []
    for repeat in range(repeats):
        spent = {mode: np.zeros(3) for mode in MODES}
        for number in range(steps // BLOCK):
            first = repeat * steps + number * BLOCK
            for mode in np.roll(MODES, repeat + number):
                make = trainers["memory" if mode == "memory" else "disk"].batch
                for network in (True, False):
                    if mode == "disk, cold":
                        drop_pages(folder / "samples")
                    clock, cpu = block(make, first, network)
                    spent[mode] += (clock, cpu, 0.0) if network else (0.0, 0.0, clock)
        for mode, sums in spent.items():
            rows.append({"repeat": repeat, "mode": mode} | dict(zip(COLUMNS, sums, strict=True)))
            print(rows[-1], flush=True)
    shutil.rmtree(archive)
    return pd.DataFrame(rows)


def drop_pages(folder: Path) -> None:
    """Let the system forget what it has read of the files below a folder."""
    for path in folder.rglob("*"):
        if path.is_file():
            with path.open("rb") as file:
                os.fsync(file.fileno())
                os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


def peak_memory(folder: Path, years: int) -> dict[str, Any]:
    """Return the peaks of memory of processes that train on an archive, in GiB."""
    archive = make_archive(folder, years)
    row: dict[str, Any] = {"years": years}
    row["fields"] = sum(p.stat().st_size for p in archive.iterdir()) / 2**30
    for samples in ("memory", "disk"):
        run = folder / f"run_{samples}_{years}"
        command = [sys.executable, __file__, "--measure", samples, str(archive), str(run)]
        done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
        ready, trained = done.stdout.split()[-2:]
        row |= {f"{samples}, ready": float(ready), f"{samples}, trained": float(trained)}
        print(row, flush=True)
        shutil.rmtree(run)
    shutil.rmtree(archive)
    return row


def measure_memory(samples: str, archive: str, run: str) -> None:
    """Train a few steps and print the peak of memory before them and after, in GiB."""
    from dataclasses import replace

    from graphdown.training import Trainer, load_for, prepare_training
    from graphdown.training.run.folder import open_run

    years = len(list(Path(archive).glob("fine_*.nc")))
    last = pd.Timestamp(f"{START + years - 1}-11-30")
    asked = experiment(Path(archive), Path(run), samples, last)
    training = replace(asked.training, steps=4, validate_every=4)
    asked = replace(asked, training=training)
    data = load_for(asked)
    trainer = Trainer(prepare_training(asked, data), open_run(asked))
    ready = process_peak()
    trainer.run()
    print(ready / 2**30, process_peak() / 2**30)


def write(options: argparse.Namespace, epochs: pd.DataFrame, peaks: pd.DataFrame) -> None:
    by = {c: epochs.pivot(index="repeat", columns="mode", values=c) for c in COLUMNS}
    lines = [
        "# An epoch from disk and from memory",
        "",
        f"Command: `python benchmarks/epoch.py --days {options.days} --repeats {options.repeats} "
        f"--years {' '.join(map(str, options.years))}`. Machine: {machine()}, shared "
        "with other work.",
        "",
        f"The network of configs/demo.yaml, {SIDE} x {SIDE} target cells, {options.days} days, "
        f"{options.repeats} epochs of each kind, {BLOCK} steps of each in turn. Speed is the "
        "seconds of the epoch beside it from memory over its own, by the clock and of the "
        "processor: median and range. Batches alone: the same batches, made and not used. Cold: "
        "the system's cache of the store is dropped before each turn.",
        "",
    ]
    rows = []
    for mode in MODES:
        ratios = [by[c]["memory"] / by[c][mode] for c in ("epoch", "cpu")]
        cells = [spread(by["epoch"][mode], 1), *(spread(r, 3) for r in ratios)]
        rows.append([mode, *cells, spread(by["batches"][mode], 3)])
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
    write_text("epoch.md", lines)
    print("\n".join(lines))


def spread(values: pd.Series, digits: int) -> str:
    low, middle, high = values.min(), values.median(), values.max()
    return f"{middle:.{digits}f} ({low:.{digits}f} to {high:.{digits}f})"


if __name__ == "__main__":
    main()
