"""From an experiment on the embedded world to scores and a report, small but whole."""

import dataclasses

import numpy as np
import pandas as pd
import pytest
import xarray as xr

from graphdown import evaluate
from graphdown.baselines import QUICK
from graphdown.cli import main
from graphdown.comparison import (
    GNN,
    evaluate_run,
    parts_linear_in_time,
    with_baselines,
    write_inputs,
)
from graphdown.config.experiment_file import parse_experiment
from graphdown.data import load_data
from graphdown.data.time_windows import linear_in_time
from graphdown.errors import ExperimentError
from graphdown.training import train
from graphdown.variables.time_steps import TimeSpec
from meshes import Grid

EXPERIMENT = {
    "name": "tiny world",
    "predictors": ["tas", "pr", "ua850"],
    "targets": ["tas", "pr"],
    "data": {
        "world": {"years": 3, "size": 20},
        "sources": [{"name": "regular", "view": "regular"}, {"name": "turned", "view": "rotated"}],
        "unseen": [{"name": "shifted", "view": "shifted"}],
    },
    "periods": {
        "train": ["1981", "1981"],
        "validation": ["1982-01", "1982-02"],
        "test": ["1983-01", "1983-02"],
    },
    "graph": {"mesh_level": 5, "encode_radius_km": 400},
    "model": {"channels": 16, "rounds": 2, "target_channels": 16, "target_embedding": 4},
    "training": {"steps": 120, "batch_size": 8, "validate_every": 60, "learning_rate": 0.005},
}


@pytest.fixture(scope="module")
def run(tmp_path_factory, compiled_in_haste):
    folder = tmp_path_factory.mktemp("runs") / "tiny"
    experiment = parse_experiment({**EXPERIMENT, "output": str(folder)}, "the test")
    data = load_data(experiment)
    train(experiment, data)
    scores, page = evaluate_run(folder, data)
    return folder, experiment, data, scores, page


def test_baselines_to_score_are_chosen_by_name():
    experiment = parse_experiment({**EXPERIMENT, "output": "runs/tiny"}, "the test")
    assert with_baselines(experiment, ["ridge", "DeepESD"]).baselines == ("ridge", "DeepESD")
    assert with_baselines(experiment, ()) is experiment
    with pytest.raises(ExperimentError, match="--baselines: 'rigde' is no baseline.*'ridge'"):
        with_baselines(experiment, ["rigde"])


@pytest.mark.parametrize("substeps", [1, 4])
def test_sub_steps_are_the_same_when_days_come_in_parts(substeps):
    rng = np.random.default_rng(0)
    days = np.delete(pd.date_range("2001-01-01", periods=11), 6)  # with a gap
    ds = xr.Dataset({"tas": (("time", "x"), rng.normal(size=(10, 3)))}, {"time": days})
    spec = TimeSpec(window=(-1, 0, 1), substeps=substeps)
    parts = [ds.isel(time=slice(a, b)) for a, b in ((0, 4), (4, 5), (5, 10))]
    made = xr.concat(list(parts_linear_in_time(iter(parts), spec)), "time")
    xr.testing.assert_allclose(made, linear_in_time(ds, spec), rtol=1e-12)


@pytest.mark.slow
def test_all_methods_are_scored_on_seen_and_unseen_sources(run):
    _, _, _, scores, _ = run
    assert set(scores["case"]) == {"regular", "turned", "shifted"}
    assert set(scores.loc[~scores["seen"], "case"]) == {"shifted"}
    seen = set(scores.loc[scores["case"] == "regular", "method"])
    assert {*QUICK, GNN} == seen
    unseen = set(scores.loc[scores["case"] == "shifted", "method"])
    assert {"ridge, fit on regular", "ridge, fit on turned", "bilinear", GNN} <= unseen


@pytest.mark.slow
def test_training_beats_interpolation_on_an_unseen_grid(run):
    _, _, _, scores, _ = run
    rmse = scores[(scores["measure"] == "rmse") & (scores["case"] == "shifted")]
    table = rmse.pivot(index="method", columns="variable", values="value")
    assert table.loc[GNN, "tas"] < 0.8 * table.loc["bilinear", "tas"]
    assert table.loc[GNN, "pr"] < table.loc["bilinear", "pr"]


@pytest.mark.slow
def test_files_of_a_run(run):
    folder, _, _, scores, page = run
    stored = pd.read_csv(folder / "scores.csv")
    np.testing.assert_allclose(stored["value"], scores["value"], rtol=1e-5)
    assert page == folder / "report" / "index.html"
    assert "never trained on" in page.read_text(encoding="utf-8")
    assert list(pd.read_csv(folder / "metrics.csv")["step"]) == [60, 120]


@pytest.mark.slow
def test_what_a_run_leaves_to_try_is_downscaled_by_one_command(run, tmp_path, capsys):
    folder, experiment, data, scores, _ = run
    (path,) = write_inputs(folder, experiment, data)
    assert path == folder / "inputs" / "shifted.nc"
    main(["downscale", str(folder), str(path), "-o", str(tmp_path / "fine.nc")])
    assert "59 days of tas, pr" in capsys.readouterr().out
    with (
        xr.open_dataset(tmp_path / "fine.nc", engine="netcdf4") as fine,
        xr.open_dataset(folder / "inputs" / "truth.nc", engine="netcdf4") as truth,
    ):
        assert Grid.from_dataset(fine).kind == "rotated_pole"
        found = evaluate(fine, truth)["rmse"].sel(variable="tas")
    of_network = (scores["case"] == "shifted") & (scores["method"] == GNN)
    expected = scores[of_network & (scores["measure"] == "rmse") & (scores["variable"] == "tas")]
    assert float(found) == pytest.approx(float(expected["value"].iloc[0]), rel=1e-4)


@pytest.mark.slow
def test_a_finished_run_is_not_trained_again(run):
    folder, experiment, data, _, _ = run
    before = (folder / "emulator" / "parameters.npz").read_bytes()
    train(dataclasses.replace(experiment), data)
    assert (folder / "emulator" / "parameters.npz").read_bytes() == before
