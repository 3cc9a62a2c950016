"""Time what a new source grid costs before its first day, and compilation at few and many rounds.

Example: python benchmarks/start.py

A start is the command `graphdown downscale` on a year of daily files from a grid that the emulator
never saw, from the start of the process until it has its first days. Cold: what JAX compiled is
not kept from before. Cached: it is, see graphdown/runtime/compilation_cache.py. Compilation is that
of the training step, tracing included. Each figure is that of a process of its own. The table goes
to benchmarks/results/start.md, the times to start.json.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pandas as pd
from results_table import RESULTS, machine, markdown_table, write_text
from untrained import square, write_emulator, write_source

GOALS = {"cold": 20.0, "cached": 5.0}
ROUNDS = (2, 16)
MESSAGES = ("linear", "mlp")
GROWTH = 1.5


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--side", type=int, default=128, help="of the target in cells")
    parser.add_argument("--repeats", type=int, default=5, help="processes for each figure")
    parser.add_argument("--measure", nargs="+", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.measure:
        kind, *words = options.measure
        (first_days if kind == "start" else compile_step)(*words)
        return
    with tempfile.TemporaryDirectory() as folder:
        write_emulator(Path(folder) / "run", square(options.side))
        write_source(Path(folder) / "source.nc", square(options.side))
        starts = pd.DataFrame(time_starts(Path(folder), options.repeats))
    steps = pd.DataFrame(time_steps(options.side, options.repeats))
    write(options, starts, steps)


def time_starts(folder: Path, repeats: int) -> list[dict]:
    """Return the seconds of starts with an empty cache and with the one that they filled."""
    rows = []
    for repeat in range(repeats):
        cache = folder / f"cache{repeat}"
        for kind in GOALS:
            words = [str(time.time()), str(folder / "run"), str(folder / "source.nc")]
            seconds = measured("start", *words, GRAPHDOWN_CACHE=str(cache))
            rows.append({"repeat": repeat, "start": kind, "seconds": seconds})
            print(rows[-1], flush=True)
    return rows


def time_steps(side: int, repeats: int) -> list[dict]:
    """Return the seconds that the training step takes to compile."""
    rows = []
    for repeat in range(repeats):
        for messages in MESSAGES:
            for rounds in np.roll(ROUNDS, repeat):
                seconds = measured("step", str(side), messages, str(rounds), GRAPHDOWN_CACHE="")
                row = {"repeat": repeat, "messages": messages, "rounds": int(rounds)}
                rows.append(row | {"seconds": seconds})
                print(rows[-1], flush=True)
    return rows


def measured(*words: str, **environment: str) -> float:
    """Return what another process measured."""
    command = [sys.executable, __file__, "--measure", *words]
    whole = os.environ | environment
    done = subprocess.run(command, env=whole, check=True, stdout=subprocess.PIPE, text=True)
    return float(done.stdout.split()[-1])


def first_days(began: str, run: str, source: str) -> None:
    """Run the command until it has its first days; print the seconds since it began."""
    import graphdown.output.writer
    from graphdown.cli import main as command

    seconds: list[float] = []
    graphdown.output.writer.write_parts_in = lambda _, parts, *others: (
        next(parts),
        seconds.append(time.time()),
    )
    command(["downscale", run, source, "-o", str(Path(run) / "unused.nc")])
    print(seconds[0] - float(began))


def compile_step(side: str, messages: str, rounds: str) -> None:
    """Print the seconds that it takes to trace and compile the training step."""
    from training_case import TrainingCase

    case = TrainingCase(int(side), messages=messages, rounds=int(rounds))
    mapped, state, constants = case.mapped("shard_map", 1)
    batch = mapped.split(case.batch(0, slice(None)))
    start = time.perf_counter()
    mapped._step.lower(state, batch, constants).compile()
    print(time.perf_counter() - start)


def write(options: argparse.Namespace, starts: pd.DataFrame, steps: pd.DataFrame) -> None:
    command = f"`python benchmarks/start.py --side {options.side} --repeats {options.repeats}`"
    rows = [
        [kind, spread(own.seconds), f"< {GOALS[kind]:g}"]
        for kind, own in starts.groupby("start", sort=False)
    ]
    lines = [
        "# A new source grid, and compilation",
        "",
        f"Command: {command}. Machine: {machine()}.",
        "",
        f"Seconds from the start of `graphdown downscale` to its first days, {options.side} x "
        f"{options.side} target cells, a year of daily fields from a grid never seen, the network "
        f"of configs/demo.yaml, untrained: median and range of {options.repeats} processes. Cold: "
        "nothing compiled is kept from before; cached: what the process before compiled is.",
        "",
        *markdown_table(("start", "seconds", "goal"), rows),
        "",
        "Seconds to trace and compile the training step of that network, of which the rounds and "
        "the messages are changed, and the ratio of the medians.",
        "",
    ]
    rows = []
    for messages, own in steps.groupby("messages"):
        few, many = (own[own.rounds == rounds].seconds for rounds in ROUNDS)
        ratio = f"{many.median() / few.median():.2f}"
        rows.append([str(messages), spread(few), spread(many), ratio, f"<= {GROWTH:g}"])
    head = ("messages", *(f"{rounds} rounds" for rounds in ROUNDS), "ratio", "goal")
    lines += markdown_table(head, rows)
    write_text("start.md", lines)
    every = {"command": command, "machine": machine()}
    every |= {"starts": starts.to_dict("records"), "steps": steps.to_dict("records")}
    (RESULTS / "start.json").write_text(json.dumps(every, indent=1) + "\n", encoding="utf-8")
    print("\n".join(lines))


def spread(values: pd.Series) -> str:
    return f"{values.median():.1f} ({values.min():.1f} to {values.max():.1f})"


if __name__ == "__main__":
    main()
