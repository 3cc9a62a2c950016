"""A run is known by what it read: its folder, its files and its name may change."""

import logging
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st

from graphdown.cli import main
from graphdown.config.experiment_file import load_experiment
from graphdown.config.learned_settings import CONTINUED, first_difference, learned_settings
from graphdown.emulator.storage import load
from graphdown.errors import ExperimentError
from graphdown.training import train

from ..conftest import COARSE, FINE, make_data, make_experiment, orography, source, truth

STEPS = 6
EXPERIMENT = make_experiment("unused", make_data())


def written(experiment, folder):
    """The experiment on files in a folder."""
    data = experiment.data
    (one,) = data.sources
    return replace(
        experiment,
        baselines=("ridge",),
        data=replace(
            data,
            target=replace(data.target, files=(str(folder / "target.nc"),)),
            sources=(replace(one, files=(str(folder / "source.nc"),)),),
        ),
    )


@pytest.fixture(params=["memory", "disk"])
def run(request, tmp_path, data):
    """A finished run of a few steps on files, and its experiment."""
    files = tmp_path / "data"
    files.mkdir()
    source(COARSE).to_netcdf(files / "source.nc")
    truth().merge(orography(FINE)).to_netcdf(files / "target.nc")
    made = make_experiment(
        tmp_path / "run", data, steps=STEPS, validate_every=3, sample_storage=request.param
    )
    experiment = written(made, files)
    train(experiment)
    return experiment


def with_training(experiment, **changes):
    return replace(experiment, training=replace(experiment.training, **changes))


def test_a_run_that_moved_with_its_files_goes_on_longer(run, tmp_path, monkeypatch, caplog):
    shutil.move(tmp_path / "data", tmp_path / "archive")
    shutil.move(tmp_path / "run", tmp_path / "elsewhere")
    monkeypatch.chdir(tmp_path)
    moved = replace(written(run, Path("archive")), output="elsewhere", name="another name")
    before = load("elsewhere")
    assert train(moved).sha256 == before.sha256  # finished as it is
    longer = with_training(moved, steps=STEPS + 3, batch_size=2)
    with caplog.at_level(logging.WARNING, "graphdown"):
        train(longer)
    assert "resumes at step 6 with other settings than it began with" in caplog.text
    assert "training.steps, training.batch_size" in caplog.text
    assert list(pd.read_csv("elsewhere/metrics.csv")["step"]) == [3, 6, 9]
    assert load_experiment("elsewhere/experiment.yaml").name == "another name"


def test_a_run_is_scored_with_its_files_in_another_place(run, tmp_path, capsys):
    shutil.move(tmp_path / "data", tmp_path / "archive")
    places = [
        f"data.target.files=[{tmp_path}/archive/target.nc]",
        f"data.sources.0.files=[{tmp_path}/archive/source.nc]",
    ]
    command = ["evaluate", str(tmp_path / "run"), "--set", *places]
    main(command)
    assert "graphdown" in capsys.readouterr().out
    main([*command, "periods.test=[2001-03-20, 2001-03-31]"])
    scores = pd.read_csv(tmp_path / "run" / "scores.csv")
    assert set(scores.loc[scores["measure"] == "used", "value"]) == {12 * FINE.size}
    for change in ("seed=3", "model.rounds=2", "training.steps=99", "output=elsewhere"):
        with pytest.raises(SystemExit) as left:
            main([*command, change])
        assert left.value.code == 2
        key = change.split("=")[0]
        assert f"another {key!r} than the run" in capsys.readouterr().err
    other = source(COARSE)
    other["tas"][10, 0, 0] += 1.0
    other.to_netcdf(tmp_path / "archive" / "warmer.nc")
    with pytest.raises(SystemExit) as left:
        main([*command[:-1], f"data.sources.0.files=[{tmp_path}/archive/warmer.nc]"])
    assert left.value.code == 2
    assert "values of the source 'a' are not those that the run" in capsys.readouterr().err


def test_other_values_in_the_old_place_are_refused(run, tmp_path):
    with xr.open_dataset(tmp_path / "data" / "source.nc") as ds:
        changed = ds.load()
    changed["tas"] = changed.tas + np.float32(1.0)
    changed.to_netcdf(tmp_path / "data" / "source.nc")
    with pytest.raises(ExperimentError, match="values of the source 'a' are not those"):
        train(with_training(run, steps=STEPS + 3))


@pytest.mark.parametrize(
    ("change", "key"),
    [
        (lambda e: replace(e, name="b", output="/x", baselines=("bilinear",)), None),
        (lambda e: with_training(e, steps=99, batch_size=7, sample_storage="disk"), None),
        (lambda e: written(e, Path("/nowhere")), None),
        (lambda e: replace(e, periods=replace(e.periods, test=("2009", "2009"))), None),
        (lambda e: replace(e, periods=replace(e.periods, train=("2001-01", "2001-01"))), "periods"),
        (lambda e: replace(e, seed=4), "seed"),
        (lambda e: with_training(e, weight_decay=0.5), "training.weight_decay"),
    ],
)
def test_what_training_depends_on(change, key, data):
    experiment = make_experiment("unused", data)
    settings = learned_settings(experiment), learned_settings(change(experiment))
    found = first_difference(*settings)
    assert found == key if key != "periods" else str(found).startswith("periods.train")


@settings(max_examples=30, deadline=None)
@given(
    st.dictionaries(st.sampled_from(["name", "output"]), st.text("abc/ ", min_size=1)),
    st.text("abc/", min_size=1),
    st.dictionaries(st.sampled_from(CONTINUED), st.integers(1, 99)),
    st.integers(0, 9),
    st.integers(1, 9),
)
def test_only_what_is_learned_tells_runs_apart(texts, folder, training, seed, rounds):
    experiment = EXPERIMENT
    moved = with_training(replace(written(experiment, Path(folder)), **texts), **training)
    asked = replace(moved, seed=seed, model=replace(moved.model, rounds=rounds))
    found = first_difference(learned_settings(experiment), learned_settings(asked))
    same = (seed, rounds) == (experiment.seed, experiment.model.rounds)
    assert (found is None) == same
