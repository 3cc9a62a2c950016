"""Where benchmarks write what they measured, and how it looks."""

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


def write_text(name: str, lines: Sequence[str]) -> None:
    """Write lines to a file of the results."""
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / name).write_text("\n".join(lines) + "\n", encoding="utf-8")
