"""Time the training step on 1, 2 and 4 simulated devices and in two processes, same global batch.

Example: python benchmarks/scaling.py

Simulated devices share the cores, so that they show the cost of sharing, not its gain: the goal is
the time of one device. Each case is a process of its own (two for two processes, which
jax.distributed joins on this machine). The difference is that of the parameters to those of one
device, relative to the norm of each array, the largest of all. The table is written to
benchmarks/results/scaling.md, the figures to scaling.json.
"""

import argparse
import json
import os
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pandas as pd
from child_process import process_peak
from common_arguments import benchmark_parser, parse
from results_table import markdown_table, median_and_range, page_head, write_results

CASES = ("1x1", "2x1", "4x1", "1x2")  # devices of a process x processes
STEPS = 20
GOAL = 1e-5


def main() -> None:
    parser = benchmark_parser(__doc__, side=128, repeats=3)
    parser.add_argument("--cases", nargs="+", choices=CASES, default=CASES, help="the first is 1x1")
    options = parse(parser)
    if options.measure:
        measure(*options.measure)
        return
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        for repeat in range(options.repeats):
            for case in options.cases:
                devices, processes = map(int, case.split("x"))
                figures = run_case(Path(folder), options.side, devices, processes)
                row = {"repeat": repeat, "devices": devices, "processes": processes}
                rows.append(row | figures)
                print(rows[-1], flush=True)
    write(options, pd.DataFrame(rows))


def run_case(folder: Path, side: int, devices: int, processes: int) -> dict:
    """Return seconds of a step, peaks of memory and the difference to the first case."""
    with socket.socket() as free:
        free.bind(("localhost", 0))
        address = f"localhost:{free.getsockname()[1]}"
    flags = f"--xla_force_host_platform_device_count={devices}"
    environment = os.environ | {"XLA_FLAGS": flags, "JAX_PLATFORMS": "cpu"}
    started = []
    for number in range(processes):
        words = [str(side), address, str(processes), str(number)]
        words += [str(folder / f"{devices}x{processes}.npz")]
        command = [sys.executable, __file__, "--measure", *words]
        started.append(
            subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True)
        )
    outputs = [process.communicate()[0] for process in started]
    if any(process.returncode for process in started):
        raise SystemExit("A process failed; its error is printed above.")
    figures = [json.loads(output.splitlines()[-1]) for output in outputs]
    return {
        "seconds": max(one["seconds"] for one in figures),
        "peak": sum(one["peak"] for one in figures),
        "difference": difference(folder / "1x1.npz", folder / f"{devices}x{processes}.npz"),
    }


def difference(one: Path, other: Path) -> float:
    """Return the largest difference of an array, relative to its norm."""
    with np.load(one) as a, np.load(other) as b:
        return max(
            float(np.linalg.norm(a[n] - b[n]) / max(np.linalg.norm(a[n]), 1e-12)) for n in a.files
        )


def measure(side: str, address: str, processes: str, number: str, out: str) -> None:
    """Take the steps; print the median of their seconds and the peak of memory in GiB."""
    import jax

    if int(processes) > 1:
        jax.distributed.initialize(address, int(processes), int(number))
    from training_case import TrainingCase

    from graphdown.model.parameters import named_values

    case, seconds = TrainingCase(int(side)), []
    mapped, state, constants = case.mapped("shard_map", 0)
    for step in range(STEPS):
        batch = mapped.split(case.batch(step, mapped.share(case.spec.batch_size)))
        start = time.perf_counter()
        state, _ = mapped(state, batch, constants)
        jax.block_until_ready(state)
        seconds.append(time.perf_counter() - start)
    if number == "0":
        np.savez(out, **named_values(mapped.one(state).params))
    print(json.dumps({"seconds": np.median(seconds[1:]), "peak": process_peak() / 2**30}))


def write(options: argparse.Namespace, rows: pd.DataFrame) -> None:
    lines = [
        *page_head("The training step on several devices", options),
        f"The network of configs/demo.yaml, {options.side} x {options.side} target cells, the "
        "same global batch in all cases; the devices are simulated and share the cores. Seconds "
        "are the median of the steps after the first: median and range over the repeats. Memory "
        "is the sum over the processes. The difference is that of the parameters after "
        f"{STEPS} steps to those of one device (goal <= {GOAL:g}).",
        "",
    ]
    alone = rows[(rows.devices == 1) & (rows.processes == 1)].seconds.median()
    table = []
    for (devices, processes), part in rows.groupby(["devices", "processes"], sort=False):
        cells = [f"{devices * processes}", f"{processes}", median_and_range(part.seconds, 3)]
        cells += [f"{part.seconds.median() / alone:.2f}", f"{part.peak.max():.2f}"]
        table.append([*cells, f"{part.difference.max():.1e}"])
    head = ("devices", "processes", "seconds a step", "of one's", "peak [GiB]", "difference")
    lines += markdown_table(head, table)
    write_results(options, "scaling", lines, {"cases": rows.to_dict("records")})


if __name__ == "__main__":
    main()
