"""Results of benchmarks: scores that are kept between runs, tables, files."""

import argparse
import dataclasses
import json
import os
import platform
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

RESULTS = Path(__file__).resolve().parent / "results"


def machine() -> str:
    """Return the machine that a benchmark runs on, in words."""
    return f"{os.cpu_count()} cores, {platform.machine()}, Python {platform.python_version()}"


def page_head(title: str, options: argparse.Namespace, remark: str = "") -> list[str]:
    """Return the first lines of a page of results: title, command and machine.

    Args:
        title: of the page.
        options: those of the benchmark, see `common_arguments.parse`.
        remark: after the machine, as in ", shared with other work".
    """
    command = f"Command: `{options.command}`. Machine: {machine()}{remark}."
    return [f"# {title}", "", command, ""]


def markdown_table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    """Return the lines of a table."""
    lines = [f"| {' | '.join(row)} |" for row in (head, *rows)]
    return [lines[0], "|---" * len(head) + "|", *lines[1:]]


def mean_and_spread(values: np.ndarray) -> str:
    """Return the mean and, of several that differ, their standard deviation, in words."""
    if len(values) == 0:
        return "–"
    spread = f" ± {values.std(ddof=1):.3f}" if len(values) > 1 and values.std() > 0 else ""
    return f"{values.mean():.3f}{spread}"


def median_and_range(values: Sequence[float] | np.ndarray, digits: int) -> str:
    """Return the median, the lowest and the highest value in words."""
    low, middle, high = np.min(values), np.median(values), np.max(values)
    return f"{middle:.{digits}f} ({low:.{digits}f} to {high:.{digits}f})"


def keep_rows(path: Path, rows: Iterable[dict]) -> None:
    """Write rows of scores, printing each one, unless the file exists."""
    if path.exists():
        return
    scores = []
    for row in rows:
        scores.append(row)
        print(row, flush=True)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(scores, indent=1) + "\n", encoding="utf-8")


def kept_rows(folders: Iterable[Path]) -> list[dict]:
    """Return the rows of scores that are kept in folders."""
    files = [file for folder in folders for file in sorted(folder.glob("*.json"))]
    return [row for file in files for row in json.loads(file.read_text(encoding="utf-8"))]


def seeded(experiment: Any, output: Path, seed: int, **changes: dict) -> Any:
    """Return an experiment with a seed, a folder, and changes to its parts by name."""
    parts = {
        part: dataclasses.replace(getattr(experiment, part), **change)
        for part, change in changes.items()
    }
    return dataclasses.replace(experiment, seed=seed, output=str(output), **parts)


def write_results(
    options: argparse.Namespace,
    name: str,
    lines: Sequence[str],
    record: dict[str, Any] | None = None,
    indent: int | None = 1,
) -> None:
    """Print a page of results and write it to `<name>.md`, its figures to `<name>.json`.

    Args:
        options: those of the benchmark: folder and command, see `common_arguments.parse`.
        name: of the files.
        lines: of the page.
        record: figures, as JSON; None for no second file.
        indent: of the JSON.
    """
    options.output.mkdir(parents=True, exist_ok=True)
    (options.output / f"{name}.md").write_text("\n".join(lines) + "\n", encoding="utf-8")
    if record is not None:
        figures = {"command": options.command, "machine": machine(), **record}
        text = json.dumps(figures, indent=indent) + "\n"
        (options.output / f"{name}.json").write_text(text, encoding="utf-8")
    print("\n".join(lines))
