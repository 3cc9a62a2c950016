"""The quick demo's pieces; the whole of it runs from an installed wheel, in test_wheel.py."""

import numpy as np
import pytest

import graphdown
from graphdown.cli import main
from graphdown.config.experiment_file import load_experiment
from graphdown.config.packaged import packaged_config
from graphdown.demo.make_emulator import MOST_BYTES, keep_emulator
from graphdown.demo.month import MONTH, UNSEEN, WORLD
from graphdown.demo.quick import QuickDemo, installed_emulator, quick_demo
from graphdown.errors import GraphdownError


def test_the_installed_emulator_is_that_of_the_experiment_and_small():
    folder, experiment = installed_emulator(), load_experiment(packaged_config("demo"))
    assert sum(file.stat().st_size for file in folder.iterdir()) < MOST_BYTES
    emulator = graphdown.load(folder)
    assert emulator.model == experiment.model and emulator.domain.spec == experiment.graph
    assert emulator.targets == experiment.targets
    assert experiment.data.world == WORLD
    assert [source.view for source in experiment.data.unseen] == [UNSEEN]
    assert UNSEEN not in emulator.passport["training"]["sources"]
    assert experiment.periods.test[1] == MONTH[:4]
    assert emulator.passport["emulator"]["sha256"] == emulator.sha256


def test_sentences_give_scores_of_both_methods(tmp_path):
    scores = {"graphdown": {"tas": 0.5, "pr": 1.25}, "interpolation": {"tas": 2.0, "pr": 2.5}}
    said = " ".join(QuickDemo(tmp_path, "1992-01-16", scores, "Inside").sentences)
    assert "0.50 K" in said and "2.00" in said and "1.25 mm/day" in said and "2.50" in said


def test_nothing_is_overwritten_and_nothing_trained(tmp_path, capsys):
    with pytest.raises(GraphdownError, match="is there already; delete it"):
        quick_demo(tmp_path)
    with pytest.raises(SystemExit):
        main(["demo", "--quick", "--set", "training.steps=2"])
    assert "--quick trains nothing" in capsys.readouterr().err


def test_an_emulator_is_kept_unless_it_is_large(tmp_path):
    run, folder = tmp_path / "run", tmp_path / "kept"
    (run / "emulator").mkdir(parents=True)
    (run / "emulator" / "a.npz").write_bytes(b"new")
    folder.mkdir()
    (folder / "old.npz").write_bytes(b"old")
    keep_emulator(run, folder)
    assert [file.name for file in folder.iterdir()] == ["a.npz"]
    (run / "emulator" / "a.npz").write_bytes(np.zeros(MOST_BYTES + 1, np.uint8).tobytes())
    with pytest.raises(ValueError, match="more than"):
        keep_emulator(run, folder)
    assert (folder / "a.npz").read_bytes() == b"new"
