"""Give `graphdown` broken experiments, files and folders: one sentence for each, and no hang.

Example: python benchmarks/fuzz.py --minutes 30

Each case changes a whole, tiny experiment, netCDF file, emulator or checkpoint, in its bytes or in
what they mean, and calls the command line in this process. It must end normally, or with one
sentence and status 2, within a minute. Cases are made by their number and the seed, so that
`--only 17` does one again. A second process watches over the first, which a library may crash.
The counts go to benchmarks/results/fuzz.md.
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
from fault_cases import COARSE, EXPERIMENT, FINE, weather
from results_table import machine, markdown_table, write_text

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
    """A folder with whole files, and copies of them to break."""

    def __init__(self, folder: Path, trained: bool = True) -> None:
        """Make the files and, unless they are not needed, the run that belongs to them."""
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
        """Return the folder with whole copies, to be worked in."""
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
    own = {"output": "run", "data": inputs, "periods": periods, "training": training}
    own |= {"model": model, "optional_predictors": [], "baselines": ["bilinear"], "seed": 0}
    return {**EXPERIMENT, **own}


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
    """Break the header of a file, or make it say odd things."""
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
    """Change what an emulator says of itself, and the hash with it."""
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

    every = sorted((place / "run" / "checkpoints").iterdir())
    folder = every[random.integers(len(every))]
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
    """Return how a command ends, "ended", "refused" or "broken", and what it said."""
    from graphdown.cli import main as command

    out, err = io.StringIO(), io.StringIO()
    try:
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            command(words)
        return "ended", ""
    except SystemExit as left:
        said = err.getvalue()
        sentences = [x for x in said.splitlines() if x.startswith("graphdown: ")]
        if left.code in (0, None) or (left.code == 1 and words[0] == "check"):
            return "ended", ""
        if left.code == 2 and "Traceback" not in said and len(sentences) == 1:
            return ("refused", sentences[0]) if len(sentences[0]) < 4000 else ("broken", said)
        if left.code == 2 and words[0] == "train" and "--set" in words and not sentences:
            return "refused", "the command line"
        return "broken", f"status {left.code}: {said}"
    except BaseException:
        return "broken", traceback.format_exc()


def play(place: Place, number: int, seed: int, kinds: list[str]) -> dict[str, Any]:
    """Do the case of a number."""
    random = np.random.default_rng([seed, number])
    kind = kinds[number % len(kinds)]
    words = CASES[kind](place.fresh(), random)
    outside = {p.name for p in place.work.parent.iterdir()}
    began = time.monotonic()
    outcome, said = call(words)
    if {p.name for p in place.work.parent.iterdir()} != outside:
        outcome, said = "broken", "something was written outside"
    seconds = round(time.monotonic() - began, 2)
    return {
        "number": number,
        "kind": kind,
        "words": " ".join(words)[:200],
        "outcome": outcome,
        "said": said,
        "seconds": seconds,
    }


def work(options: argparse.Namespace) -> None:
    """Do cases one after the other, telling of each before and after it."""
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
            done = play(place, number, options.seed, options.kinds)
            faulthandler.cancel_dump_traceback_later()
            print(json.dumps(done), flush=True)
            number += 1
        os.chdir("/")


def watch(options: argparse.Namespace) -> list[dict[str, Any]]:
    """Let processes do cases until the time is over; return what they told."""
    environment = os.environ | {"PYTHONPATH": str(Path(__file__).resolve().parents[1])}
    until, first, every = time.monotonic() + 60 * options.minutes, options.first, []
    while (left := until - time.monotonic()) > 0 and first < options.first + options.cases:
        words = [sys.executable, __file__, "--work", "--seed", str(options.seed)]
        words += ["--minutes", str(left / 60), "--first", str(first)]
        words += ["--cases", str(options.first + options.cases - first), "--kinds", *options.kinds]
        with tempfile.TemporaryFile("w+") as errors:
            process = subprocess.Popen(
                words, stdout=subprocess.PIPE, stderr=errors, env=environment, text=True
            )
            assert process.stdout is not None
            begun = None
            for line in process.stdout:
                told = json.loads(line) if line.startswith("{") else {}
                if "begins" in told:
                    begun = told["begins"]
                elif "outcome" in told:
                    every.append(told)
                    first, begun = told["number"] + 1, None
                    if told["outcome"] == "broken":
                        print(json.dumps(told, indent=1), flush=True)
            status = process.wait()
            errors.seek(0)
            said = errors.read()[-6000:]
        if status == 0:
            break
        if begun is None:
            raise SystemExit(f"No case could be done: {said}")
        told = {"number": begun, "kind": options.kinds[begun % len(options.kinds)], "words": ""}
        told |= {"outcome": "broken", "seconds": HANG, "said": f"crash or hang {status}: {said}"}
        every.append(told)
        print(json.dumps(told, indent=1), flush=True)
        first = begun + 1
    return every


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--minutes", type=float, default=30.0)
    parser.add_argument("--cases", type=int, default=10**9, help="at most so many")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--first", type=int, default=0, help="number of the first case")
    parser.add_argument("--only", type=int, help="do a single case and print what it says")
    parser.add_argument("--kinds", nargs="+", choices=tuple(CASES), default=list(CASES))
    parser.add_argument("--work", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.only is not None:
        options.first, options.cases = options.only, 1
    if options.work or options.only is not None:
        work(options)
        return
    began = time.monotonic()
    every = watch(options)
    write(options, every, (time.monotonic() - began) / 60)
    if any(told["outcome"] == "broken" for told in every):
        raise SystemExit(1)


def write(options: argparse.Namespace, every: list[dict[str, Any]], minutes: float) -> None:
    command = f"python benchmarks/fuzz.py --minutes {options.minutes:g} --seed {options.seed}"
    counts = Counter((told["kind"], told["outcome"]) for told in every)
    outcomes = ("ended", "refused", "broken")
    rows = [[kind, *(str(counts[kind, outcome]) for outcome in outcomes)] for kind in options.kinds]
    slowest = max((told["seconds"] for told in every), default=0.0)
    lines = [
        "# Broken experiments, files and folders",
        "",
        f"Command: `{command}`. Machine: {machine()}.",
        "",
        f"{len(every)} cases in {minutes:.1f} minutes, the slowest took {slowest:.1f} s. Refused: "
        "one sentence and status 2. Broken: a traceback, another status, a crash, a minute without "
        "an end, or something written outside the folder.",
        "",
        *markdown_table(("what was broken", "ended normally", "refused", "broken"), rows),
    ]
    write_text("fuzz.md", lines)
    print("\n".join(lines))


if __name__ == "__main__":
    main()
