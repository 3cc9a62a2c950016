"""Measurements in a process of their own, and the memory of processes."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any


def measure_in_child(script: str, *words: object, **environment: str) -> Any:
    """Run a benchmark's script with `--measure WORDS`; return the JSON that it prints last.

    Args:
        script: path of the script.
        words: passed to it, as text.
        environment: variables over those of this process.
    """
    command = [sys.executable, script, "--measure", *map(str, words)]
    done = subprocess.run(
        command, env=os.environ | environment, check=True, stdout=subprocess.PIPE, text=True
    )
    return json.loads(done.stdout.splitlines()[-1])


def process_peak(process: int | str = "self") -> int:
    """Return the peak of memory of a process in bytes, by default of this one.

    That of rusage would count the process that it was forked from.
    """
    status = Path(f"/proc/{process}/status").read_text(encoding="ascii")
    return 1024 * int(status.split("VmHWM:")[1].split()[0])
