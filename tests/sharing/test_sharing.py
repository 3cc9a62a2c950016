"""A run's passport, its expected errors, and its export, from training to a colleague's check."""

import json
import shutil

import numpy as np
import pytest
import xarray as xr

import graphdown
from graphdown.cli import main
from graphdown.comparison import evaluate_run, write_inputs
from graphdown.config.experiment_file import parse_experiment
from graphdown.data import load_data
from graphdown.errors import DamageError, GraphdownError
from graphdown.training import train

pytestmark = pytest.mark.slow

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
        "validation": ["1982", "1982"],
        "test": ["1983-01", "1983-02"],
    },
    "graph": {"mesh_level": 5, "encode_radius_km": 400},
    "model": {"channels": 16, "rounds": 2, "target_channels": 16},
    "training": {"steps": 60, "batch_size": 8, "validate_every": 60, "learning_rate": 0.005},
    "baselines": ["bilinear"],
    "licence": "CC-BY-4.0",
    "contact": "someone@example.org",
}


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs") / "tiny"
    experiment = parse_experiment({**EXPERIMENT, "output": str(folder)}, "the test")
    data = load_data(experiment)
    train(experiment, data)
    before = graphdown.load(folder)
    evaluate_run(folder, data)
    write_inputs(folder, experiment, data)
    return folder, before


@pytest.fixture(scope="module")
def run(trained):
    return trained[0]


@pytest.fixture(scope="module")
def exported(run, tmp_path_factory):
    return graphdown.export(run, tmp_path_factory.mktemp("out") / "for-you")


def test_training_writes_a_passport_and_evaluation_adds_scores(trained):
    run, before = trained
    assert before.passport["scores"] == [] and before.error_calibration is None
    text = graphdown.describe(run)
    assert "regular: regular grid" in text and "CC-BY-4.0" in text
    assert "unseen source, later period | shifted | tas | rmse" in text
    assert "Calibrated on 36 months of regular, shifted, turned" in text


def test_a_run_that_was_not_scored_knows_distances_alone(trained, run):
    coarse = xr.open_dataset(run / "inputs/shifted.nc")
    assert "nothing to calibrate on" in trained[1].applicability(coarse).to_text()
    with pytest.raises(GraphdownError, match="graphdown evaluate"):
        trained[1].expected_error(coarse)


def test_outputs_bear_novelty_expected_errors_and_whose_they_are(run, tmp_path, capsys):
    inputs, fine = str(run / "inputs/shifted.nc"), tmp_path / "fine.nc"
    main(["downscale", str(run), inputs, "-o", str(fine), "--expected-error"])
    with xr.open_dataset(fine) as ds:
        assert ds.attrs["license"] == "CC-BY-4.0" and ds.attrs["training_sources"]
        assert ds.novelty.dims == ("time",) and np.isfinite(ds.novelty).all()
        low, high = ds.tas_expected_rmse_low, ds.tas_expected_rmse_high
        assert (low <= ds.tas_expected_rmse).all() and (ds.tas_expected_rmse <= high).all()
        direct = graphdown.load(run).downscale(xr.open_dataset(inputs), expected_error=True)
        np.testing.assert_allclose(direct.tas_expected_rmse, ds.tas_expected_rmse, rtol=1e-5)
        np.testing.assert_allclose(direct.novelty, ds.novelty, rtol=1e-4)
    store = tmp_path / "fine.zarr"
    main(["downscale", str(run), inputs, "-o", str(store), "--expected-error"])
    with xr.open_zarr(store) as ds:
        np.testing.assert_allclose(direct.novelty, ds.novelty, rtol=1e-4)


def test_check_says_in_five_lines_whether_the_emulator_may_be_used(run, capsys):
    main(["check", "--run", str(run), str(run / "inputs/shifted.nc")])
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 5 and lines[-1].startswith("Expected error: tas ")


def test_an_export_repeats_its_example(exported, run, capsys):
    assert "repeated: tas to within" in graphdown.verify(exported)
    assert {p.name for p in exported.iterdir()} == {
        *("emulator", "example", "README.md", "manifest.json")
    }
    assert graphdown.load(exported).sha256 == graphdown.load(run).sha256


@pytest.mark.parametrize(
    "name", ["emulator/parameters.npz", "emulator/passport.json", "example/expected.nc"]
)
def test_a_tampered_export_is_refused(exported, tmp_path, name):
    copy = tmp_path / "copy"
    shutil.copytree(exported, copy)
    content = bytearray((copy / name).read_bytes())
    content[len(content) // 2] ^= 1
    (copy / name).write_bytes(bytes(content))
    with pytest.raises(DamageError, match=f"{name} was changed"):
        graphdown.verify(copy)


def test_a_passport_with_better_scores_than_it_was_given_is_refused(run, tmp_path):
    copy = tmp_path / "copy"
    shutil.copytree(run / "emulator", copy)
    passport = json.loads((copy / "passport.json").read_text())
    passport["scores"][0]["value"] /= 2
    (copy / "passport.json").write_text(json.dumps(passport))
    with pytest.raises(DamageError, match="was changed since it was written"):
        graphdown.load(copy)
