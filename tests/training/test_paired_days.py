"""Training days from memory and from stores: the same statistics, batches and parameters."""

import numpy as np
import pytest

from graphdown.config.experiment_file import experiment_to_dict, parse_experiment
from graphdown.data.load import load_data
from graphdown.emulator.storage import load
from graphdown.errors import DataError
from graphdown.training import Trainer, load_for, paired_days, prepare_training, train
from graphdown.training.parallel import DataParallel
from graphdown.training.run.folder import open_run

from .conftest import COARSE, OTHER, make_data, make_experiment, source, truth

MODEL = {"target_embedding": 2, "target_regression": 3}


@pytest.fixture(scope="module")
def archive(tmp_path_factory):
    """Files of two sources, one with a masked corner, and of a target with a sea and a gap."""
    folder = tmp_path_factory.mktemp("archive")
    fine, coarse = truth(), {"a": source(COARSE), "b": source(OTHER)}
    for name in ("tas", "pr"):
        fine[name][:, :3] = np.nan
    fine["tas"][9, 5, 5] = np.nan
    coarse["b"]["pr"][:, 0, 0] = np.nan
    for name, ds in {"fine": fine, **coarse}.items():
        ds.to_netcdf(folder / f"{name}.nc")
    return folder


def asked(archive, folder, samples="disk", model=None, sources="ab", **training):
    raw = experiment_to_dict(make_experiment(folder, make_data(), model, **training))
    raw["data"]["target"]["files"] = [str(archive / "fine.nc")]
    raw["data"]["sources"] = [{"name": n, "files": [str(archive / f"{n}.nc")]} for n in sources]
    raw["training"]["sample_storage"] = samples
    raw["periods"]["train"] = ["2001-01-01", "2001-02-28"]
    return parse_experiment(raw, "the test")


@pytest.fixture(scope="module")
def trainers(archive, tmp_path_factory):
    return make_trainers(archive, tmp_path_factory.mktemp("trainers"))


def make_trainers(archive, folder, model=None):
    made = []
    for samples, store in (("memory", None), ("disk", folder)):
        experiment = asked(archive, folder / "unused", samples, model, "b")
        made.append(Trainer(prepare_training(experiment, load_data(experiment, store)), folder))
    return made


def test_statistics_are_the_same_bit_for_bit(trainers):
    memory, disk = trainers
    assert memory.normaliser == disk.normaliser


@pytest.mark.slow
def test_fitted_regressions_are_the_same_bit_for_bit(archive, tmp_path):
    trainers = make_trainers(archive, tmp_path, MODEL)
    for name in ("coefficients", "constants"):
        one, other = (t.kept["regression"][name][...] for t in trainers)
        np.testing.assert_array_equal(one, other)


def test_batches_are_the_same_bit_for_bit(trainers):
    memory, disk = trainers
    assert isinstance(memory.samples[0].source, np.ndarray)
    assert not isinstance(disk.samples[0].source, np.ndarray)
    for step in range(40):
        (one, first), (other, second) = memory.batch(step), disk.batch(step)
        assert first == second
        for name, values in one._asdict().items():
            np.testing.assert_array_equal(values, getattr(other, name), err_msg=name)


def test_random_grids_are_drawn_from_the_targets_own_store(archive, tmp_path):
    truth().to_netcdf(tmp_path / "fine.nc")
    grids = {"count": 2, "spacing": [1.0, 1.5], "kinds": ["regular"]}
    made = []
    for samples, store in (("memory", None), ("disk", tmp_path / "samples")):
        raw = experiment_to_dict(asked(tmp_path, tmp_path / "unused", samples))
        raw["predictors"] = ["tas", "pr"]
        raw["data"]["sources"] = [{"name": "up", "upscale": 1, "grids": grids}]
        experiment = parse_experiment(raw, "the test")
        made.append(Trainer(prepare_training(experiment, load_data(experiment, store)), tmp_path))
    memory, disk = made
    assert [p.name for p in (tmp_path / "samples").iterdir()] == ["target.zarr"]
    assert memory.normaliser == disk.normaliser
    for step in range(3):
        for one, other in zip(memory.batch(step)[0], disk.batch(step)[0], strict=True):
            np.testing.assert_array_equal(one, other)
    (one,), (other,) = ([*t.samples[0].by_grid(10)][:1] for t in made)
    np.testing.assert_array_equal(one.source, other.source)


@pytest.mark.slow
def test_a_run_from_disk_that_is_interrupted_ends_as_one_from_memory(
    archive, tmp_path, monkeypatch
):
    runs = [asked(archive, tmp_path / s, s, steps=6, validate_every=3) for s in ("memory", "disk")]
    train(runs[0])
    original, calls = DataParallel.__call__, []

    def interrupted(*arguments):
        calls.append(1)
        if len(calls) == 5:
            raise KeyboardInterrupt
        return original(*arguments)

    with monkeypatch.context() as patch:
        patch.setattr(DataParallel, "__call__", interrupted)
        with pytest.raises(KeyboardInterrupt):
            train(runs[1])
    stores = {p: p.stat().st_mtime_ns for p in (tmp_path / "disk" / "samples").rglob("zarr.json")}
    assert {p.parent.name for p in stores} == {"target.zarr", "source-a.zarr", "source-b.zarr"}
    train(runs[1])
    assert all(p.stat().st_mtime_ns == changed for p, changed in stores.items())
    expected = load(tmp_path / "memory").params
    for name, value in load(tmp_path / "disk").params.items():
        np.testing.assert_array_equal(value, expected[name], err_msg=name)


def test_fields_of_a_run_that_did_not_begin_are_no_obstacle(archive, tmp_path):
    experiment = asked(archive, tmp_path / "run", sources="b")
    for _ in range(2):
        load_for(experiment)
    run = open_run(experiment)
    assert {p.name for p in run.iterdir()} == {"samples", "experiment.yaml"}


def test_nothing_is_stored_in_a_folder_that_is_no_run(archive, tmp_path):
    (tmp_path / "thesis.txt").write_text("mine", encoding="utf-8")
    with pytest.raises(Exception, match="neither empty nor a run"):
        train(asked(archive, tmp_path))
    assert [p.name for p in tmp_path.iterdir()] == ["thesis.txt"]


def test_a_value_missing_in_a_store_is_refused_as_in_memory(archive, tmp_path, monkeypatch):
    monkeypatch.setattr(paired_days, "PART_BYTES", 4000)
    coarse = source(COARSE)
    coarse["pr"][[30, 50], 1, 1] = np.nan
    for name in ("b", "fine"):
        (tmp_path / f"{name}.nc").symlink_to(archive / f"{name}.nc")
    coarse.to_netcdf(tmp_path / "a.nc")
    for samples in ("memory", "disk"):
        with pytest.raises(DataError, match="source 'a': 2 values are missing.*'pr'; fill or"):
            train(asked(tmp_path, tmp_path / samples, samples))


def test_parts_cover_all_days_once(monkeypatch):
    monkeypatch.setattr(paired_days, "PART_BYTES", 4 * 5 * 2 * 4)
    assert [(p.start, p.stop) for p in paired_days.parts(np.zeros((10, 5, 2)))] == [
        (0, 4),
        (4, 8),
        (8, 10),
    ]
    assert [(p.start, p.stop) for p in paired_days.parts(np.zeros((2, 50, 2)))] == [(0, 1), (1, 2)]
