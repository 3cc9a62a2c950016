"""Where benchmarks write what they measured, and how it looks."""

import argparse
import dataclasses
import json
import os
import platform
from collections.abc import Collection, Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

RESULTS = Path(__file__).resolve().parent / "results"


def machine() -> str:
    """Return what a benchmark runs on, in words."""
    return f"{os.cpu_count()} cores, {platform.machine()}, Python {platform.python_version()}"


def markdown_table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    """Return the lines of a table."""
    every = [f"| {' | '.join(row)} |" for row in (head, *rows)]
    return [every[0], "|---" * len(head) + "|", *every[1:]]


def mean_and_spread(values: np.ndarray) -> str:
    """Return the mean and, of several that differ, their standard deviation, in words."""
    if len(values) == 0:
        return "–"
    spread = f" ± {values.std(ddof=1):.3f}" if len(values) > 1 and values.std() > 0 else ""
    return f"{values.mean():.3f}{spread}"


def keep_rows(path: Path, rows: Iterable[dict]) -> None:
    """Write rows of scores, printing each as it is made, unless that has been done."""
    if path.exists():
        return
    made = []
    for row in rows:
        made.append(row)
        print(row, flush=True)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(made, indent=1) + "\n", encoding="utf-8")


def kept_rows(folders: Iterable[Path]) -> list[dict]:
    """Return the rows of scores that are kept in folders."""
    files = [file for folder in folders for file in sorted(folder.glob("*.json"))]
    return [row for file in files for row in json.loads(file.read_text(encoding="utf-8"))]


def process_peak(process: int | str = "self") -> int:
    """Return a process's peak of memory in bytes, this one's if none is given.

    That of rusage would count the process that it was forked from.
    """
    status = Path(f"/proc/{process}/status").read_text(encoding="ascii")
    return 1024 * int(status.split("VmHWM:")[1].split()[0])


def seeded(experiment: Any, output: Path, seed: int, **changes: dict) -> Any:
    """Return an experiment with a seed, a folder, and changes to its parts by name."""
    parts = {
        part: dataclasses.replace(getattr(experiment, part), **change)
        for part, change in changes.items()
    }
    return dataclasses.replace(experiment, seed=seed, output=str(output), **parts)


def command_of(script: str, options: argparse.Namespace, every: Collection[str]) -> str:
    """Return the command line of a study; `every` method is its default."""
    command = f"python benchmarks/{script} {options.experiment} --seeds {options.seeds}"
    command += f" --steps {options.steps}" if options.steps else ""
    if set(options.methods) != set(every):
        command += f" --methods {' '.join(options.methods)}"
    return command


def write_study(name: str, lines: Sequence[str], command: str, rows: Sequence[dict]) -> None:
    """Write the table of a study and, beside it, all of its scores."""
    write_text(f"{name}.md", lines)
    record = {"command": command, "machine": machine(), "scores": rows}
    write_text(f"{name}.json", [json.dumps(record, indent=1)])


def write_text(name: str, lines: Sequence[str]) -> None:
    """Write lines to a file of the results."""
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / name).write_text("\n".join(lines) + "\n", encoding="utf-8")
