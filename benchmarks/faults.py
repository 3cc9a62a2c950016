"""Inject faults into trainings and downscalings, as real processes, and check their results.

Example: python benchmarks/faults.py --faults 200

Each round is one training or one downscaling in a folder on a small file system of its own. It is
started again and again, and a fault strikes at a random moment of each start or before it: the
process is killed or asked to stop, the disk fills up or cannot be written to, a second process is
started, files are cut short, lost, or have a bit flipped. In the end the command runs undisturbed,
and the round must end with the bits of one without faults. The outcome of a fault must be one of
these: the command continued; it stopped as asked, with the status documented in --help; it refused
in one sentence, status 2, and the same command resumes once the cause is gone. A traceback, another
status, a missing checkpoint, or other bits in the end count as lost or wrong.

The table is written to benchmarks/results/faults.md, every fault to faults.json.
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
from common_arguments import benchmark_parser, parse
from fault_cases import Downscaling, Training
from results_table import markdown_table, page_head, write_results

MEGABYTES = 64  # of a round's file system
SLOW = 300.0  # seconds after which a process counts as hung
HUNG = -999
CONTINUED, STOPPED, REFUSED, FELL_BACK, DONE, BROKEN = (
    "continued",
    "stopped as asked",
    "refused in one sentence",
    "fell back, reported it",
    "no effect",
    "lost or wrong",
)
NOTICED = "damaged"  # in the command's message
MISSED = "missed"  # the process ended before
Happened = tuple[str, int, str]  # outcome, status, message
OUTCOMES = (CONTINUED, STOPPED, REFUSED, FELL_BACK, DONE, BROKEN)


@dataclass
class Fault:
    """A fault and its outcome."""

    work: str
    kind: str
    outcome: str = ""
    status: int | None = None
    message: str = ""
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
        """Fill the file system meanwhile."""
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
    """One training or downscaling with faults."""

    case: Any
    place: Path
    disk: Disk
    random: np.random.Generator
    seconds: float
    environment: dict[str, str]
    unnoticed: bool = False  # damage that no start has reported yet

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
        """Wait for a random moment; return whether the process is still running."""
        try:
            process.wait(self.random.uniform(0.0, self.seconds))
        except subprocess.TimeoutExpired:
            return True
        return False


def ended(process: subprocess.Popen) -> tuple[int, str]:
    """Return the status of a process and its messages, once it has ended."""
    try:
        _, message = process.communicate(timeout=SLOW)
    except subprocess.TimeoutExpired:
        process.send_signal(signal.SIGABRT)  # makes Python print where its threads are
        _, message = process.communicate()
        return HUNG, f"Traceback of a process that hung: {message}"
    return process.returncode, message


def outcome_of(status: int, message: str, sent: int = 0) -> str:
    """Return the outcome of a process, to which a signal was sent if any."""
    sentences = [x for x in message.splitlines() if x.startswith("graphdown: ")]
    if sent and message.startswith("Fatal Python error: init"):  # before graphdown is imported
        return CONTINUED
    if "Traceback" in message or status == HUNG:
        return BROKEN
    if sent and status == -sent:  # before the command begins, or after its work
        return REFUSED if sentences else CONTINUED
    if status == 0 or (sent and status == 128 + sent):
        return FELL_BACK if NOTICED in message else STOPPED if status else DONE
    return REFUSED if status == 2 and len(sentences) == 1 else BROKEN


def signalling(number: int) -> Callable[[Round], Happened]:
    """Return the fault that sends a signal at a random moment."""

    def fault(round_: Round) -> Happened:
        process = round_.start()
        running = round_.at_random(process)
        if running:
            process.send_signal(number)
        status, message = ended(process)
        return outcome_of(status, message, number) if running else MISSED, status, message

    return fault


def full_disk(round_: Round) -> Happened:
    process = round_.start()
    running = round_.at_random(process)
    with round_.disk.full():
        status, message = ended(process)
    return outcome_of(status, message) if running else MISSED, status, message


def read_only(round_: Round) -> Happened:
    with round_.disk.read_only():
        status, message = ended(round_.start())
    return outcome_of(status, message), status, message


def second_process(round_: Round) -> Happened:
    """Start a second process at a random moment of the first, and kill that afterwards."""
    first = round_.start()
    round_.at_random(first)
    second = round_.start()
    if round_.at_random(second):
        second.send_signal(signal.SIGTERM)
    if first.poll() is None:
        first.send_signal(signal.SIGTERM)
    ends = [ended(process) for process in (first, second)]
    outcomes = [outcome_of(status, message, signal.SIGTERM) for status, message in ends]
    worst = max(outcomes, key=lambda o: (o == BROKEN, o == REFUSED))
    status, message = ends[outcomes.index(worst)]
    return worst, status, message


def damaging(which: str, how: str) -> Callable[[Round], Happened | None]:
    """Return the fault that damages a file before a start that is stopped at a random moment.

    Args:
        which: "checkpoints", "others" or "inputs".
        how: "cut short", "bit flipped" or "lost".
    """

    def fault(round_: Round) -> Happened | None:
        checkpoints = round_.case.checkpoints(round_.disk.path)
        if not checkpoints or (which == "checkpoints" and round_.unnoticed):
            return None  # no run survives damage twice
        candidates = {
            "checkpoints": checkpoints,
            "others": round_.case.others(round_.disk.path),
            "inputs": [p for p in (round_.place / "inputs").iterdir() if p.is_file()],
        }[which]
        candidates = [p for p in candidates if p.stat().st_size]
        if not candidates:
            return None
        path = candidates[round_.random.integers(len(candidates))]
        whole, times = path.read_bytes(), (path.stat().st_atime_ns, path.stat().st_mtime_ns)
        with kept(round_.disk.path, round_.place) as put_back:
            damage(path, whole, how, round_.random)
            process = round_.start()
            if round_.at_random(process):
                process.send_signal(signal.SIGTERM)
            status, message = ended(process)
            outcome = outcome_of(status, message, signal.SIGTERM)
            stopped = outcome in (STOPPED, CONTINUED)  # before it could have noticed
            round_.unnoticed |= which == "checkpoints" and stopped
            if which == "inputs" or (which == "others" and stopped):
                path.write_bytes(whole)
                os.utime(path, ns=times)
            if outcome == REFUSED and which != "inputs":
                put_back()
        return outcome, status, f"{path.name}: {message}"

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
    "checkpoints": "unfinished work",
    "others": "another file of the run",
    "inputs": "an input",
}
KINDS: dict[str, Callable] = {
    "kill -9": signalling(signal.SIGKILL),
    "SIGTERM": signalling(signal.SIGTERM),
    "SIGINT": signalling(signal.SIGINT),
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
    """Inject faults into a run, and into another one when it has ended; compare their results.

    Args:
        round_: the run's command, folders and file system.
        number: of the round.
        count: of faults.
        expected: hashes of the result without faults.
    """
    kinds = [k for k in KINDS if round_.disk.small or not k.startswith("disk")]
    weights = np.asarray([OFTEN.get(kind, 1.0) for kind in kinds])
    faults: list[Fault] = []
    of_run: list[Fault] = []
    while len(faults) < count:
        kind = str(round_.random.choice(kinds, p=weights / weights.sum()))
        before = round_.case.reached(round_.disk.path)
        happened = KINDS[kind](round_)
        if happened is None:
            continue
        fault = Fault(round_.case.name, kind, *happened, round=number)
        fault.message = last_lines(fault.message)
        round_.unnoticed &= NOTICED not in fault.message and fault.status != 0
        reported = NOTICED in fault.message or round_.unnoticed  # the latter shows in the end
        if round_.case.reached(round_.disk.path) < before and not reported:
            fault.outcome, fault.message = BROKEN, f"work was lost; {fault.message}"
        if fault.outcome != MISSED:
            of_run.append(fault)
            faults.append(fault)
        if fault.status == 0 or len(faults) == count:
            compare(round_, of_run, expected)
            of_run = []
            for left in round_.disk.path.iterdir():
                shutil.rmtree(left)
        print(json.dumps(asdict(fault)), flush=True)
    return faults


def compare(round_: Round, faults: list[Fault], expected: dict[str, str]) -> None:
    """Let a run end and compare its result; if it differs, all of the run's faults are broken."""
    status, message = ended(round_.start())
    result = round_.case.result(round_.disk.path) if status == 0 else {}
    if result != expected:
        wrong = [name for name in expected if result.get(name) != expected[name]]
        for fault in faults:
            fault.outcome = BROKEN
            fault.message += f" || in the end {status}, {wrong[:3]} differ: {last_lines(message)}"


def last_lines(message: str) -> str:
    """Return the last messages of a process without its progress bars."""
    lines = [x for x in message.replace("\r", "\n").splitlines() if x.strip()]
    lines = [x for x in lines if "step/s" not in x]
    if "Traceback" in message:
        return message[max(0, message.index("Traceback") - 300) :][:6000]
    notices = [x for x in lines if NOTICED in x or x.startswith("graphdown: ")]
    return " | ".join(notices[-2:] or lines[-1:])


def main() -> None:
    parser = benchmark_parser(__doc__, jobs=2, seed=0, steps=300, days=20000)
    parser.add_argument("--faults", type=int, default=200)
    parser.add_argument("--per-round", type=int, default=8, help="faults before a round may end")
    works = ("training", "downscaling")
    parser.add_argument("--works", nargs="+", choices=works, default=works)
    options = parse(parser)
    with tempfile.TemporaryDirectory() as folder:
        faults = run(options, Path(folder))
    write(options, faults)
    if any(fault.outcome == BROKEN for fault in faults):
        raise SystemExit(1)


def run(options: argparse.Namespace, folder: Path) -> list[Fault]:
    """Run all rounds and return the faults."""
    environment = os.environ | {
        "GRAPHDOWN_CACHE": str(folder / "cache"),
        "JAX_PLATFORMS": "cpu",
        "PYTHONFAULTHANDLER": "1",
        "PYTHONPATH": str(Path(__file__).resolve().parents[1]),
    }
    training = Training(options.steps)
    cases: list[Any] = [training]
    if "downscaling" in options.works:
        cases.append(Downscaling(folder / "whole-training" / "run", options.days))
    references = {}
    for case in cases:  # a downscaling needs the emulator of the training
        case.prepare(folder / case.name)
        references[case.name] = reference(case, folder, environment)
    chosen = [case for case in cases if case.name in options.works]
    rounds = -(-options.faults // options.per_round)

    def one(number: int) -> list[Fault]:
        case = chosen[number % len(chosen)]
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
        fault.message = fault.message.replace(place, "...")
    return faults


def reference(case: Any, folder: Path, environment: dict[str, str]) -> tuple[dict, float]:
    """Return hashes of the result without faults, the same twice, and the seconds of a run."""
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
        raise SystemExit(f"Two runs of the {case.name} without faults differ.")
    return results[1], seconds


def write(options: argparse.Namespace, faults: list[Fault]) -> None:
    counts = Counter((f.work, f.kind, f.outcome) for f in faults)
    rows = []
    for work, kind in sorted({(f.work, f.kind) for f in faults}):
        times = [counts[work, kind, outcome] for outcome in OUTCOMES]
        cells = [*(str(n or "") for n in times[:-1]), str(times[-1])]
        rows.append([work, kind, str(sum(times)), *cells])
    totals = [sum(counts[key] for key in counts if key[2] == outcome) for outcome in OUTCOMES]
    rows.append(["all", "", str(len(faults)), *map(str, totals)])
    lines = [
        *page_head("Faults and their outcomes", options),
        f"{len(faults)} faults in {len({f.round for f in faults})} rounds: one training or one "
        "downscaling each, started again after every fault and undisturbed in the end, when it "
        "must hold the bits of a run without faults: state, emulator and metrics.csv of a "
        "training, all chunks of a zarr store. A full disk is a small tmpfs that is filled at a "
        "random moment. benchmarks/faults.py defines lost and wrong.",
        "",
        *markdown_table(("work", "fault", "times", *OUTCOMES), rows),
    ]
    write_results(options, "faults", lines, {"faults": [asdict(fault) for fault in faults]})


if __name__ == "__main__":
    main()
