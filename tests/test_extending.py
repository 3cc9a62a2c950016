"""docs/extending.md: its examples, in files of the user's own, in one small training."""

import copy
import os
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
import xarray as xr

import graphdown
from graphdown.baselines import BASELINES
from graphdown.comparison import evaluate_run
from graphdown.config import extensions
from graphdown.data.load import load_data
from graphdown.data.reading.rules import REPAIRS
from graphdown.errors import GraphdownError
from graphdown.evaluation import MEASURES
from graphdown.model.distributions import HEADS
from graphdown.model.loss_functions import LOSSES
from graphdown.model.transforms import TRANSFORMS
from graphdown.variables import catalogue
from meshes import Grid
from meshes.graphs.builder_registry import EDGE_BUILDERS

from .documents import ROOT, blocks_of

FINE = Grid.regular(0.5, 0.5, (0.0, 40.0, 4.0, 44.0))
COARSE = Grid.regular(1.5, 1.5, (-3.0, 37.0, 7.5, 47.5))
TIME = xr.date_range("2001-01-01", periods=90)
SEA = slice(0, 5)  # cells of the target
MOST_LINES = 40
FILES = {
    block.mark.removeprefix("file: "): block.text
    for block in blocks_of("docs/extending.md")
    if block.mark.startswith("file: ")
}
EXAMPLES = {name: text for name, text in FILES.items() if name.endswith(".py")}
NEEDED = (
    "vapour_pressure_deficit.py",
    "asinh_transform.py",
    "inverse_distance.py",
    "normal_head.py",
)
SMALL = (
    "periods.train=[2001-01-01, 2001-03-05]",
    "periods.validation=[2001-03-06, 2001-03-15]",
    "periods.test=[2001-03-16, 2001-03-31]",
    "graph.mesh_level=5",
    "graph.encode_radius_km=300",
    "model.channels=4",
    "model.rounds=1",
    "model.target_channels=4",
    "training.steps=6",
    "training.validate_every=3",
    "training.warmup_steps=1",
    "training.batch_size=4",
    "training.devices=1",
)
# What the examples register, by what registers it.
REGISTERED = {
    "register_variable": (catalogue._REGISTERED, "vpd"),
    "register_repair": (REPAIRS, "zero-kelvin"),
    "register_transform": (TRANSFORMS, "asinh"),
    "edge_builder": (EDGE_BUILDERS["decode"], "inverse-distance"),
    "register_head": (HEADS, "normal"),
    "register_loss": (LOSSES, "huber"),
    "register_baseline": (BASELINES, "climatology"),
    "register_measure": (MEASURES, "frost_days_bias"),
}


def weather(grid):
    """Temperature, precipitation and vapour pressure deficit (hPa) [90, N]."""
    amplitude = np.random.default_rng(0).normal(size=(len(TIME), 3))
    x, y = np.radians(50 * grid.lon), np.radians(40 * grid.lat)
    waves = amplitude @ np.stack([np.ones_like(x), np.sin(x), np.cos(y)])
    return {
        "tas": (274.0 + 3.0 * waves, "K"),
        "pr": (np.maximum(2.0 * waves, 0.0), "mm day-1"),
        "vpd": (np.maximum(4.0 + 3.0 * waves, 0.0), "hPa"),
    }


def write_archive(folder):
    """Write the files that the page's experiment reads, with the fault that one example repairs."""
    folder.mkdir()
    for name, grid in (("regional", FINE), ("global", COARSE)):
        fields = {}
        for variable, (values, units) in weather(grid).items():
            if (name, variable) == ("regional", "tas"):
                values[:, SEA] = 0.0
            made = (values.astype(np.float32), variable, ("time",), {"time": TIME})
            fields[variable] = grid.dataarray(*made, {"units": units})
        institution = "Old Institute" if name == "regional" else "Another"
        ds = xr.Dataset(fields, attrs={"institution": institution})
        ds.to_netcdf(folder / f"{name}.nc")


@pytest.fixture(scope="module")
def extended(tmp_path_factory, compiled_in_haste):
    """A folder with the page's files and a run of its experiment, with all eight examples."""
    folder = tmp_path_factory.mktemp("extended")
    write_archive(folder / "archive")
    for name, text in FILES.items():
        (folder / name).write_text(text, encoding="utf-8")
    modules = set(sys.modules)
    with pytest.MonkeyPatch.context() as patch:
        for registry in (REPAIRS, TRANSFORMS, HEADS, LOSSES, BASELINES, MEASURES):
            patch.setattr(registry, "_items", dict(registry._items))
        patch.setattr(catalogue, "_REGISTERED", dict(catalogue._REGISTERED))
        patch.setitem(EDGE_BUILDERS, "decode", copy.copy(EDGE_BUILDERS["decode"]))
        patch.setattr(extensions, "_loaded", {})
        patch.chdir(folder)
        experiment = graphdown.load_experiment("extended.yaml", SMALL)
        data = load_data(experiment)
        emulator = graphdown.train(experiment, data)
        scores, page = evaluate_run(experiment.output, data)
        yield folder, emulator, data, scores, page
    for name in set(sys.modules) - modules:
        if name.startswith("graphdown_extension_"):
            del sys.modules[name]


def test_each_kind_has_one_short_example():
    assert len(EXAMPLES) == len(REGISTERED)
    for decorator in REGISTERED:
        assert sum(f"import {decorator}" in t or f", {decorator}" in t for t in EXAMPLES.values())
    for name, text in EXAMPLES.items():
        assert len(text.splitlines()) <= MOST_LINES, name


def test_the_examples_are_no_part_of_graphdown():
    for registry, name in REGISTERED.values():
        assert name not in registry


def test_the_repair_and_the_variable_reach_the_data(extended):
    _, _, data, _, _ = extended
    tas, vpd = FINE.values(data.target["tas"]), data.target["vpd"]
    assert np.isnan(tas[:, SEA]).all() and np.isfinite(tas[:, SEA.stop :]).all()
    assert vpd.attrs["units"] == "Pa"
    np.testing.assert_allclose(FINE.values(vpd), 100 * weather(FINE)["vpd"][0], rtol=1e-5)
