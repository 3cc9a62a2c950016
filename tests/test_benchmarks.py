"""Every benchmark starts and finishes at its smallest size."""

import importlib.util
import os
import shlex
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import xarray as xr
import yaml

from meshes import Grid

BENCHMARKS = Path(__file__).resolve().parents[1] / "benchmarks"
SMALL = (
    "training.validate_every=2 training.batch_size=4 graph.mesh_level=4 graph.encode_radius_km=400 "
    "model.channels=8 model.rounds=1 model.target_channels=8 data.world.years=4 data.world.size=12 "
    "periods.train=[1981,1982] periods.validation=[1983,1983] periods.test=[1984,1984]"
)
ONE_SOURCE = f"{SMALL} 'data.sources=[{{name: regular, view: regular}}]' data.unseen=[]"
STUDY = " ".join(f"experiment.{change}" for change in SMALL.split())
BLOCKS = "blocks={one: {strategies: [bilinear], train: [[A]], apply: [A, D]}}"
DEMO, GRIDS = "configs/demo.yaml", "configs/world_grids.yaml"

# Smallest arguments by benchmark; "data" is a folder that the test fills.
SMALLEST = {
    "century": "--years 1 --kills 1 --side 12",
    "check_archive": "--gigabytes 0.04 --archives 'one zarr'",
    "epoch": "--days 32 --repeats 1 --years 1 --side 8",
    "evaluate_memory": "--sides 8 --years 1 --methods ridge",
    "faults": "--faults 1 --per-round 1 --jobs 1 --works training --steps 15",
    "expected_errors": f"--steps 2 --years 1 --set {SMALL}",
    "explanations": f"--steps 2 --days 3 --set {ONE_SOURCE}",
    "fuzz": "--minutes 1 --cases 2 --files 19",
    "graph_build": "--repeats 1 --named EUR-44 --sizes 1000",
    "grid_transfer": (
        f"{GRIDS} --seeds 1 --steps 2 --methods random bilinear --set {SMALL} model.eofs=0"
    ),
    "grids": "--folder data --target EUR-44",
    "inference": "--days 40 --repeats 1 --longer 1 --target 8",
    "lazy": "--years 1 --days 32 --target 8 --latitudes 48",
    "little_data": (
        f"{DEMO} --seeds 1 --rows both --set training.steps=2 training.ensemble=2 "
        f"training.folds=2 {ONE_SOURCE}"
    ),
    "measures": "--years 2 --side 8 --turns 1",
    "novelty": "--side 8 --repeats 1 --years 1",
    "memory": "--only 'as it is' --side 8",
    "messages": f"{DEMO} --steps 2 --repeats 1 --set {ONE_SOURCE}",
    "rain": f"{DEMO} --seeds 1 --steps 2 --methods mse bilinear --set {ONE_SOURCE}",
    "rehearsal": (
        "--years 1 --steps 2 --around 3 --set training.batch_size=4 graph.mesh_level=4 "
        "graph.encode_radius_km=400 model.channels=8 model.rounds=1 baselines=[ridge]"
    ),
    "scaling": "--side 8 --repeats 1 --cases 1x1 2x1",
    "seeds": f"{DEMO} --seeds 1 --set training.steps=2 baselines=[bilinear] {ONE_SOURCE}",
    "start": "--side 8 --repeats 1 --messages linear --rounds 1 2",
    "step": (
        "--only linear pyg --channels 8 --rounds 1 --batch 1 --target 24 --mesh-level 5 --repeats 1"
    ),
    "target_transfer": (
        f"{GRIDS} --seeds 1 --steps 2 --trained fine --set {SMALL} graph.mesh_level=5"
    ),
    "temporal": "data/hourly.yaml --seeds 1 --methods bilinear conserved",
    "warming_response": f"{DEMO} --set training.steps=2 {ONE_SOURCE}",
    "value_checks": "--side 8 --repeats 1",
    "transfer": f"configs/transfer_ensemble.yaml --quick --set {STUDY} draws=5 '{BLOCKS}'",
}
HELPERS = {
    *("child_process", "common_arguments", "fault_cases", "planted_faults", "results_table"),
    *("step_jax", "step_torch", "training_case", "untrained"),
}
HOURLY = {
    "name": "hourly",
    "output": "runs/hourly",
    "predictors": ["tas"],
    "targets": ["tas"],
    "time": {"step_hours": 24, "substeps": 4, "window": [-1, 0, 1]},
    "data": {
        "target": {"files": ["data/fine.nc"]},
        "sources": [{"name": "a", "files": ["data/coarse.nc"]}],
    },
    "periods": {
        "train": ["2001-01-02", "2001-02-20"],
        "validation": ["2001-02-21", "2001-03-10"],
        "test": ["2001-03-11", "2001-03-30"],
    },
    "graph": {"mesh_level": 4, "encode_radius_km": 400},
    "model": {"channels": 8, "rounds": 1, "target_channels": 8},
    "training": {"steps": 2, "validate_every": 2, "batch_size": 4},
}


def test_every_benchmark_has_its_smallest_size():
    assert {path.stem for path in BENCHMARKS.glob("*.py")} == SMALLEST.keys() | HELPERS


def field(grid, hours):
    """A temperature every so many hours."""
    time = xr.date_range("2001-01-01", "2001-03-31T23", freq=f"{hours}h")
    values = 280 + np.sin(np.arange(len(time)) * hours / 24)[:, None] + 0.1 * grid.lat
    attrs = {"units": "K", "cell_methods": "time: mean"}
    values = values.astype(np.float32)
    return grid.dataarray(values, "tas", ("time",), {"time": time}, attrs).to_dataset()


@pytest.fixture
def data(tmp_path):
    """Files that benchmarks of real data read."""
    folder = tmp_path / "data"
    folder.mkdir()
    field(Grid.regular(0.5, 0.5, (0.0, 40.0, 6.0, 46.0)), 6).to_netcdf(folder / "fine.nc")
    field(Grid.regular(1.5, 1.5, (-3.0, 37.0, 9.0, 49.0)), 24).to_netcdf(folder / "coarse.nc")
    (folder / "hourly.yaml").write_text(yaml.safe_dump(HOURLY), encoding="utf-8")
    return folder


@pytest.mark.slow
@pytest.mark.parametrize("name", SMALLEST)
def test_a_benchmark_finishes_at_its_smallest_size(name, data, tmp_path):
    if not sys.platform.startswith("linux"):
        pytest.skip("benchmarks read memory from /proc")
    results = tmp_path / "results"
    command = [sys.executable, str(BENCHMARKS / f"{name}.py"), "--output", str(results)]
    haste = {"JAX_DISABLE_MOST_OPTIMIZATIONS": "1"}
    path = [str(BENCHMARKS.parent), os.environ.get("PYTHONPATH", "")]
    environment = {**os.environ, **haste, "PYTHONPATH": os.pathsep.join(path)}
    done = subprocess.run(
        [*command, *shlex.split(SMALLEST[name])],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-4000:]
    written = {path.name: path.stat().st_size for path in results.iterdir()}
    assert any(file.endswith(".md") for file in written) and all(written.values())
    if name == "step" and importlib.util.find_spec("torch_geometric") is None:
        assert "Left out: the same mathematics, PyTorch Geometric" in done.stdout
