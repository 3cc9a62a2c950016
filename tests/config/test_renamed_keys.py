import pytest

from graphdown.cli import main
from graphdown.config.experiment_file import load_experiment
from graphdown.config.renamed_keys import RENAMED, renamed
from graphdown.errors import ExperimentError
from graphdown.transfer.spec import load_study

from .test_experiment import GOOD, changed, message


@pytest.mark.parametrize("old", RENAMED)
def test_an_old_key_is_answered_with_the_new_one(old, tmp_path):
    section, _, key = old.rpartition(".")
    needed = {"run": "any"} if section == "finetune" else {}
    raw = {**GOOD, section: {**needed, key: 1}} if section else {**GOOD, key: ["pr"]}
    text = message(tmp_path, raw)
    assert text.endswith(f"{old!r} is now called {RENAMED[old]!r}; rename it.")


def test_an_old_key_in_an_override_or_a_study_is_answered_alike(tmp_path):
    text = message(tmp_path, GOOD, ["model.modes=5"])
    assert text.endswith("'model.modes' is now called 'model.eofs'; rename it.")
    path = tmp_path / "study.yaml"
    path.write_text(STUDY, encoding="utf-8")
    new = "'strategies.full.finetune.trainable'"
    with pytest.raises(ExperimentError, match=f"moves' is now called {new}; rename it"):
        load_study(path)
    path.write_text(STUDY.replace("moves", "trainable"), encoding="utf-8")
    with pytest.raises(ExperimentError, match="'experiment'.*'may_lack' is now called 'optional"):
        load_study(path)


STUDY = """
name: tiny
output: runs/none
experiment:
  predictors: [tas]
  targets: [tas]
  may_lack: [tas]
  data: {world: {}, sources: [{name: a, view: regular}]}
  periods: {train: [1981, 1981], validation: [1982, 1982], test: [1983, 1983]}
strategies:
  network: {}
  full: {start: network, finetune: {moves: all}}
blocks:
  all: {strategies: [network], train: [[a]], apply: [a]}
"""


@pytest.mark.parametrize(
    ("option", "new"),
    [
        ("--moves", "trainable"),
        ("--pull=0.1", "l2-sp"),
        ("--depth-decay", "layerwise-decay"),
        ("--held-out", "validation-share"),
    ],
)
def test_an_old_option_is_answered_with_the_new_one(option, new, capsys):
    with pytest.raises(SystemExit) as left:
        main(["finetune", "runs/any", "--data", "a", option, "0"])
    assert left.value.code == 2
    said = capsys.readouterr().err
    assert f"'{option.split('=')[0]}' is now called '--{new}'; rename it." in said


def test_keys_of_the_same_name_elsewhere_are_unknown_keys(tmp_path):
    assert renamed("samples") is renamed("model.samples") is renamed("xmay_lack") is None
    text = message(tmp_path, changed({("model",): {"samples": 1}}))
    assert "unknown key 'model.samples'" in text


def test_new_keys_exist(tmp_path):
    path = tmp_path / "e.yaml"
    path.write_text("{}", encoding="utf-8")
    for new in RENAMED.values():
        with pytest.raises(ExperimentError) as caught:
            load_experiment(path, [f"{new}=1"])
        assert "unknown key" not in str(caught.value)
