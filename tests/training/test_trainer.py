"""Whole runs: what they learn, write and keep, and how they go on after an interruption."""

import json
import os
import shutil
import signal
import socket
from dataclasses import replace

import jax
import numpy as np
import pandas as pd
import pytest

from graphdown.baselines import Bilinear
from graphdown.config.experiment_file import load_experiment, write_experiment
from graphdown.emulator.storage import load
from graphdown.errors import ExperimentError, GraphdownError
from graphdown.model.parameters import named_values
from graphdown.runtime.signals import Interrupted
from graphdown.training import Trainer, prepare_training, train
from graphdown.training.parallel import DataParallel
from graphdown.training.run.checkpoint import Checkpoints
from graphdown.training.run.folder import open_run
from graphdown.training.run.lock import LOCK, run_lock
from meshes import bilinear

from ..invariants import check_same_run, final_state
from .conftest import COARSE, FINE, make_data, make_experiment, make_trainer, source

MODEL = {"target_embedding": 2, "target_regression": 3}


@pytest.fixture(scope="module")
def run(tmp_path_factory, two_sources):
    """The folder and the experiment of an uninterrupted run."""
    folder = tmp_path_factory.mktemp("runs") / "whole"
    experiment = make_experiment(folder, two_sources, backend="pmap")

    def refused(*_):
        raise AssertionError("training wants the network")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(socket.socket, "connect", refused)
        train(experiment, two_sources)
    return folder, experiment


def metrics(folder):
    return pd.read_csv(folder / "metrics.csv").drop(columns="seconds")


def files(folder):
    return {p: p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def test_the_loss_goes_down_and_the_score_with_it(run):
    table = metrics(run[0])
    assert list(table["step"]) == [6, 12, 18]
    assert table["loss"].iloc[-1] < 0.7 * table["loss"].iloc[0]
    assert table["validation_score"].is_monotonic_decreasing


def test_a_run_leaves_what_its_folder_is_said_to_hold(run):
    names = {p.name for p in run[0].iterdir()}
    assert names == {"experiment.yaml", "fields.json", "checkpoints", "emulator", "metrics.csv"}


def test_scores_are_area_weighted_errors_of_the_emulator_that_was_kept(run, two_sources):
    folder, experiment = run
    emulator, weight = load(folder), FINE.area / FINE.area.sum()
    for target in ("tas", "pr"):
        squares = []
        for name in two_sources.sources:
            coarse, fine = two_sources.pair(experiment, name, "validation")
            error = FINE.values(emulator.downscale(coarse)[target]) - FINE.values(fine[target])
            squares.append((np.square(error.astype(np.float64)) @ weight).mean())
        written = metrics(folder)[f"rmse_{target}"].iloc[-1]
        assert written == pytest.approx(np.sqrt(np.mean(squares)), rel=1e-4)


def test_the_emulator_holds_the_averaged_weights(run, two_sources):
    folder, experiment = run
    state, progress = final_state(
        Trainer(prepare_training(experiment, two_sources), folder), folder
    )
    assert progress.step == progress.best_step == 18
    params = load(folder).params
    for name, value in params.items():
        np.testing.assert_array_equal(value, state[f"ema.{name}"])
    assert any((value != state[f"params.{name}"]).any() for name, value in params.items())


def interrupted(experiment, data, monkeypatch, owner, method, call):
    """Train until a method is called for the n-th time."""
    original, calls = getattr(owner, method), []

    def counted(*arguments):
        calls.append(1)
        if len(calls) == call:
            raise KeyboardInterrupt
        return original(*arguments)

    with monkeypatch.context() as patch:
        patch.setattr(owner, method, counted)
        with pytest.raises(KeyboardInterrupt):
            train(experiment, data)


@pytest.mark.slow
def test_a_run_that_is_interrupted_thrice_ends_as_if_nothing_had_been(
    run, two_sources, tmp_path, monkeypatch
):
    folder = tmp_path / "run"
    experiment = replace(run[1], output=str(folder))
    for owner, method, call, step in (
        (DataParallel, "__call__", 4, 0),  # before the first checkpoint
        (DataParallel, "__call__", 10, 6),  # between checkpoints
        (Checkpoints, "save", 2, 12),  # after an emulator, before its checkpoint
    ):
        interrupted(experiment, two_sources, monkeypatch, owner, method, call)
        assert (folder / "checkpoints" / str(step)).exists() == (step > 0)
    train(experiment, two_sources)
    check_same_run(Trainer(prepare_training(run[1], two_sources), run[0]), folder, run[0])
    pd.testing.assert_frame_equal(metrics(folder), metrics(run[0]))


@pytest.mark.slow
def test_a_run_by_shard_map_with_a_fitted_regression_is_resumed_too(data, tmp_path, monkeypatch):
    settings = {"steps": 4, "validate_every": 2, "warming_offset": [-1, 3]}
    whole, cut = (make_experiment(tmp_path / n, data, MODEL, **settings) for n in ("a", "b"))
    train(whole, data)
    interrupted(cut, data, monkeypatch, DataParallel, "__call__", 4)
    train(cut, data)
    check_same_run(
        Trainer(prepare_training(whole, data), tmp_path / "a"), tmp_path / "b", tmp_path / "a"
    )
    pd.testing.assert_frame_equal(metrics(tmp_path / "a"), metrics(tmp_path / "b"))


def test_an_untrained_network_starts_from_interpolation_or_from_its_regression(data):
    for model, below in ((None, 1.001), (MODEL, 0.6)):
        trainer = make_trainer(data, model)
        coarse, fine = data.pair(trainer.experiment, "a", "validation")
        made = FINE.values(Bilinear().fit([(coarse, fine)]).predict(coarse)["tas"])
        plain = np.sqrt(np.mean((made - FINE.values(fine.tas)) ** 2))
        assert 0.01 * plain < trainer.errors(trainer.params)["tas"] < below * plain


def test_statistics_are_those_of_the_training_days_of_all_sources(two_sources):
    trainer = make_trainer(two_sources)
    normaliser = trainer.normaliser
    fine = FINE.values(two_sources.fine.pr)[:59].astype(np.float64)
    squares, means, variances = [], [], []
    for coarse in two_sources.sources.values():
        grid = type(COARSE).from_dataset(coarse)
        values = grid.values(coarse.pr)[:59].astype(np.float64)
        correction = fine - bilinear(grid, FINE).apply(values)
        variances.append(correction.var(axis=0).mean())
        means.append(values.mean())
        squares.append((values**2).mean())
    assert normaliser.mean[1] == pytest.approx(np.mean(means), rel=1e-5)
    spread = np.sqrt(np.mean(squares) - np.mean(means) ** 2)
    assert normaliser.std[1] == pytest.approx(spread, rel=1e-5)
    assert normaliser.scale[1] == pytest.approx(np.sqrt(np.mean(variances)), rel=1e-5)


def test_target_nodes_that_are_always_missing_do_not_count_in_the_statistics(data):
    fine = data.fine.copy(deep=True)
    fine["tas"][:, :5] = np.nan
    normaliser = make_trainer(make_data(fine)).normaliser
    correction = FINE.values(data.fine.tas) - bilinear(COARSE, FINE).apply(
        COARSE.values(data.sources["a"].tas)
    )
    variance = correction[:59].astype(np.float64).var(axis=0)
    expected = np.sqrt(variance[5 * 12 :].mean())
    assert normaliser.scale[0] == pytest.approx(expected, rel=1e-4)
    assert np.sqrt(variance.mean()) != pytest.approx(expected, rel=1e-2)
    assert normaliser.scale[1] == make_trainer(data).normaliser.scale[1]


def test_a_prediction_that_is_no_number_at_one_node_spoils_the_score(data):
    trainer = make_trainer(data, MODEL)
    constants = trainer.kept["regression"]["constants"]
    constants[...] = constants[...].at[7, 0].set(np.nan)
    errors = trainer.errors(trainer.params)
    assert np.isnan(errors["tas"]) and np.isfinite(errors["pr"])


def test_a_finished_run_is_not_touched(run, two_sources):
    before = files(run[0])
    train(run[1], two_sources)
    assert files(run[0]) == before


def test_another_experiment_in_the_same_folder_is_refused(run, two_sources, data):
    folder, experiment = run
    before = files(folder)
    faster = replace(experiment, training=replace(experiment.training, learning_rate=0.5))
    with pytest.raises(ExperimentError, match="finished after .* 'training.learning_rate' changes"):
        train(faster, two_sources)
    with pytest.raises(ExperimentError, match="another 'seed'; choose another 'output'"):
        train(replace(experiment, seed=1), two_sources)
    with pytest.raises(ExperimentError, match="another 'data.sources'"):
        train(make_experiment(folder, data), data)
    assert files(folder) == before


def test_a_damaged_experiment_of_a_run_is_not_taken_for_another(run, two_sources):
    folder, experiment = run
    stored = folder / "experiment.yaml"
    whole = stored.read_text(encoding="utf-8")
    stored.write_text(whole[: whole.index("training:")], encoding="utf-8")
    with pytest.raises(ExperimentError, match="was changed since the run began, or is damaged"):
        train(experiment, two_sources)
    stored.write_text(whole, encoding="utf-8")


def test_a_run_may_be_scored_beside_other_baselines_later(data, tmp_path):
    folder = tmp_path / "run"
    experiment = make_experiment(folder, data)
    open_run(experiment)
    with_network = replace(experiment, baselines=("ridge", "U-Net"))
    assert open_run(with_network) == folder
    assert load_experiment(folder / "experiment.yaml") == with_network


def test_a_folder_that_is_no_run_is_refused(data, tmp_path):
    (tmp_path / "thesis.txt").write_text("mine", encoding="utf-8")
    with pytest.raises(ExperimentError, match="neither empty nor a run; choose another"):
        train(make_experiment(tmp_path, data), data)
    assert [p.name for p in tmp_path.iterdir()] == ["thesis.txt"]


def scored(monkeypatch, scores):
    """Let validations find the given errors, one after the other."""
    found = iter(scores)
    monkeypatch.setattr(Trainer, "errors", lambda *_: dict.fromkeys(("tas", "pr"), next(found)))


def test_training_stops_when_patience_ends_and_keeps_the_best(two_sources, tmp_path, monkeypatch):
    scored(monkeypatch, [3.0, 2.0, 2.5, 2.0, 1.0, 0.5])
    settings = {"backend": "pmap", "validate_every": 3, "patience": 2}
    experiment = make_experiment(tmp_path / "run", two_sources, **settings)
    kept = []
    monkeypatch.setattr(
        Checkpoints, "save", lambda _, state, progress: kept.append((state, progress))
    )
    emulator = train(experiment, two_sources)
    assert [p.step for _, p in kept] == [3, 6, 9, 12]
    assert [p.stale for _, p in kept] == [0, 0, 1, 2]
    assert kept[-1][1].best_step == 6
    best = named_values(kept[1][0].ema)
    for name, value in emulator.params.items():
        np.testing.assert_array_equal(value, best[name])


def test_a_run_that_stopped_early_stays_stopped(two_sources, tmp_path, monkeypatch):
    settings = {"backend": "pmap", "validate_every": 3, "patience": 1}
    experiment = make_experiment(tmp_path / "run", two_sources, **settings)
    scored(monkeypatch, [1.0, 2.0])
    train(experiment, two_sources)
    before = files(tmp_path)
    train(experiment, two_sources)
    assert files(tmp_path) == before
    assert list(metrics(tmp_path / "run")["step"]) == [3, 6]


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_a_run_that_diverges_stops_and_its_last_good_state_stays(data, tmp_path):
    settings = {"learning_rate": 1e30, "validate_every": 1, "warmup_steps": 2, "most_skipped": 3}
    experiment = make_experiment(tmp_path / "run", data, **settings)
    for _ in range(2):  # the same command finds the same again
        with pytest.raises(GraphdownError, match="not finite in 3 steps in a row, up to step 5"):
            train(experiment, data)
    steps = [p.name for p in (tmp_path / "run" / "checkpoints").iterdir()]
    assert steps == ["1"], "which is the last that could be validated"
    table = metrics(tmp_path / "run")
    assert np.isfinite(table["validation_score"].iloc[0])
    assert not np.isfinite(table["validation_score"].iloc[-1])
    untrained = named_values(make_trainer(data).params)
    for name, value in load(tmp_path / "run").params.items():
        np.testing.assert_allclose(value, untrained[name], rtol=1e-6)
    assert np.isfinite(load(tmp_path / "run").downscale(source(COARSE))["tas"]).all()


def spoiled(monkeypatch, steps):
    """Let the batches of some steps hold values that are no numbers."""
    batch = Trainer.batch

    def worse(self, step, share=slice(None)):
        made, number = batch(self, step, share)
        values = made.source + np.float32(np.nan if step + 1 in steps else 0.0)
        return made._replace(source=values), number

    monkeypatch.setattr(Trainer, "batch", worse)


def test_too_many_skipped_steps_stop_a_run_that_goes_on_when_its_days_are_mended(
    data, tmp_path, monkeypatch
):
    experiment = make_experiment(tmp_path / "run", data, most_skipped=4)
    with monkeypatch.context() as patch:
        spoiled(patch, (4, 5, 9, 10, 11, 12))
        with pytest.raises(
            GraphdownError, match="4 steps in a row, up to step 12 with days of 'a'"
        ):
            train(experiment, data)
    report = json.loads((tmp_path / "run" / "stopped.json").read_text())
    assert [b["step"] for b in report["skipped"]] == [9, 10, 11, 12] and report["kept"] == 12
    trainer = Trainer(prepare_training(experiment, data), tmp_path / "run")
    days = [str(d) for d in trainer.times[0].dt.strftime("%Y-%m-%d").values]
    seen, _ = trainer.batch(11)
    rows = [days.index(day) for day in report["skipped"][-1]["days"]]
    np.testing.assert_array_equal(trainer.samples[0].source[np.asarray(rows)], seen.source)
    train(experiment, data)
    table = metrics(tmp_path / "run")
    assert list(table["step"]) == [6, 18] and list(table["skipped"]) == [2, 4]
    assert np.isfinite(table).all(axis=None)


def test_fields_that_are_others_than_at_the_beginning_are_refused(run, two_sources):
    folder, experiment = run
    before = files(folder)
    for name, change in (("the source 'a'", "tas"), ("the target's grid, orog and sftlf", "orog")):
        coarse, statics = (
            ds.copy(deep=True) for ds in (two_sources.sources["a"], two_sources.statics)
        )
        field = coarse[change] if change == "tas" else statics[change]
        field.values.view(np.uint32).flat[11] ^= 1
        changed = {**two_sources.sources, "a": coarse}
        with pytest.raises(ExperimentError, match=f"values of {name} are not those that"):
            train(experiment, replace(two_sources, sources=changed, statics=statics))
    assert files(folder) == before


def test_a_lost_or_damaged_emulator_is_written_again_from_its_checkpoint(
    run, two_sources, tmp_path, caplog
):
    experiment = replace(run[1], output=str(tmp_path / "run"))
    shutil.copytree(run[0], experiment.output)
    write_experiment(experiment, tmp_path / "run" / "experiment.yaml")
    parameters = tmp_path / "run" / "emulator" / "parameters.npz"
    content = bytearray(parameters.read_bytes())
    content[len(content) // 2] ^= 1
    parameters.write_bytes(content)
    mended = train(experiment, two_sources)
    assert "is damaged" in caplog.text
    (tmp_path / "run" / "emulator").rename(tmp_path / "elsewhere")
    again = train(experiment, two_sources)
    assert mended.sha256 == again.sha256 == load(run[0]).sha256


def test_a_signal_leaves_a_checkpoint_from_which_the_run_ends_as_if_nothing_had_been(
    run, two_sources, tmp_path, monkeypatch
):
    experiment = replace(run[1], output=str(tmp_path / "run"))
    step = DataParallel.__call__
    calls = []

    def signalled(self, *given):
        calls.append(1)
        if len(calls) == 10:
            os.kill(os.getpid(), signal.SIGTERM)
        return step(self, *given)

    with monkeypatch.context() as patch, pytest.raises(Interrupted) as stopped:
        patch.setattr(DataParallel, "__call__", signalled)
        train(experiment, two_sources)
    assert stopped.value.signal == signal.SIGTERM
    assert {p.name for p in (tmp_path / "run" / "checkpoints").iterdir()} == {"6", "10"}
    train(experiment, two_sources)
    check_same_run(Trainer(prepare_training(run[1], two_sources), run[0]), tmp_path / "run", run[0])
    pd.testing.assert_frame_equal(metrics(tmp_path / "run"), metrics(run[0]))
    assert not (tmp_path / "run" / LOCK).exists()


def test_a_run_that_another_process_holds_is_refused(run, two_sources):
    folder, experiment = run
    before = files(folder)
    with (
        run_lock(folder),
        pytest.raises(GraphdownError, match=f"is in use by process {os.getpid()} on"),
    ):
        train(experiment, two_sources)
    assert files(folder) == before


def test_seeds_decide_the_start_and_nothing_else_does(data):
    starts = [
        named_values(
            Trainer(
                prepare_training(replace(make_trainer(data).experiment, seed=s), data), None
            ).params
        )
        for s in (0, 0, 1)
    ]
    kernel = "decode.out.kernel"
    first, again, other = (next(v for k, v in s.items() if k.startswith(kernel)) for s in starts)
    np.testing.assert_array_equal(first, again)
    assert (first != other).any()
    assert len(jax.tree.leaves(starts[0])) == len(jax.tree.leaves(starts[2]))
