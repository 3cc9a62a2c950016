"""Arguments that benchmarks share, and the command that their results record."""

import argparse
import shlex
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from results_table import RESULTS

COMMON: Mapping[str, Mapping[str, Any]] = {
    "days": {"type": int, "help": "days of data"},
    "experiment": {"type": Path, "help": "experiment file"},
    "experiments": {"type": Path, "nargs": "+", "help": "experiment files"},
    "folder": {"type": Path, "help": "for temporary files; the system's if it is not set"},
    "jobs": {"type": int, "help": "processes at a time"},
    "methods": {"nargs": "+", "help": "methods to compare"},
    "overrides": {"nargs": "+", "metavar": "KEY=VALUE", "help": "over the file's values"},
    "repeats": {"type": int, "help": "repetitions of each measurement"},
    "seed": {"type": int, "help": "of the random numbers"},
    "seeds": {"type": int, "help": "runs of each method that has random numbers"},
    "side": {"type": int, "help": "cells along each side of the target"},
    "steps": {"type": int, "help": "of training, instead of the experiment's"},
    "study": {"type": Path, "help": "study file"},
    "years": {"type": int, "help": "years of data"},
}
LOCAL = ("--output", "--folder", "--peers")  # of this machine: not in the command of the results


def benchmark_parser(
    description: str | None, *positional: str, **defaults: Any
) -> argparse.ArgumentParser:
    """Return a parser with arguments of `COMMON` and `--output`.

    Args:
        description: docstring of the benchmark; printed by --help.
        positional: names of arguments without a default.
        defaults: defaults of the others by name; of `methods`, the choices as well.
    """
    parser = argparse.ArgumentParser(
        description=description, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    for name in positional:
        parser.add_argument(name, **COMMON[name])
    for name, default in defaults.items():
        choices = {"choices": default} if name == "methods" else {}
        flag = "--set" if name == "overrides" else f"--{name}"
        shared = {**COMMON[name], "default": default, **choices}
        parser.add_argument(flag, dest=name, **shared)
    parser.add_argument("--output", type=Path, default=RESULTS, help="folder of the results")
    parser.add_argument("--measure", nargs="+", help=argparse.SUPPRESS)  # see child_process.py
    return parser


def parse(parser: argparse.ArgumentParser) -> argparse.Namespace:
    """Parse the command line; `command` of the result is the command to record."""
    options = parser.parse_args()
    options.command = command_line(sys.argv)
    return options


def command_line(arguments: list[str]) -> str:
    """Return the command of a process, without folders and programs of this machine."""
    machine = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    for flag in LOCAL:
        machine.add_argument(flag)
    _, words = machine.parse_known_args(arguments[1:])
    return shlex.join(["python", f"benchmarks/{Path(arguments[0]).name}", *words])
