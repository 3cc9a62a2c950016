"""Time the start on a new source grid until its first days, and compilation by number of rounds.

Example: python benchmarks/start.py

A start is the command `graphdown downscale` on a year of daily files from a grid that the emulator
never saw, from the start of the process until it has its first days. Cold: no compiled program is
kept from before. Cached: those of the process before are, see
graphdown/runtime/compilation_cache.py. Compilation is that of the training step, tracing included.
Each figure is that of a process of its own. The table is written to benchmarks/results/start.md,
the times to start.json.
"""

import argparse
import json
import tempfile
import time
from pathlib import Path

import numpy as np
import pandas as pd
from child_process import measure_in_child
from common_arguments import benchmark_parser, parse
from results_table import markdown_table, median_and_range, page_head, write_results
from untrained import square, write_emulator, write_source

GOALS = {"cold": 20.0, "cached": 5.0}
ROUNDS = (2, 16)
MESSAGES = ("linear", "mlp")
GROWTH = 1.5


def main() -> None:
    parser = benchmark_parser(__doc__, side=128, repeats=5)
    parser.add_argument("--messages", nargs="+", choices=MESSAGES, default=MESSAGES)
    parser.add_argument("--rounds", nargs=2, type=int, default=ROUNDS, help="few and many")
    options = parse(parser)
    if options.measure:
        kind, *words = options.measure
        print(json.dumps((first_days if kind == "start" else compile_step)(*words)))
        return
    with tempfile.TemporaryDirectory() as folder:
        write_emulator(Path(folder) / "run", square(options.side))
        write_source(Path(folder) / "source.nc", square(options.side))
        starts = pd.DataFrame(time_starts(Path(folder), options.repeats))
    steps = pd.DataFrame(time_steps(options))
    write(options, starts, steps)


def time_starts(folder: Path, repeats: int) -> list[dict]:
    """Return the seconds of starts with an empty cache and with the one that they filled."""
    rows = []
    for repeat in range(repeats):
        cache = folder / f"cache{repeat}"
        for kind in GOALS:
            words = "start", time.time(), folder / "run", folder / "source.nc"
            seconds = measure_in_child(__file__, *words, GRAPHDOWN_CACHE=str(cache))
            rows.append({"repeat": repeat, "start": kind, "seconds": seconds})
            print(rows[-1], flush=True)
    return rows


def time_steps(options: argparse.Namespace) -> list[dict]:
    """Return the seconds that the training step takes to compile."""
    rows = []
    for repeat in range(options.repeats):
        for messages in options.messages:
            for rounds in np.roll(options.rounds, repeat):
                words = "step", options.side, messages, rounds
                seconds = measure_in_child(__file__, *words, GRAPHDOWN_CACHE="")
                row = {"repeat": repeat, "messages": messages, "rounds": int(rounds)}
                rows.append(row | {"seconds": seconds})
                print(rows[-1], flush=True)
    return rows


def first_days(began: str, run: str, source: str) -> float:
    """Run the command until it has its first days; return the seconds since it began."""
    import graphdown.output.writer
    from graphdown.cli import main as command

    seconds: list[float] = []
    graphdown.output.writer.write_parts_in = lambda _, parts, *others: (
        next(parts),
        seconds.append(time.time()),
    )
    command(["downscale", run, source, "-o", str(Path(run) / "unused.nc")])
    return seconds[0] - float(began)


def compile_step(side: str, messages: str, rounds: str) -> float:
    """Return the seconds that it takes to trace and compile the training step."""
    from training_case import TrainingCase

    case = TrainingCase(int(side), messages=messages, rounds=int(rounds))
    mapped, state, constants = case.mapped("shard_map", 1)
    batch = mapped.split(case.batch(0, slice(None)))
    start = time.perf_counter()
    mapped._step.lower(state, batch, constants).compile()
    return time.perf_counter() - start


def write(options: argparse.Namespace, starts: pd.DataFrame, steps: pd.DataFrame) -> None:
    rows = [
        [kind, median_and_range(part.seconds, 1), f"< {GOALS[kind]:g}"]
        for kind, part in starts.groupby("start", sort=False)
    ]
    lines = [
        *page_head("A new source grid, and compilation", options),
        f"Seconds from the start of `graphdown downscale` to its first days, {options.side} x "
        f"{options.side} target cells, a year of daily fields from a grid never seen, the network "
        f"of configs/demo.yaml, untrained: median and range of {options.repeats} processes. Cold: "
        "no compiled program is kept from before; cached: those of the process before are.",
        "",
        *markdown_table(("start", "seconds", "goal"), rows),
        "",
        "Seconds to trace and compile the training step of that network with other rounds and "
        "messages, and the ratio of the medians.",
        "",
    ]
    rows = []
    for messages, part in steps.groupby("messages"):
        few, many = (part[part.rounds == rounds].seconds for rounds in options.rounds)
        cells = [str(messages), *(median_and_range(seconds, 1) for seconds in (few, many))]
        rows.append([*cells, f"{many.median() / few.median():.2f}", f"<= {GROWTH:g}"])
    head = ("messages", *(f"{rounds} rounds" for rounds in options.rounds), "ratio", "goal")
    lines += markdown_table(head, rows)
    figures = {"starts": starts.to_dict("records"), "steps": steps.to_dict("records")}
    write_results(options, "start", lines, figures)


if __name__ == "__main__":
    main()
