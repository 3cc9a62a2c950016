"""Where benchmarks write what they measured, and how it looks."""

import json
import os
import platform
from collections.abc import Iterable, Sequence
from pathlib import Path

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


def process_peak() -> int:
    """Return this process's peak of memory in bytes.

    That of rusage would count the process that it was forked from.
    """
    status = Path("/proc/self/status").read_text(encoding="ascii")
    return 1024 * int(status.split("VmHWM:")[1].split()[0])


def write_text(name: str, lines: Sequence[str]) -> None:
    """Write lines to a file of the results."""
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / name).write_text("\n".join(lines) + "\n", encoding="utf-8")
