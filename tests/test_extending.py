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
    tas, vpd = FINE.values(data.fine["tas"]), data.fine["vpd"]
    assert np.isnan(tas[:, SEA]).all() and np.isfinite(tas[:, SEA.stop :]).all()
    assert vpd.attrs["units"] == "Pa"
    np.testing.assert_allclose(FINE.values(vpd), 100 * weather(FINE)["vpd"][0], rtol=1e-5)
    (note,) = (n for n in data.understood["target"].notes if n.rule == "zero-kelvin")
    assert note.variable == "tas" and "0 K over the sea" in note.text


def test_the_network_is_made_of_the_examples(extended):
    emulator = extended[1]
    assert emulator.model.heads == {"tas": "normal"}
    assert emulator.domain.spec.decoder == "inverse-distance"
    assert [c.transform for c in emulator.normaliser.inputs.each[3:]] == ["log1p", "asinh"]
    head = emulator.params["head.kernel"]
    assert head.shape[-1] == 4 and np.abs(head[:, 3]).max() > 0  # the spread was learned


def test_the_training_lowered_the_examples_loss(extended):
    folder = extended[0]
    table = pd.read_csv(folder / "runs" / "extended" / "metrics.csv")
    assert np.isfinite(table["loss"]).all() and {"crps_tas", "crps_vpd"} <= set(table.columns)


def test_scores_and_report_have_the_measure_and_the_baseline(extended):
    _, _, _, scores, page = extended
    frost = scores[scores["measure"] == "frost_days_bias"].set_index("method")
    assert set(frost.index) == {"graphdown", "bilinear", "climatology"}
    assert (frost["variable"] == "tas").all() and (frost["units"] == "%").all()
    assert frost["value"].between(0.0, 100.0).all()
    assert "frost days bias" in (extended[0] / page).read_text(encoding="utf-8")


def test_what_is_downscaled_has_the_variables_attributes_and_bounds(extended):
    folder, emulator, *_ = extended
    with xr.open_dataset(folder / "archive" / "global.nc") as coarse:
        mean, members = (emulator.downscale(coarse, members=m) for m in (0, 2))
    assert mean.vpd.attrs["standard_name"] == "water_vapor_saturation_deficit_in_air"
    assert mean.vpd.attrs["units"] == "Pa" and float(mean.vpd.min()) >= 0.0
    assert float(members.tas.std("realization").mean()) > 0.0
    np.testing.assert_array_equal(members.vpd[:, 0], members.vpd[:, 1])


CODE = """
import os
import sys
import graphdown
import xarray as xr

first, second, *others = sys.argv[1:]
for names in ([], [first], [second]):
    try:
        graphdown.load("runs/extended", extensions=names)
    except graphdown.GraphdownError as error:
        print(error)
os.environ["GRAPHDOWN_EXTENSIONS"] = os.pathsep.join(others)
emulator = graphdown.load("runs/extended")
emulator.downscale(xr.open_dataset("archive/global.nc").isel(time=slice(5))).to_netcdf("again.nc")
"""


def test_another_process_needs_the_extensions_that_the_network_is_made_of(extended):
    folder, emulator, *_ = extended
    variables = {k: v for k, v in os.environ.items() if k != "GRAPHDOWN_EXTENSIONS"}
    variables["PYTHONPATH"] = str(ROOT)
    command = [sys.executable, "-c", CODE, *NEEDED]
    done = subprocess.run(command, cwd=folder, env=variables, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert len(lines) == 3
    for number, line in enumerate(lines):
        assert line.startswith("'runs/extended' needs the ") and "GRAPHDOWN_EXTENSIONS" in line
        missing = [name for name in EXAMPLES if name in line]
        assert missing == [name for name in EXAMPLES if name in NEEDED[number:]]
    coarse = xr.open_dataset(folder / "archive" / "global.nc").isel(time=slice(5))
    with xr.open_dataset(folder / "again.nc") as again:
        made = emulator.downscale(coarse)
        for name in ("tas", "pr", "vpd"):
            np.testing.assert_allclose(again[name], made[name], rtol=1e-4, atol=1e-4)


def test_code_in_the_emulators_folder_is_not_run(extended):
    run = extended[0] / "runs" / "extended"
    (run / "emulator" / "own.py").write_text("raise SystemExit('was run')\n")
    for name in ("runs/extended/emulator/own.py", str(run / "emulator" / "own.py")):
        with pytest.raises(GraphdownError, match="lies in the run's own folder"):
            graphdown.load(run, extensions=[name])
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("GRAPHDOWN_EXTENSIONS", name)
            with pytest.raises(GraphdownError, match="GRAPHDOWN_EXTENSIONS: the extension"):
                graphdown.load(run)
