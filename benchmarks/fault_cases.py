"""A tiny training and a tiny downscaling for benchmarks/faults.py, and their expected results."""

import hashlib
import json
import shutil
import sys
from pathlib import Path

import numpy as np
import xarray as xr
import yaml

from graphdown.output.journal import Journal
from meshes import Grid

FINE = Grid.regular(0.5, 0.5, (0.0, 40.0, 6.0, 46.0))
COARSE = Grid.regular(1.5, 1.5, (-1.5, 38.0, 7.5, 47.5))
UNITS = {"tas": "K", "pr": "mm day-1", "ua850": "m s-1"}
DAYS = 600
EXPERIMENT = {
    "name": "faults",
    "predictors": ["tas", "pr", "ua850"],
    "targets": ["tas", "pr"],
    "data": {
        "target": {"files": ["inputs/target.nc"]},
        "sources": [{"name": "a", "files": ["inputs/source.nc"]}],
    },
    "periods": {
        "train": ["2001-01-01", "2001-12-31"],
        "validation": ["2002-01-01", "2002-03-31"],
        "test": ["2002-04-01", "2002-08-23"],
    },
    "graph": {"mesh_level": 4, "encode_radius_km": 400},
    "model": {"channels": 8, "rounds": 1, "target_channels": 8, "target_regression": 3},
    "training": {
        "steps": 300,
        "batch_size": 4,
        "validate_every": 15,
        "learning_rate": 0.01,
        "warmup_steps": 10,
    },
}


def weather(grid: Grid, names: tuple[str, ...], days: int, seed: int = 0) -> xr.Dataset:
    """Return smooth daily fields."""
    random = np.random.default_rng(seed)
    x, y = np.radians(60 * grid.lon), np.radians(60 * grid.lat)
    waves = random.normal(size=(days, 3)) @ np.stack([np.ones_like(x), np.sin(x), np.cos(y)])
    values = {"tas": 285.0 + 3.0 * waves, "pr": np.maximum(np.exp(0.5 * waves) - 0.5, 0.0)}
    values["ua850"] = 5.0 * waves[::-1]
    time = {"time": xr.date_range("2001-01-01", periods=days)}
    return xr.Dataset(
        {
            n: grid.dataarray(values[n].astype(np.float32), n, ("time",), time, {"units": UNITS[n]})
            for n in names
        }
    )


class Training:
    """`graphdown train` of the experiment."""

    name = "training"

    def __init__(self, steps: int = EXPERIMENT["training"]["steps"]) -> None:
        training = {**EXPERIMENT["training"], "steps": steps}
        self.experiment = {**EXPERIMENT, "training": training}

    def prepare(self, folder: Path) -> None:
        """Write the inputs that all runs share."""
        (folder / "inputs").mkdir(parents=True)
        weather(COARSE, ("tas", "pr", "ua850"), DAYS).to_netcdf(folder / "inputs" / "source.nc")
        weather(FINE, ("tas", "pr"), DAYS).to_netcdf(folder / "inputs" / "target.nc")
        (folder / "experiment.yaml").write_text(yaml.safe_dump(self.experiment), encoding="utf-8")

    def command(self, disk: Path) -> list[str]:
        """Return the words of the command, to be run in the folder of `prepare`."""
        words = ["train", "experiment.yaml", "--set", f"output={disk / 'run'}"]
        return [sys.executable, "-m", "graphdown", *words]

    def checkpoints(self, disk: Path) -> list[Path]:
        """Return the files that the command resumes from."""
        return files(disk / "run" / "checkpoints")

    def others(self, disk: Path) -> list[Path]:
        """Return the other files that the command wrote."""
        written = files(disk / "run")
        return [p for p in written if "checkpoints" not in p.relative_to(disk).as_posix()]

    def reached(self, disk: Path) -> int:
        """Return the number of steps or blocks of days that are done."""
        steps = [p.name for p in (disk / "run" / "checkpoints").glob("*") if p.name.isdecimal()]
        return max(map(int, steps), default=0)

    def result(self, disk: Path) -> dict[str, str]:
        """Return hashes of the finished run's contents, of the state bit for bit."""
        import orbax.checkpoint as ocp

        run = disk / "run"
        newest = run / "checkpoints" / str(self.reached(disk))
        with ocp.Checkpointer(ocp.StandardCheckpointHandler()) as reader:
            state = reader.restore((newest / "state").resolve())
        hashes = {n: digest(v.dtype.str.encode() + v.tobytes()) for n, v in state.items()}
        emulator = json.loads((run / "emulator" / "emulator.json").read_text(encoding="utf-8"))
        rows = (run / "metrics.csv").read_text(encoding="utf-8").splitlines()
        column = rows[0].split(",").index("seconds")
        timeless = [[w for k, w in enumerate(r.split(",")) if k != column] for r in rows]
        left = sorted(p.name for p in run.iterdir() if not p.name.startswith("checkpoints."))
        return {
            **hashes,
            "step": newest.name,
            "emulator": emulator["sha256"],
            "metrics": str(timeless),
            "files": str(left),
        }


class Downscaling:
    """`graphdown downscale` of days to zarr with the emulator of the training."""

    name = "downscaling"

    def __init__(self, trained: Path, days: int = 20000) -> None:
        self.trained, self.days = trained, days

    def prepare(self, folder: Path) -> None:
        (folder / "inputs").mkdir(parents=True)
        names = ("tas", "pr", "ua850")
        weather(COARSE, names, self.days, seed=1).to_netcdf(folder / "inputs" / "source.nc")
        shutil.copytree(self.trained / "emulator", folder / "run" / "emulator")

    def command(self, disk: Path) -> list[str]:
        words = ["downscale", "run", "inputs/source.nc", "-o", str(disk / "out.zarr")]
        return [sys.executable, "-m", "graphdown", *words]

    def checkpoints(self, disk: Path) -> list[Path]:
        return files(disk / "out.zarr.part")

    def others(self, disk: Path) -> list[Path]:
        return []

    def reached(self, disk: Path) -> int:
        journal = disk / "out.zarr.part" / "1-of-1.json"
        if (disk / "out.zarr").exists():
            return sys.maxsize
        return Journal.read(journal).done

    def result(self, disk: Path) -> dict[str, str]:
        """Return hashes of the store's files, except attributes, which hold the time of writing."""
        out = disk / "out.zarr"
        kept = [p for p in files(out) if p.name not in (".zattrs", ".zmetadata")]
        hashes = {p.relative_to(out).as_posix(): digest(p.read_bytes()) for p in kept}
        return {**hashes, "files": str(sorted(p.name for p in disk.iterdir()))}


def files(folder: Path) -> list[Path]:
    """Return the files below a folder."""
    return sorted(p for p in folder.rglob("*") if p.is_file())


def digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
