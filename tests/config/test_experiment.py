import copy
from itertools import pairwise

import pytest
import yaml

from graphdown.baselines import QUICK
from graphdown.config.experiment_file import load_experiment, parse_experiment
from graphdown.errors import ExperimentError

GOOD = {
    "name": "small",
    "output": "runs/small",
    "predictors": ["tas", "pr"],
    "targets": ["tas"],
    "data": {
        "world": {"years": 3, "size": 8},
        "sources": [{"name": "a", "view": "regular"}],
    },
    "periods": {"train": [1981, 1981], "validation": ["1982", "1982"], "test": ["1983", "1983"]},
    "model": {"channels": 8},
}


def changed(changes):
    raw = copy.deepcopy(GOOD)
    for keys, value in changes.items():
        node = raw
        *parents, last = keys
        for key in parents:
            node = node[key]
        if value is None:
            del node[last]
        else:
            node[last] = value
    return raw


def message(tmp_path, raw, overrides=()):
    path = tmp_path / "e.yaml"
    path.write_text(raw if isinstance(raw, str) else yaml.safe_dump(raw), encoding="utf-8")
    with pytest.raises(ExperimentError) as caught:
        load_experiment(path, overrides)
    text = str(caught.value)
    assert "\n" not in text and text.endswith((".", "?")) and not text.endswith("..")
    return text


def test_a_right_file_is_read_and_overridden(tmp_path):
    path = tmp_path / "e.yaml"
    path.write_text(yaml.safe_dump(GOOD), encoding="utf-8")
    experiment = load_experiment(path, ["training.steps=7", "output=elsewhere"])
    assert experiment.training.steps == 7
    assert experiment.output == "elsewhere"
    assert experiment.periods.train == ("1981", "1981")


def test_baselines_by_default_are_the_quick_ones():
    assert parse_experiment(GOOD, "the test").baselines == QUICK


SOURCE = ("data", "sources", 0)
WRONG = {
    "top key": ({("predictor",): ["tas"]}, ["'predictor'", "did you mean 'predictors'"]),
    "model key": ({("model", "chanels"): 3}, ["'model.chanels'", "did you mean 'channels'"]),
    "source key": ({(*SOURCE, "vew"): "x"}, ["'data.sources.0.vew'", "did you mean 'view'"]),
    "type": ({("model", "channels"): "many"}, ["'model.channels'", "'many'", "it must be"]),
    "missing": ({("targets",): None}, ["'targets' is missing", "add it"]),
    "nested missing": ({(*SOURCE, "name"): None}, ["'data.sources.0.name' is missing"]),
    "no period": ({("periods", "train"): []}, ["'periods.train'", "write [first, last]"]),
    "half a period": ({("periods", "test"): ["1983"]}, ["'periods.test'", "too few"]),
    "blank date": ({("periods", "test"): ["", "1983"]}, ["'periods.test'", "YYYY-MM"]),
    "no date": ({("periods", "test"): ["soon", "1983"]}, ["'soon'", "YYYY-MM"]),
    "reversed": ({("periods", "test"): ["1984", "1983"]}, ["'periods.test'", "swap them"]),
    "no variable": ({("targets",): []}, ["'targets' is empty", "at least one"]),
    "a path for a variable": ({("targets",): ["../tas"]}, ["'targets'", "'../tas'"]),
    "truth without a target": (
        {(*SOURCE, "target_files"): ["own.nc"]},
        ["the source 'a'", "'target_files'", "no 'data.target'", "give that"],
    ),
    "no source": ({("data", "sources"): []}, ["'data.sources' is empty"]),
    "one name": (
        {("data", "unseen"): [{"name": "a", "view": "rotated"}]},
        ["two sources are called 'a'", "rename one"],
    ),
    "two kinds": ({(*SOURCE, "upscale"): 2}, ["'a'", "exactly one of"]),
    "a path for a name": ({(*SOURCE, "name"): "../../a"}, ["'../../a'", "without slashes"]),
    "no origin": ({("data", "world"): None}, ["'target'", "'world'"]),
    "upscale": ({SOURCE: {"name": "a", "upscale": 1}}, ["'upscale'", "at least 2"]),
    "world": ({("data", "world", "size"): 2}, ["'data.world.size' is 2, but", "between 8 and 80"]),
    "variable": ({("output",): "${GRAPHDOWN_NOT_SET}/x"}, ["'output'", "GRAPHDOWN_NOT_SET"]),
    "steps": ({("training",): {"steps": 0}}, ["'training.steps'", "greater than 0"]),
    "heads": (
        {("model",): {"channels": 10, "messages": "attention"}},
        ["'model'", "4 attention_heads", "10 channels", "change either"],
    ),
    "members that nothing makes": (
        {("training",): {"members": 3}},
        ["'training.members' is 3", "without 'model.noise'", "set both, or drop it"],
    ),
    "heads without attention": (
        {("model",): {"attention_heads": 2}},
        ["'model.attention_heads' is 2", "'model.messages' is 'linear'", "or drop the heads"],
    ),
    "a rank without adapters": (
        {("finetune",): {"run": "x", "rank": 2}},
        ["'finetune.rank' is 2", "set it to 'adapters', or drop the rank"],
    ),
    "a shift of no predictor": (
        {("training",): {"mean_shift": 0.1, "shifted_variables": ["zg"]}},
        ["'training.shifted_variables'", "'zg'", "no predictor", "drop it"],
    ),
    "variables without a shift": (
        {("training",): {"shifted_variables": ["tas"]}},
        ["'training.shifted_variables'", "'training.mean_shift'", "set one of them"],
    ),
    "standardised, but no predictor": (
        {("standardise",): "per-source", ("standardised_variables",): {"zg": 1}},
        ["'standardised_variables'", "'zg'", "no predictor", "drop it"],
    ),
    "standardised to no share": (
        {("standardise",): "per-source", ("standardised_variables",): {"tas": 1.5}},
        ["'standardised_variables.tas' is 1.5", "greater than 0 and at most 1"],
    ),
    "standardised, but shared": (
        {("standardised_variables",): {"tas": 1}},
        ["'standardised_variables'", "'standardise: per-source'", "set that, or drop"],
    ),
    "regression of no target": (
        {("model",): {"target_regression": 3, "regression_targets": ["psl"]}},
        ["'model.regression_targets'", "'psl'", "no target", "drop it"],
    ),
    "targets without a regression": (
        {("model",): {"regression_targets": ["tas"]}},
        ["'model.regression_targets'", "'model.target_regression'", "set that, or drop"],
    ),
    "a size of no network": (
        {("model",): {"target_channels": 0}},
        ["'model.target_channels' is 0, but must lie between 1 and 16,384"],
    ),
    "a size of no computer": ({("model",): {"channels": 10**20}}, ["but must lie between"]),
    "a warming of no planet": (
        {("training",): {"warming_offset": [-1e308, 1e308]}},
        ["'training.warming_offset.0'", "must lie between -100 and 100"],
    ),
    "a batch of no computer": (
        {("training",): {"batch_size": 10**12}},
        ["'training.batch_size' is 1000000000000", "at most 65,536"],
    ),
    "no file": (
        {("data", "world"): None, ("data", "target"): {"files": []}},
        ["'data.target.files' is empty"],
    ),
    "skipped": ({("training",): {"most_skipped": 0}}, ["'training.most_skipped'", "greater"]),
    "noise": ({("training",): {"noise": -1}}, ["'training.noise'", "not be negative"]),
    "no predictor": (
        {("optional_predictors",): ["psl"]},
        ["'optional_predictors'", "'psl'", "drop it"],
    ),
    "may lack a target": (
        {("optional_predictors",): ["tas"]},
        ["'optional_predictors'", "'tas'", "a target"],
    ),
    "EOFs and gaps": (
        {("optional_predictors",): ["pr"], ("model", "eofs"): 5},
        ["'optional_predictors'", "'model.eofs'", "set these to 0"],
    ),
    "innovations of nothing": (
        {("model",): {"innovation_rounds": 2}, ("predictors",): ["psl"]},
        ["'model.innovation_rounds' compares", "no target is a predictor"],
    ),
    "innovations of distributions": (
        {("model",): {"innovation_rounds": 2, "heads": {"tas": "censored-normal"}}},
        ["'model.innovation_rounds' does not go with 'model.heads'", "drop one"],
    ),
    "nothing to drop": (
        {("training",): {"variable_dropout": 0.1}},
        ["'optional_predictors' must name"],
    ),
    "fine-tuning": (
        {("finetune",): {"run": "x", "rank": 0}},
        ["'finetune.rank' is 0, but must be at least 1"],
    ),
    "baseline": ({("baselines",): ["unet"]}, ["'baselines'", "'unet'", "there are nearest, "]),
    "near baseline": ({("baselines",): ["Unet"]}, ["'Unet'", "did you mean 'U-Net'"]),
    "baseline twice": ({("baselines",): ["ridge"] * 2}, ["'ridge' twice", "drop one"]),
}


@pytest.mark.parametrize("case", WRONG)
def test_a_wrong_file_is_answered_by_one_sentence_with_key_and_cure(case, tmp_path, monkeypatch):
    monkeypatch.delenv("GRAPHDOWN_NOT_SET", raising=False)
    changes, parts = WRONG[case]
    text = message(tmp_path, changed(changes))
    assert all(part in text for part in parts), text


def test_wrong_yaml_and_overrides_are_refused(tmp_path):
    assert "not valid YAML" in message(tmp_path, "name: [a\n")
    assert "'key: value' lines" in message(tmp_path, "- a\n")
    assert "key.sub=value" in message(tmp_path, GOOD, ["training.steps"])
    assert "not valid YAML" in message(tmp_path, GOOD, ["name=[a"])
    assert "plain value" in message(tmp_path, GOOD, ["name.x=1"])
    with pytest.raises(ExperimentError, match="does not exist; check the path"):
        load_experiment(tmp_path / "none.yaml")


def test_yaml_that_would_take_all_memory_or_recurse_for_ever_is_refused(tmp_path):
    aliases = [f"{b}: &{b} [{', '.join([f'*{a}'] * 9)}]" for a, b in pairwise("abcdefghij")]
    for text, part in (
        ("\n".join(["a: &a [x, x]", *aliases]), "aliases or nesting"),
        ("name: &x [*x]\n", "aliases or nesting"),
        ("name: " + "[" * 5000, "nested too deeply"),
        ("name: " + "9" * 5000, "not valid YAML"),
        ("2001-99-99: 1\n", "month must be in 1..12"),
    ):
        assert part in message(tmp_path, text)
    assert "not valid YAML" in message(tmp_path, GOOD, ["name=&x [*x]"])
