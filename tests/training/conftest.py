from pathlib import Path

import jax
import numpy as np
import pytest
import xarray as xr

from graphdown.config.experiment_file import parse_experiment
from graphdown.data.load import ExperimentData
from graphdown.training import Trainer, prepare_training
from meshes import Grid

UNITS = {"tas": "K", "pr": "mm day-1", "ua850": "m s-1"}
DAYS = 90
FINE = Grid.regular(0.5, 0.5, (0.0, 40.0, 6.0, 46.0))
COARSE = Grid.regular(1.5, 1.5, (0.0, 40.0, 6.0, 46.0))
OTHER = Grid.regular(1.2, 1.5, (0.0, 40.0, 6.0, 46.0))
TIME = xr.date_range("2001-01-01", periods=DAYS)
AMPLITUDE = np.random.default_rng(0).normal(size=(DAYS, 3))


def weather(lon, lat):
    """Smooth fields [DAYS, N] by name that any grid can be given."""
    x, y = np.radians(60 * lon), np.radians(60 * lat)
    waves = AMPLITUDE @ np.stack([np.ones_like(x), np.sin(x), np.cos(y)])
    tas = 285.0 - (lat - 43.0) + 3.0 * waves
    pr = np.maximum(np.exp(0.5 * waves) - 0.5, 0.0)
    return {"tas": tas, "pr": pr, "ua850": 5.0 * waves[::-1]}


def dataset(grid, fields, time=TIME):
    arrays = {
        n: grid.dataarray(v.astype(np.float32), n, ("time",), {"time": time}, {"units": UNITS[n]})
        for n, v in fields.items()
    }
    return xr.Dataset(arrays)


def height(grid):
    return 1000.0 + 800.0 * np.sin(np.radians(100 * grid.lon)) * np.cos(np.radians(90 * grid.lat))


def orography(grid):
    values = height(grid).astype(np.float32)
    return grid.dataarray(values, "orog", attrs={"units": "m"}).to_dataset()


def source(grid):
    return xr.merge([dataset(grid, weather(grid.lon, grid.lat)), orography(grid)])


def truth(grid=FINE):
    """The same weather, colder and wetter on mountains, with some noise of its own."""
    fields, noise = weather(grid.lon, grid.lat), np.random.default_rng(1)
    tas = fields["tas"] - 0.0065 * (height(grid) - 1000.0)
    pr = fields["pr"] * (1.0 + height(grid) / 4000.0)
    tas = tas + noise.normal(0.0, 0.1, tas.shape)
    return dataset(grid, {"tas": tas, "pr": pr})


def make_data(fine=None, **sources):
    given = sources or {"a": source(COARSE)}
    return ExperimentData(truth() if fine is None else fine, orography(FINE), given, {})


def make_experiment(folder, data, model=None, fits=None, **training):
    given = [{"name": name, "files": ["unused.nc"]} for name in data.sources]
    raw = {
        "name": "tiny",
        "output": str(folder),
        "predictors": ["tas", "pr", "ua850"],
        "targets": ["tas", "pr"],
        "data": {"target": {"files": ["unused.nc"]}, "sources": given},
        "periods": {
            "train": ["2001-01-01", "2001-02-28"],
            "validation": ["2001-03-01", "2001-03-14"],
            "test": ["2001-03-15", "2001-03-31"],
        },
        "graph": {"mesh_level": 4, "encode_radius_km": 400},
        "model": {"channels": 8, "rounds": 1, "target_channels": 8, **(model or {})},
        "members": fits or {},
        "training": {
            "steps": 18,
            "batch_size": 4,
            "validate_every": 6,
            "learning_rate": 0.02,
            "warmup_steps": 2,
            "backend": "shard_map",
            "devices": 1,
            **training,
        },
    }
    return parse_experiment(raw, "the test")


def make_trainer(data, model=None, **training):
    return Trainer(
        prepare_training(make_experiment("unused", data, model, **training), data), Path("unused")
    )


def perturbed(params, size=0.3):
    """Parameters moved at random, so that those that start at zero matter too."""
    rng = np.random.default_rng(5)
    return jax.tree.map(lambda p: p + size * rng.normal(size=p.shape).astype(np.float32), params)


@pytest.fixture(scope="session", autouse=True)
def compiled_programs(tmp_path_factory):
    """Let XLA compile in haste, and trainings of the same shape share what it made."""
    changes = {
        "jax_disable_most_optimizations": True,
        "jax_compilation_cache_dir": str(tmp_path_factory.mktemp("jax")),
        "jax_persistent_cache_min_compile_time_secs": 0.0,
    }
    before = {name: jax.config.values[name] for name in changes}
    for name, value in changes.items():
        jax.config.update(name, value)
    yield
    for name, value in before.items():
        jax.config.update(name, value)


@pytest.fixture(scope="session")
def data():
    return make_data()


@pytest.fixture(scope="session")
def two_sources():
    return make_data(a=source(COARSE), b=source(OTHER))


@pytest.fixture(scope="module", autouse=True)
def haste(compiled_in_haste):
    """Trainings of these tests are short: what XLA would gain by optimising takes longer."""
