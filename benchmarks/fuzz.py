"""Pass broken experiments, files and folders to `graphdown`: one sentence for each, and no hang.

Example: python benchmarks/fuzz.py --minutes 30

Each case changes a valid, tiny experiment, netCDF file, emulator or checkpoint, in its bytes or in
their meaning, and calls the command line in this process. It must end normally, or with one
sentence and status 2, within a minute. Cases depend on their number and the seed, so that
`--only 17` repeats one. A second process watches over the first, which a library may crash.

Then random files of one variable are read, `--files` of them with a planted fault in their meaning,
see planted_faults.py, and as many honest ones. None of the former may pass with other values than
the true ones and without a sentence; none of the latter may be refused or give other values.
The counts are written to benchmarks/results/fuzz.md.
"""

import argparse
import contextlib
import faulthandler
import io
import json
import logging
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
import traceback
import warnings
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from common_arguments import benchmark_parser, parse
from fault_cases import COARSE, EXPERIMENT, FINE, weather
from planted_faults import FAULTS, HONEST, drawn_with, outcome_of
from results_table import markdown_table, page_head, write_results

HANG = 60.0  # seconds
MEMORY = 16 * 2**30  # bytes of addresses
DAYS = 40
ODD: tuple[Any, ...] = (
    None,
    "",
    "x",
    "x" * 3000,
    "../../outside",
    "/",
    "*",
    "a\x00b",
    "\u202e\U0001f600",
    "${NOWHERE}",
    "${",
    "2001-13-45",
    "nan",
    [],
    {},
    [[]],
    {"a": {"b": []}},
    True,
    0,
    1,
    -1,
    2**31,
    2**63,
    10**40,
    0.5,
    -0.0,
    1e-320,
    1e308,
    float("nan"),
    float("inf"),
)
ATTRIBUTES = (
    "units",
    "calendar",
    "standard_name",
    "coordinates",
    "bounds",
    "grid_mapping",
    "scale_factor",
    "add_offset",
    "missing_value",
    "valid_range",
    "cell_methods",
    "axis",
    "positive",
    "flag_values",
    "dtype",
    "cf_role",
)
NUMBERS = (np.nan, np.inf, -np.inf, 0.0, -1.0, 1e30, 1e-40, 1e308, 90.0, 360.0, -9999.0, 9.96921e36)

Random = np.random.Generator


class Place:
    """A folder with valid files, and copies of them to break."""

    def __init__(self, folder: Path, trained: bool = True) -> None:
        """Write the files and, where cases need it, the run that belongs to them."""
        self.whole, self.work = folder / "whole", folder / "work"
        self.whole.mkdir()
        weather(COARSE, ("tas", "pr", "ua850"), DAYS).to_netcdf(self.whole / "source.nc")
        weather(FINE, ("tas", "pr"), DAYS).to_netcdf(self.whole / "target.nc")
        for name in ("source", "target"):
            classic = weather(COARSE if name == "source" else FINE, ("tas", "pr", "ua850"), DAYS)
            classic.to_netcdf(self.whole / f"{name}3.nc", format="NETCDF3_CLASSIC")
        (self.whole / "e.yaml").write_text(yaml.safe_dump(experiment()), encoding="utf-8")
        if trained:
            from graphdown.config.experiment_file import load_experiment
            from graphdown.training import train

            os.chdir(self.whole)
            train(load_experiment("e.yaml"))

    def fresh(self) -> Path:
        """Return the folder with new copies, which is the working directory from now on."""
        os.chdir("/")
        shutil.rmtree(self.work, ignore_errors=True)
        shutil.copytree(self.whole, self.work)
        os.chdir(self.work)
        return self.work


def experiment() -> dict[str, Any]:
    """Return the experiment that is changed."""
    inputs = {
        "target": {"files": ["target.nc"], "units": {"tas": "K"}},
        "sources": [{"name": "a", "files": ["source.nc"], "select": {}}],
        "unseen": [],
    }
    periods = {
        "train": ["2001-01-01", "2001-01-20"],
        "validation": ["2001-01-21", "2001-01-31"],
        "test": ["2001-02-01", "2001-02-09"],
    }
    training = {**EXPERIMENT["training"], "steps": 2, "validate_every": 1, "warming_offset": [0, 1]}
    training |= {"losses": {"tas": "mae"}, "sample_storage": "memory", "backend": "shard_map"}
    model = {**EXPERIMENT["model"], "target_regression": 0, "heads": {}, "noise": 0}
    keys = {"output": "run", "data": inputs, "periods": periods, "training": training}
    keys |= {"model": model, "optional_predictors": [], "baselines": ["bilinear"], "seed": 0}
    return {**EXPERIMENT, **keys}


def odd(random: Random) -> Any:
    return ODD[random.integers(len(ODD))]


def change_tree(tree: Any, random: Random) -> Any:
    """Return nested dicts and lists with one place changed."""
    places = list(_places(tree))
    holder, key = places[random.integers(len(places))]
    action = random.integers(6)
    if action == 0:
        del holder[key]
    elif action == 1 and isinstance(holder, dict):
        holder[str(key)[:-1] or "x"] = holder.pop(key)
    elif action == 2:
        other, name = places[random.integers(len(places))]
        with contextlib.suppress(KeyError, IndexError):
            holder[key] = json.loads(json.dumps(other[name], default=str))
    elif action == 3 and isinstance(holder[key], int | float):
        holder[key] = holder[key] * float(random.choice([-1, 0, 1e-3, 10, 1e3, 1e9]))
    else:
        holder[key] = odd(random)
    return tree


def _places(tree: Any) -> Any:
    keys = tree if isinstance(tree, dict) else range(len(tree)) if isinstance(tree, list) else ()
    for key in list(keys):
        yield tree, key
        yield from _places(tree[key])


def change_bytes(path: Path, random: Random, most: int | None = None) -> None:
    """Cut a file short, or change some of its first bytes."""
    content = bytearray(path.read_bytes())
    reach = min(len(content), most or len(content))
    if random.random() < 0.15:
        path.write_bytes(content[: random.integers(len(content))])
        return
    for _ in range(random.integers(1, 6)):
        place = int(random.integers(reach))
        if random.random() < 0.5:
            content[place] ^= 1 << int(random.integers(8))
        else:
            content[place : place + 4] = random.bytes(4) if random.random() < 0.5 else b"\xff" * 4
    path.write_bytes(content)


BOMBS = (
    "a: &a [x, x, x, x, x, x, x, x]\n"
    + "\n".join(
        f"{c}: &{c} [{', '.join([f'*{b}'] * 8)}]"
        for b, c in zip("abcdefgh", "bcdefghi", strict=True)
    )
    + "\n",
    "name: " + "[" * 5000,
    "? " * 3000,
    "name: !!python/object/apply:os.system ['true']\n",
    "a: &a {b: *a}\n",
    "name: &x [*x]\n",
    "\x00\x01",
    "%YAML 9.9\n---\n",
    "name: " + "9" * 5000 + "\n",
    "2001-99-99: 1\n",
    "- a\n- b\n",
    "? [a, b]\n: 1\n",
    "1: 2\nnull: 3\n",
)


def change_experiment(path: Path, random: Random) -> None:
    kind = random.random()
    if kind < 0.1:
        path.write_text(BOMBS[random.integers(len(BOMBS))] + path.read_text(), encoding="utf-8")
    elif kind < 0.3:
        change_bytes(path, random)
    else:
        tree = yaml.safe_load(path.read_text(encoding="utf-8"))
        for _ in range(random.integers(1, 3)):
            tree = change_tree(tree, random)
        path.write_text(yaml.safe_dump(tree), encoding="utf-8")


def change_netcdf(path: Path, random: Random) -> None:
    """Break the header of a file, or change its metadata and values."""
    if random.random() < 0.4:
        change_bytes(path, random, most=int(random.choice([64, 1000, 8000])))
        return
    import netCDF4

    with netCDF4.Dataset(path, "a") as ds, contextlib.suppress(Exception):
        for _ in range(random.integers(1, 3)):
            variable = ds.variables[str(random.choice(sorted(ds.variables)))]
            _change_variable(ds, variable, random)


def _change_variable(ds: Any, variable: Any, random: Random) -> None:
    action = random.integers(7)
    if action == 0:
        value = odd(random)
        value = value if isinstance(value, str | float) else random.choice(NUMBERS)
        variable.setncattr(str(random.choice(ATTRIBUTES)), value)
    elif action == 1 and variable.ncattrs():
        variable.delncattr(str(random.choice(variable.ncattrs())))
    elif action == 2:
        ds.renameVariable(variable.name, str(random.choice(["x", "lon", "lat", "time", "orog"])))
    elif action == 3:
        ds.renameDimension(str(random.choice(sorted(ds.dimensions))), "y")
    elif action == 4:
        variable[...] = random.choice(NUMBERS)
    elif action == 5:
        values = variable[...].copy()
        values.flat[random.integers(values.size)] = random.choice(NUMBERS)
        variable[...] = values
    else:
        variable[...] = random.permutation(variable[...].ravel()).reshape(variable.shape)


def experiment_case(place: Path, random: Random) -> list[str]:
    change_experiment(place / "e.yaml", random)
    shutil.rmtree(place / "run")
    command = str(random.choice(["check", "train", "pretrain", "set"]))
    if command == "check":
        return ["check", "--experiment", "e.yaml"]
    if command == "set":
        value = str(odd(random)).replace("\x00", "")
        key = str(random.choice(["training.steps", "model", "data.sources", "x", "", "a.b.c", "."]))
        return ["train", "e.yaml", "--set", f"{key}={value}"]
    return [command, "e.yaml"]


def netcdf_case(place: Path, random: Random) -> list[str]:
    name = str(random.choice(["source", "target"])) + str(random.choice(["", "3"]))
    change_netcdf(place / f"{name}.nc", random)
    commands = [
        ["check", f"{name}.nc"],
        ["check", "source.nc", "--target", f"{name}.nc"],
        ["downscale", "run", f"{name}.nc", "-o", "out.nc"],
        ["downscale", "run", f"{name}.nc", "-o", "out.zarr"],
        ["downscale", "run", "source.nc", "-o", "out.nc", "--target", f"{name}.nc"],
        ["evaluate", f"{name}.nc", "--truth", "target.nc"],
        ["graph", f"{name}.nc", "target.nc", "--mesh-level", "4"],
        ["train", "e.yaml", "--set", "output=new", f"data.sources.0.files=[{name}.nc]"],
    ]
    return commands[random.integers(len(commands))]


def emulator_case(place: Path, random: Random) -> list[str]:
    folder = place / "run" / "emulator"
    if random.random() < 0.5:
        path = list(folder.iterdir())[random.integers(len(list(folder.iterdir())))]
        change_bytes(path, random)
    else:
        forge_emulator(folder, random)
    if random.random() < 0.7:
        return ["downscale", "run", "source.nc", "-o", "out.nc"]
    if random.random() < 0.4:
        return ["finetune", "run", "--data", "a", "--years", "1"]
    return ["train", "e.yaml"] if random.random() < 0.7 else ["evaluate", "run"]


def forge_emulator(folder: Path, random: Random) -> None:
    """Change an emulator's schema or parameters, and the hash with them."""
    from graphdown.runtime.hashing import checkpoint_sha256

    path, parameters = folder / "emulator.json", folder / "parameters.npz"
    with np.load(parameters) as archive:
        arrays = {name: archive[name] for name in archive.files}
    schema = json.loads(path.read_text(encoding="utf-8"))
    if random.random() < 0.7:
        schema = change_tree(schema, random)
    else:
        name = str(random.choice(sorted(arrays)))
        arrays[name] = [
            arrays[name][..., :0],
            arrays[name].astype(np.complex64),
            arrays[name] * np.float32(np.nan),
            np.asarray("text"),
            np.zeros((1,) * 30, np.float32),
        ][random.integers(5)]
        np.savez(parameters, **arrays)
        if random.random() < 0.3:
            forge_header(parameters, random)
    hashed = {k: v for k, v in schema.items() if k not in ("sha256", "versions")}
    if random.random() < 0.9:
        schema["sha256"] = checkpoint_sha256(arrays, hashed)
    path.write_text(json.dumps(schema), encoding="utf-8")


def forge_header(path: Path, random: Random) -> None:
    """Let an array of an .npz file claim to be huge."""
    content = path.read_bytes()
    start = content.find(b"'shape': (")
    end = content.find(b")", start)
    claimed = str(random.choice(["9" * 12 + ",", "1" + "0" * 30 + ",", "-1,", "2,2"]))
    room = end - start - 10
    path.write_bytes(content[: start + 10] + claimed[:room].ljust(room).encode() + content[end:])


def checkpoint_case(place: Path, random: Random) -> list[str]:
    from graphdown.training.run.checkpoint import PROGRESS, _hashes

    checkpoints = sorted((place / "run" / "checkpoints").iterdir())
    folder = checkpoints[random.integers(len(checkpoints))]
    files = sorted(p for p in folder.rglob("*") if p.is_file())
    path = files[random.integers(len(files))]
    if random.random() < 0.5:
        change_bytes(path, random)
    else:
        tree = json.loads((folder / PROGRESS).read_text(encoding="utf-8"))
        if path.name != PROGRESS and random.random() < 0.5:
            change_bytes(path, random)
            tree["files"] = _hashes(folder)
        tree = change_tree(tree, random)
        (folder / PROGRESS).write_text(json.dumps(tree), encoding="utf-8")
    others = ["metrics.csv", "experiment.yaml", "fields.json"]
    if random.random() < 0.3:
        change_bytes(place / "run" / str(random.choice(others)), random)
    return ["train", "e.yaml"]


CASES: dict[str, Callable[[Path, Random], list[str]]] = {
    "experiment": experiment_case,
    "netCDF": netcdf_case,
    "emulator": emulator_case,
    "checkpoint": checkpoint_case,
}


def call(words: list[str]) -> tuple[str, str]:
    """Return how a command ends, "ended", "refused" or "broken", and its message."""
    from graphdown.cli import main as command

    out, err = io.StringIO(), io.StringIO()
    try:
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            command(words)
        return "ended", ""
    except SystemExit as left:
        message = err.getvalue()
        sentences = [x for x in message.splitlines() if x.startswith("graphdown: ")]
        if left.code in (0, None) or (left.code == 1 and words[0] == "check"):
            return "ended", ""
        if left.code == 2 and "Traceback" not in message and len(sentences) == 1:
            return ("refused", sentences[0]) if len(sentences[0]) < 4000 else ("broken", message)
        if left.code == 2 and words[0] == "train" and "--set" in words and not sentences:
            return "refused", "the command line"
        return "broken", f"status {left.code}: {message}"
    except BaseException:
        return "broken", traceback.format_exc()


def play(place: Place, number: int, seed: int, kinds: list[str]) -> dict[str, Any]:
    """Run the case of a number."""
    random = np.random.default_rng([seed, number])
    kind = kinds[number % len(kinds)]
    words = CASES[kind](place.fresh(), random)
    outside = {p.name for p in place.work.parent.iterdir()}
    began = time.monotonic()
    outcome, message = call(words)
    if {p.name for p in place.work.parent.iterdir()} != outside:
        outcome, message = "broken", "something was written outside"
    seconds = round(time.monotonic() - began, 2)
    return {
        "number": number,
        "kind": kind,
        "words": " ".join(words)[:200],
        "outcome": outcome,
        "message": message,
        "seconds": seconds,
    }


def work(options: argparse.Namespace) -> None:
    """Run cases one after the other; print a line before and after each."""
    os.environ["GRAPHDOWN_CACHE"] = ""
    import jax

    jax.config.update("jax_disable_most_optimizations", True)
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    warnings.simplefilter("ignore")
    logging.getLogger("absl").setLevel(logging.CRITICAL)
    until = time.monotonic() + 60 * options.minutes
    with tempfile.TemporaryDirectory() as folder:
        place = Place(Path(folder))
        number = options.first
        while time.monotonic() < until and number < options.first + options.cases:
            print(json.dumps({"begins": number}), flush=True)
            faulthandler.dump_traceback_later(HANG, exit=True)
            case = play(place, number, options.seed, options.kinds)
            faulthandler.cancel_dump_traceback_later()
            print(json.dumps(case), flush=True)
            number += 1
        os.chdir("/")


def watch(options: argparse.Namespace) -> list[dict[str, Any]]:
    """Let processes run cases until the time is over; return the cases."""
    until, first, cases = time.monotonic() + 60 * options.minutes, options.first, []
    last = options.first + options.cases
    while (left := until - time.monotonic()) > 0 and first < last:
        words = ["--minutes", str(left / 60), "--first", str(first), "--cases", str(last - first)]
        finished, begun, end = watch_process(options, words)
        cases += finished
        if end == "":
            break
        if begun is None:
            raise SystemExit(f"No case could be run: {end}")
        crash = {"number": begun, "kind": options.kinds[begun % len(options.kinds)], "words": ""}
        crash |= {"outcome": "broken", "seconds": HANG, "message": f"crash or hang {end}"}
        print(json.dumps(crash, indent=1), flush=True)
        cases.append(crash)
        first = begun + 1
    return cases


def watch_process(
    options: argparse.Namespace, words: list[str]
) -> tuple[list[dict[str, Any]], int | None, str]:
    """Let one process run cases.

    Returns:
        The cases that it finished; the number of the case that it did not finish, if any; its
        status and last messages, empty if it ended normally.
    """
    command = [sys.executable, __file__, "--work", "--seed", str(options.seed), *words]
    environment = os.environ | {"PYTHONPATH": str(Path(__file__).resolve().parents[1])}
    finished: list[dict[str, Any]] = []
    begun = None
    with tempfile.TemporaryFile("w+") as errors:
        process = subprocess.Popen(
            [*command, "--kinds", *options.kinds],
            stdout=subprocess.PIPE,
            stderr=errors,
            env=environment,
            text=True,
        )
        assert process.stdout is not None
        for line in process.stdout:
            report = json.loads(line) if line.startswith("{") else {}
            if "begins" in report:
                begun = report["begins"]
            elif "outcome" in report:
                finished.append(report)
                begun = None
                if report["outcome"] == "broken":
                    print(json.dumps(report, indent=1), flush=True)
        status = process.wait()
        errors.seek(0)
        messages = errors.read()[-6000:]
    return finished, begun, f"{status}: {messages}" if status else ""


def read_files(options: argparse.Namespace) -> list[dict[str, Any]]:
    """Read files with planted faults, and as many honest ones; return how each ended."""
    warnings.simplefilter("ignore")
    kinds = [kind for fault in FAULTS for kind in (fault, HONEST)]
    cases = []
    with tempfile.TemporaryDirectory() as folder:
        for number in range(2 * options.files):
            kind = kinds[number % len(kinds)]
            random = np.random.default_rng([options.seed, 1, number])
            drawn, paths = drawn_with(kind, random, Path(folder) / "files")
            outcome, message = outcome_of(kind, drawn, paths)
            good = ("right",) if kind == HONEST else ("right", "refused", "doubted")
            case = {"number": number, "kind": kind, "outcome": outcome, "good": outcome in good}
            if not case["good"]:
                print(json.dumps({**case, "message": message}, indent=1), flush=True)
            cases.append(case)
    return cases


def main() -> None:
    parser = benchmark_parser(__doc__, seed=0)
    parser.add_argument("--minutes", type=float, default=30.0)
    parser.add_argument("--cases", type=int, default=10**9, help="most cases to run")
    parser.add_argument("--files", type=int, default=500, help="files with a planted fault")
    parser.add_argument("--first", type=int, default=0, help="number of the first case")
    parser.add_argument("--only", type=int, help="run a single case and print its message")
    parser.add_argument("--kinds", nargs="+", choices=tuple(CASES), default=list(CASES))
    parser.add_argument("--work", action="store_true", help=argparse.SUPPRESS)
    options = parse(parser)
    if options.only is not None:
        options.first, options.cases = options.only, 1
    if options.work or options.only is not None:
        work(options)
        return
    began = time.monotonic()
    cases = watch(options)
    minutes = (time.monotonic() - began) / 60
    files = read_files(options)
    write(options, cases, minutes, files)
    if any(case["outcome"] == "broken" for case in cases) or not all(f["good"] for f in files):
        raise SystemExit(1)


def write(
    options: argparse.Namespace,
    cases: list[dict[str, Any]],
    minutes: float,
    files: list[dict[str, Any]],
) -> None:
    counts = Counter((case["kind"], case["outcome"]) for case in cases)
    outcomes = ("ended", "refused", "broken")
    rows = [[kind, *(str(counts[kind, outcome]) for outcome in outcomes)] for kind in options.kinds]
    slowest = max((case["seconds"] for case in cases), default=0.0)
    lines = [
        *page_head("Broken experiments, files and folders", options),
        f"{len(cases)} cases in {minutes:.1f} minutes, the slowest took {slowest:.1f} s. Refused: "
        "one sentence and status 2. Broken: a traceback, another status, a crash, a minute without "
        "an end, or something written outside the folder.",
        "",
        *markdown_table(("broken input", "ended normally", "refused", "broken"), rows),
        "",
        *planted_lines(files),
    ]
    write_results(options, "fuzz", lines)


def planted_lines(files: list[dict[str, Any]]) -> list[str]:
    """Return the lines on files with planted faults and honest ones."""
    outcomes = ("right", "doubted", "refused", "silent", "broken")
    counts = Counter((file["kind"], file["outcome"]) for file in files)
    rows = [
        [kind, *(str(counts[kind, outcome]) for outcome in outcomes)] for kind in (HONEST, *FAULTS)
    ]
    return [
        "Random files with one planted fault each, and honest ones. Right: the true values. "
        "Doubted: other values, and a sentence that warns. Silent: other values without one, or "
        "values that something else in the files contradicts.",
        "",
        *markdown_table(("planted", *outcomes), rows),
    ]


if __name__ == "__main__":
    main()
