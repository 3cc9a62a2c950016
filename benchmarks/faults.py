"""Inject faults into training and downscaling, as real processes, and look at what is left of them.

Example: python benchmarks/faults.py --faults 200

Each round is one training or one downscaling in a folder on a small file system of its own. It is
started again and again, and a fault strikes at a random moment of each start or before it: it is
killed, asked to stop, the disk fills up or cannot be written to, a second process is started, files
are cut short, lost, or have a bit flipped. In the end the command is left alone, and the round must
end with the very bits of one that nothing happened to. A fault's own outcome must be one of these:
the command went on; it stopped as asked, with the status that --help tells; it refused in one
sentence, status 2, and the same command goes on once the cause is gone. A traceback, another
status, a checkpoint that is gone, or other bits in the end count as lost or wrong.

The table goes to benchmarks/results/faults.md, every fault to faults.json.
"""

import argparse
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
from fault_cases import Downscaling, Training
from results_table import machine, markdown_table, write_text

MEGABYTES = 64  # of a round's file system
SLOW = 300.0  # seconds after which a process counts as hung
HUNG = -999
WENT_ON, STOPPED, REFUSED, FELL_BACK, DONE, BROKEN = (
    "went on",
    "stopped as asked",
    "refused in one sentence",
    "fell back, said so",
    "no effect",
    "lost or wrong",
)
NOTICED = "damaged"  # as the command tells it
MISSED = "missed"  # the process ended before
Happened = tuple[str, int, str]  # outcome, status, what was said
OUTCOMES = (WENT_ON, STOPPED, REFUSED, FELL_BACK, DONE, BROKEN)


@dataclass
class Fault:
    """What was done and what came of it."""

    work: str
    kind: str
    outcome: str = ""
    status: int | None = None
    said: str = ""
    round: int = 0


class Disk:
    """A small file system for a round, or a folder where none may be mounted."""

    def __init__(self, path: Path) -> None:
        self.path = path
        path.mkdir()
        words = ["mount", "-t", "tmpfs", "-o", f"size={MEGABYTES}m", "graphdown-faults", str(path)]
        self.small = subprocess.run(words, capture_output=True).returncode == 0

    @contextmanager
    def full(self) -> Any:
        """Have no room left meanwhile."""
        ballast = self.path / "ballast"
        with open(ballast, "wb", buffering=0) as file:
            try:
                while True:
                    file.write(bytes(2**16))
            except OSError:
                pass
        try:
            yield
        finally:
            ballast.unlink()

    @contextmanager
    def read_only(self) -> Any:
        self._remount("ro")
        try:
            yield
        finally:
            self._remount("rw")

    def close(self) -> None:
        if self.small:
            subprocess.run(["umount", "-l", str(self.path)], check=True)

    def _remount(self, how: str) -> None:
        subprocess.run(["mount", "-o", f"remount,{how}", str(self.path)], check=True)


@dataclass
class Round:
    """One training or downscaling that faults happen to."""

    case: Any
    place: Path
    disk: Disk
    random: np.random.Generator
    seconds: float
    environment: dict[str, str]
    unnoticed: bool = False  # damage that no start has told of yet

    def start(self) -> subprocess.Popen:
        return subprocess.Popen(
            self.case.command(self.disk.path),
            cwd=self.place,
            env=self.environment,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )

    def at_random(self, process: subprocess.Popen) -> bool:
        """Wait for a random moment; tell whether the process is still there."""
        try:
            process.wait(self.random.uniform(0.0, self.seconds))
        except subprocess.TimeoutExpired:
            return True
        return False


def ended(process: subprocess.Popen) -> tuple[int, str]:
    """Return the status of a process and what it said, once it has ended."""
    try:
        _, said = process.communicate(timeout=SLOW)
    except subprocess.TimeoutExpired:
        process.send_signal(signal.SIGABRT)  # lets Python tell where its threads are
        _, said = process.communicate()
        return HUNG, f"Traceback of a process that hung: {said}"
    return process.returncode, said


def judged(status: int, said: str, asked: int = 0) -> str:
    """Return the outcome of a process, of one that a signal was sent to if any."""
    sentences = [x for x in said.splitlines() if x.startswith("graphdown: ")]
    if asked and said.startswith("Fatal Python error: init"):  # before graphdown is there
        return WENT_ON
    if "Traceback" in said or status == HUNG:
        return BROKEN
    if asked and status == -asked:  # before the command begins, or after all that it does
        return REFUSED if sentences else WENT_ON
    if status == 0 or (asked and status == 128 + asked):
        return FELL_BACK if NOTICED in said else STOPPED if status else DONE
    return REFUSED if status == 2 and len(sentences) == 1 else BROKEN


def struck(number: int) -> Callable[[Round], Happened]:
    """Return the fault that sends a signal at a random moment."""

    def fault(round_: Round) -> Happened:
        process = round_.start()
        there = round_.at_random(process)
        if there:
            process.send_signal(number)
        status, said = ended(process)
        return judged(status, said, number) if there else MISSED, status, said

    return fault


def full_disk(round_: Round) -> Happened:
    process = round_.start()
    there = round_.at_random(process)
    with round_.disk.full():
        status, said = ended(process)
    return judged(status, said) if there else MISSED, status, said


def read_only(round_: Round) -> Happened:
    with round_.disk.read_only():
        status, said = ended(round_.start())
    return judged(status, said), status, said


def second_process(round_: Round) -> Happened:
    """Start a second process at a random moment of the first, and kill that afterwards."""
    first = round_.start()
    round_.at_random(first)
    second = round_.start()
    there = round_.at_random(second)
    if there:
        second.send_signal(signal.SIGTERM)
    first_there = first.poll() is None
    if first_there:
        first.send_signal(signal.SIGTERM)
    every = [ended(process) for process in (first, second)]
    outcomes = [judged(status, said, signal.SIGTERM) for status, said in every]
    worst = max(outcomes, key=lambda o: (o == BROKEN, o == REFUSED))
    status, said = every[outcomes.index(worst)]
    return worst, status, said


def damaging(which: str, how: str) -> Callable[[Round], Happened | None]:
    """Return the fault that damages a file before a start that is stopped at a random moment.

    Args:
        which: "made", "others" or "inputs".
        how: "cut short", "bit flipped" or "lost".
    """

    def fault(round_: Round) -> Happened | None:
        if not round_.case.begun(round_.disk.path) or (which == "made" and round_.unnoticed):
            return None  # nothing stands twice damage
        found = (
            [p for p in (round_.place / "inputs").iterdir() if p.is_file()]
            if which == "inputs"
            else getattr(round_.case, which)(round_.disk.path)
        )
        found = [p for p in found if p.stat().st_size]
        if not found:
            return None
        path = found[round_.random.integers(len(found))]
        whole, times = path.read_bytes(), (path.stat().st_atime_ns, path.stat().st_mtime_ns)
        with kept(round_.disk.path, round_.place) as put_back:
            damage(path, whole, how, round_.random)
            process = round_.start()
            if round_.at_random(process):
                process.send_signal(signal.SIGTERM)
            status, said = ended(process)
            outcome = judged(status, said, signal.SIGTERM)
            stopped = outcome in (STOPPED, WENT_ON)  # before it could have noticed
            round_.unnoticed |= which == "made" and stopped
            if which == "inputs" or (which == "others" and stopped):
                path.write_bytes(whole)
                os.utime(path, ns=times)
            if outcome == REFUSED and which != "inputs":
                put_back()
        return outcome, status, f"{path.name}: {said}"

    return fault


@contextmanager
def kept(*folders: Path) -> Any:
    """Keep copies of folders meanwhile; yield what puts them back."""
    with tempfile.TemporaryDirectory() as aside:
        copies = [Path(aside) / str(k) for k in range(len(folders))]
        for folder, copy in zip(folders, copies, strict=True):
            shutil.copytree(folder, copy)

        def put_back() -> None:
            for folder, copy in zip(folders, copies, strict=True):
                for left in folder.iterdir():
                    shutil.rmtree(left) if left.is_dir() else left.unlink()
                shutil.copytree(copy, folder, dirs_exist_ok=True)

        yield put_back


def damage(path: Path, whole: bytes, how: str, random: np.random.Generator) -> None:
    """Damage a file in one of the ways of `damaging`."""
    place = int(random.integers(len(whole)))
    if how == "lost":
        path.unlink()
    elif how == "cut short":
        path.write_bytes(whole[:place])
    else:
        content = bytearray(whole)
        content[place] ^= 1 << int(random.integers(8))
        path.write_bytes(content)


WAYS = ("cut short", "bit flipped", "lost")
PARTS = {
    "made": "unfinished work",
    "others": "another file of the run",
    "inputs": "an input",
}
KINDS: dict[str, Callable] = {
    "kill -9": struck(signal.SIGKILL),
    "SIGTERM": struck(signal.SIGTERM),
    "SIGINT": struck(signal.SIGINT),
    "disk full": full_disk,
    "disk read-only": read_only,
    "a second process": second_process,
    **{
        f"{PARTS[which]} {how}": damaging(which, how)
        for which in PARTS
        for how in WAYS
        if (which, how) != ("inputs", "lost")
    },
}
OFTEN = {"kill -9": 4.0, "SIGTERM": 2.0, "SIGINT": 1.0, "disk full": 2.0}


def play(round_: Round, number: int, count: int, expected: dict[str, str]) -> list[Fault]:
    """Let faults happen to a work, and to another one when it has ended; compare what they leave.

    Args:
        round_: the place for it.
        number: of the round.
        count: of faults.
        expected: what the work must end with.
    """
    kinds = [k for k in KINDS if round_.disk.small or not k.startswith("disk")]
    weights = np.asarray([OFTEN.get(kind, 1.0) for kind in kinds])
    every: list[Fault] = []
    own: list[Fault] = []
    while len(every) < count:
        kind = str(round_.random.choice(kinds, p=weights / weights.sum()))
        before = round_.case.reached(round_.disk.path)
        found = KINDS[kind](round_)
        if found is None:
            continue
        fault = Fault(round_.case.name, kind, *found, round=number)
        fault.said = said_last(fault.said)
        round_.unnoticed &= NOTICED not in fault.said and fault.status != 0
        told = NOTICED in fault.said or round_.unnoticed  # of the latter, the end will tell
        if round_.case.reached(round_.disk.path) < before and not told:
            fault.outcome, fault.said = BROKEN, f"work was lost; {fault.said}"
        if fault.outcome != MISSED:
            own.append(fault)
            every.append(fault)
        if fault.status == 0 or len(every) == count:
            compare(round_, own, expected)
            own = []
            for left in round_.disk.path.iterdir():
                shutil.rmtree(left)
        print(json.dumps(asdict(fault)), flush=True)
    return every


def compare(round_: Round, faults: list[Fault], expected: dict[str, str]) -> None:
    """Let a work end and compare it; of another one all faults that happened to it are to blame."""
    status, said = ended(round_.start())
    found = round_.case.result(round_.disk.path) if status == 0 else {}
    if found != expected:
        wrong = [name for name in expected if found.get(name) != expected[name]]
        for fault in faults:
            fault.outcome = BROKEN
            fault.said += f" || in the end {status}, {wrong[:3]} differ: {said_last(said)}"


def said_last(said: str) -> str:
    """Return the last words of a process without its progress bars."""
    lines = [x for x in said.replace("\r", "\n").splitlines() if x.strip() and "step/s" not in x]
    if "Traceback" in said:
        return said[max(0, said.index("Traceback") - 300) :][:6000]
    told = [x for x in lines if NOTICED in x or x.startswith("graphdown: ")]
    return " | ".join(told[-2:] or lines[-1:])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--faults", type=int, default=200)
    parser.add_argument("--per-round", type=int, default=8, help="faults before a round may end")
    parser.add_argument("--jobs", type=int, default=2, help="rounds at a time")
    parser.add_argument("--seed", type=int, default=0)
    works = ("training", "downscaling")
    parser.add_argument("--works", nargs="+", choices=works, default=works)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        faults = run(options, Path(folder))
    write(options, faults)
    if any(fault.outcome == BROKEN for fault in faults):
        raise SystemExit(1)


def run(options: argparse.Namespace, folder: Path) -> list[Fault]:
    """Play all rounds and return the faults."""
    environment = os.environ | {
        "GRAPHDOWN_CACHE": str(folder / "cache"),
        "JAX_PLATFORMS": "cpu",
        "PYTHONFAULTHANDLER": "1",
        "PYTHONPATH": str(Path(__file__).resolve().parents[1]),
    }
    cases: list[Any] = [Training()]
    cases[0].prepare(folder / "training")
    cases.append(Downscaling(folder / "whole-training" / "run"))
    references = {}
    for case in cases:
        if case.name == "downscaling":
            case.prepare(folder / case.name)
        references[case.name] = reference(case, folder, environment)
    wanted = [case for case in cases if case.name in options.works]
    rounds = -(-options.faults // options.per_round)

    def one(number: int) -> list[Fault]:
        case = wanted[number % len(wanted)]
        expected, seconds = references[case.name]
        place = folder / f"place{number}"
        shutil.copytree(folder / case.name, place)
        disk = Disk(folder / f"disk{number}")
        try:
            random = np.random.default_rng([options.seed, number])
            round_ = Round(case, place, disk, random, seconds, environment)
            return play(round_, number, options.per_round, expected)
        finally:
            disk.close()

    # Where it is ignored, as in what a shell starts in the background, it would not strike.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    with ThreadPoolExecutor(options.jobs) as pool:
        faults = [fault for faults in pool.map(one, range(rounds)) for fault in faults]
    here = (folder, Path(__file__).resolve().parents[1], sys.prefix, sys.base_prefix)
    for fault, place in product(faults, map(str, here)):
        fault.said = fault.said.replace(place, "...")
    return faults


def reference(case: Any, folder: Path, environment: dict[str, str]) -> tuple[dict, float]:
    """Return what the work ends with when nothing happens, twice the same, and its seconds."""
    results = []
    for name in ("first", "whole"):  # the first one fills the cache of compiled programs
        disk = folder / f"{name}-{case.name}"
        disk.mkdir()
        words = case.command(disk)
        began = time.monotonic()
        subprocess.run(words, cwd=folder / case.name, env=environment, check=True)
        seconds = time.monotonic() - began
        results.append(case.result(disk))
    if results[0] != results[1]:
        raise SystemExit(f"Two runs of the {case.name} differ though nothing happened to them.")
    return results[1], seconds


def write(options: argparse.Namespace, faults: list[Fault]) -> None:
    command = f"python benchmarks/faults.py --faults {options.faults} --seed {options.seed}"
    command += f" --jobs {options.jobs} --per-round {options.per_round}"
    command += f" --works {' '.join(options.works)}" if len(options.works) < 2 else ""
    counts = Counter((f.work, f.kind, f.outcome) for f in faults)
    rows = []
    for work, kind in sorted({(f.work, f.kind) for f in faults}):
        own = [counts[work, kind, outcome] for outcome in OUTCOMES]
        rows.append([work, kind, str(sum(own)), *(str(n or "") for n in own[:-1]), str(own[-1])])
    totals = [sum(counts[key] for key in counts if key[2] == outcome) for outcome in OUTCOMES]
    rows.append(["all", "", str(len(faults)), *map(str, totals)])
    lines = [
        "# Faults, and what is left after them",
        "",
        f"Command: `{command}`. Machine: {machine()}.",
        "",
        f"{len(faults)} faults in {len({f.round for f in faults})} rounds: one training or one "
        "downscaling each, started again after every fault and left alone in the end, when it must "
        "hold the very bits of one that nothing happened to: state, emulator and metrics.csv of a "
        "training, all chunks of a zarr store. A full disk is a small tmpfs that is filled at a "
        "random moment. See benchmarks/faults.py for what counts as lost or wrong.",
        "",
        *markdown_table(("work", "fault", "times", *OUTCOMES), rows),
    ]
    write_text("faults.md", lines)
    record = {"command": command, "machine": machine(), "faults": [asdict(f) for f in faults]}
    write_text("faults.json", [json.dumps(record, indent=1)])
    print("\n".join(lines))


if __name__ == "__main__":
    main()
