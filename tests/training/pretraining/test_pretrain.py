"""Pretraining on source fields alone: what is hidden, what is learned, what is handed on."""

from dataclasses import replace

import jax.numpy as jnp
import numpy as np
import pandas as pd
import pytest
import xarray as xr
import yaml
from flax import nnx

import graphdown
from graphdown.config.experiment_file import load_experiment, parse_experiment
from graphdown.config.training import PretrainedSpec, PretrainSpec
from graphdown.data.check import check
from graphdown.data.load import ExperimentData, load_data
from graphdown.errors import ExperimentError, GraphdownError
from graphdown.model.arrays import with_hidden
from graphdown.model.parameters import named_values
from graphdown.training import Trainer, finetune_experiment, prepare_training, pretrain, train
from graphdown.training.pretraining.artifact import CARRIED, load_pretrained
from graphdown.training.pretraining.masking import visible_nodes
from graphdown.training.pretraining.pretrain import Pretrainer, prepare_pretraining
from graphdown.training.run.checkpoint import Checkpoints
from meshes import EARTH_RADIUS_KM, Grid

from ..conftest import COARSE, OTHER, UNITS, dataset, make_experiment, perturbed, source, weather

REGION = (0.0, 40.0, 6.0, 46.0)
FAR = Grid.regular(2.0, 1.0, (-14.0, 30.0, 20.0, 56.0))


def pretraining(folder, data, **training):
    experiment = make_experiment(folder, data, steps=120, validate_every=60, **training)
    spec = PretrainSpec(patch_km=150.0, region=REGION)
    alone = replace(experiment.data, target=None)
    return replace(experiment, data=alone, targets=(), pretrain=spec)


@pytest.fixture(scope="module")
def fields():
    """Two sources on two grids, without any target."""
    sources = {"a": source(COARSE), "far": dataset(FAR, weather(FAR.lon, FAR.lat))}
    return ExperimentData(xr.Dataset(), xr.Dataset(), sources, {})


@pytest.fixture(scope="module")
def far(fields):
    return replace(fields, sources={"far": fields.sources["far"]})


@pytest.fixture(scope="module")
def run(tmp_path_factory, far):
    folder = tmp_path_factory.mktemp("runs") / "pretrained"
    pretrain(pretraining(folder, far), far)
    return folder


@pytest.fixture(scope="module")
def pretrainer(fields):
    return Pretrainer(prepare_pretraining(pretraining("unused", fields), fields), None)


def started(folder, run, data, **model):
    experiment = make_experiment(folder, data, model, steps=6)
    return replace(experiment, pretrained=PretrainedSpec(str(run)))


@pytest.mark.parametrize("scattered", [0.0, 0.5, 1.0])
def test_the_wanted_share_is_hidden_as_patches_and_as_single_nodes(scattered):
    grid = Grid.regular(1.0, 1.0, (0.0, 40.0, 20.0, 60.0))
    spec = PretrainSpec(hidden=0.3, scattered=scattered, patch_km=250.0)
    shown = visible_nodes(grid, spec, np.random.default_rng(3))
    assert shown.dtype == np.float32 and set(shown) == {0.0, 1.0}
    assert (shown == 0).sum() == 120
    np.testing.assert_array_equal(shown, visible_nodes(grid, spec, np.random.default_rng(3)))
    assert (shown != visible_nodes(grid, spec, np.random.default_rng(4))).any()
    xyz = grid.xyz[shown == 0]
    apart = np.linalg.norm(xyz[:, None] - xyz[None], axis=-1) * EARTH_RADIUS_KM
    around = (apart < 160.0).sum(axis=1).mean()  # hidden nodes within reach of a hidden one
    low, high = {0.0: (7.0, 9.0), 0.5: (5.0, 7.0), 1.0: (0.0, 5.0)}[scattered]
    assert low < around < high


def test_at_least_one_node_is_hidden_and_one_is_shown():
    grid = Grid.regular(1.0, 1.0, (0.0, 40.0, 2.0, 41.0))
    for share in (0.01, 0.99):
        shown = visible_nodes(grid, PretrainSpec(hidden=share), np.random.default_rng(0))
        np.testing.assert_array_equal(np.sort(shown), [0.0, 1.0])


def test_hidden_nodes_say_nothing_and_the_others_take_over_their_weight(pretrainer):
    graph = pretrainer.constants[0].graph
    size, nodes = pretrainer.fields[0].grid.size, len(graph.encode.outgoing.row)
    shown = np.ones(nodes, np.float32)
    shown[: size // 2] = 0.0
    masked = with_hidden(graph, jnp.asarray(shown))
    for old, new, block in zip(
        graph.encode.weights, masked.encode.weights, graph.encode.senders.blocks, strict=True
    ):
        seen = np.append(shown, 0.0)[np.asarray(block)] * np.asarray(old)
        total = seen.sum(1)
        expected = np.divide(seen, total[:, None], where=total[:, None] > 0, out=0 * seen)
        np.testing.assert_allclose(new, expected, atol=1e-6)
    np.testing.assert_allclose(masked.to_target.weights.sum(1), shown[:size])
    network = nnx.merge(pretrainer.graphdef, perturbed(pretrainer.params))
    rng = np.random.default_rng(0)
    x = rng.normal(size=(nodes, 2, pretrainer.normaliser.channels)).astype(np.float32)
    other = np.where(shown[:, None, None] == 0, x + 5.0, x).astype(np.float32)
    season = jnp.zeros((2, pretrainer.fields[0].train_season.shape[1]))
    read = nnx.jit(network)
    one, two, all_seen = (read(v, season, g) for v, g in ((x, masked), (other, masked), (x, graph)))
    np.testing.assert_array_equal(one, two)
    assert np.abs(all_seen - one).max() > 0.1


def test_a_source_is_read_around_the_region_alone(pretrainer):
    near, far = pretrainer.fields
    assert near.grid.size <= COARSE.size and far.grid.size < FAR.size
    np.testing.assert_allclose(far.graph.decode.weights.reshape(far.grid.size, -1).sum(1), 1, 1e-6)
    assert far.train.shape == (59, far.grid.size, 3) and np.isfinite(far.train).all()


def test_hidden_nodes_are_told_better_than_by_the_climate(run, far):
    """The mean of all days and nodes, which an untrained network says, has an error of 1."""
    pretrainer = Pretrainer(prepare_pretraining(pretraining("unused", far), far), None)
    spread = dict(pretrainer.scales())
    untrained = pretrainer.errors(pretrainer.params)
    zero = np.mean([untrained[name] / spread[name] for name in spread])
    assert zero == pytest.approx(1.0, abs=0.25)
    table = pd.read_csv(run / "metrics.csv")
    assert list(table["step"]) == [60, 120]
    assert table["validation_score"].min() < 0.8 * zero
    assert table["loss"].iloc[-1] < 0.6


def test_weights_and_statistics_are_handed_on_and_the_decoder_is_new(run, data):
    found = load_pretrained(run)
    assert {name.split(".")[0] for name in found.params} == {*CARRIED} - {"edge_states"}
    scratch = Trainer(prepare_training(make_experiment("unused", data), data), None)
    trainer = Trainer(prepare_training(started("unused", run, data), data), None)
    random, begun = named_values(scratch.params), named_values(trainer.params)
    for name, value in begun.items():
        expected = found.params.get(name, random[name])
        np.testing.assert_array_equal(value, expected, err_msg=name)
    assert any((found.params[name] != random[name]).any() for name in found.params)
    own, before = trainer.normaliser, scratch.normaliser
    assert (own.mean, own.std) == (found.normaliser.mean, found.normaliser.std)
    assert own.scale == before.scale and own.mean != before.mean


@pytest.mark.slow
def test_training_goes_on_from_the_pretraining_and_says_so(run, data, tmp_path):
    train(started(tmp_path / "started", run, data), data)
    train(make_experiment(tmp_path / "scratch", data, steps=6), data)
    one, two = (pd.read_csv(tmp_path / n / "metrics.csv") for n in ("started", "scratch"))
    assert one["loss"].iloc[0] != two["loss"].iloc[0]
    written = load_experiment(tmp_path / "started" / "experiment.yaml").pretrained
    assert written == PretrainedSpec(str(run), load_pretrained(run).sha256)


@pytest.mark.parametrize(
    ("model", "part"),
    [
        ({"channels": 6}, "'model.channels' differ from the experiment's (8 against 6)"),
        ({"messages": "mlp"}, "'model.messages' differ from the experiment's (linear against mlp)"),
    ],
)
def test_other_sizes_are_refused_in_one_sentence(model, part, run, data, tmp_path):
    with pytest.raises(ExperimentError) as error:
        train(started(tmp_path / "new", run, data, **model), data)
    assert part in str(error.value) and "\n" not in str(error.value)
    assert not (tmp_path / "new").exists()


def test_what_does_not_go_together_is_refused_in_one_sentence(run, fields, data, tmp_path):
    other = replace(started("unused", run, data), predictors=("tas", "pr"))
    hashed = replace(other, pretrained=PretrainedSpec(str(run), "0"), predictors=data_names(data))
    for experiment, part in (
        (other, "'predictors' differ from the experiment's (tas, pr, ua850 against tas, pr)"),
        (hashed, "not 0 as 'pretrained.sha256' says"),
        (started("unused", tmp_path, data), "holds no pretraining"),
        (pretraining("unused", fields), "run it by 'graphdown pretrain'"),
    ):
        with pytest.raises(GraphdownError, match="^[^\n]+$") as error:
            train(experiment, data)
        assert part in str(error.value)
    with pytest.raises(GraphdownError, match="makes no fields yet"):
        finetune_experiment(run, "a")
    with pytest.raises(ExperimentError, match="is no pretraining"):
        graphdown.pretrain(make_experiment("unused", data), data)


def data_names(data):
    return tuple(name for name in data.sources["a"].data_vars if name != "orog")


def test_a_damaged_pretraining_is_refused(run, tmp_path):
    folder = tmp_path / "copy" / "pretrained"
    load_pretrained(run).save(folder)
    assert load_pretrained(tmp_path / "copy").sha256 == load_pretrained(run).sha256
    text = (folder / "pretrained.json").read_text().replace('"hidden"', '"x"')
    (folder / "pretrained.json").write_text(text.replace('"name": "tiny"', '"name": "other"'))
    with pytest.raises(GraphdownError, match="is damaged"):
        load_pretrained(tmp_path / "copy")


def test_a_pretraining_of_a_newer_version_is_refused(run, tmp_path):
    folder = tmp_path / "copy" / "pretrained"
    load_pretrained(run).save(folder)
    text = (folder / "pretrained.json").read_text().replace('"format": 1', '"format": 2')
    (folder / "pretrained.json").write_text(text)
    with pytest.raises(GraphdownError, match="newer graphdown .format 2; .*update graphdown"):
        load_pretrained(tmp_path / "copy")


RAW = {
    "name": "fields alone",
    "output": "unused",
    "predictors": ["tas", "pr"],
    "targets": [],
    "data": {"sources": [{"name": "a", "files": ["unused.nc"]}]},
    "periods": {
        "train": ["2001-01-01", "2001-02-28"],
        "validation": ["2001-03-01", "2001-03-14"],
        "test": ["2001-03-15", "2001-03-31"],
    },
    "pretrain": {"region": list(REGION)},
}


@pytest.mark.parametrize(
    ("change", "part"),
    [
        ({"pretrain": {}}, "'data' needs either 'target'"),
        ({"pretrain": {"hidden": 1.0, "region": list(REGION)}}, "'pretrain.hidden' is 1.0, but"),
        ({"pretrain": {"region": [6, 40, 0, 46]}}, "'pretrain.region' is (6.0, 40.0, 0.0, 46.0)"),
        ({"pretrain": {"hiden": 0.5}}, "did you mean 'hidden'?"),
        ({"pretrained": {"run": "x"}}, "drop 'pretrained'"),
        ({"pretrain": None}, "'targets' is empty"),
        (
            {"data": {"sources": [{"name": "a", "upscale": 2}]}},
            "takes the source 'a' as it is; drop its 'upscale'",
        ),
    ],
)
def test_what_makes_no_sense_is_said_in_one_sentence(change, part):
    with pytest.raises(ExperimentError, match="^[^\n]+$") as error:
        parse_experiment({**RAW, **change}, "the test")
    assert part in str(error.value)


def test_files_of_sources_need_no_target(tmp_path):
    ds = dataset(OTHER, {n: v for n, v in weather(OTHER.lon, OTHER.lat).items() if n in UNITS})
    ds.to_netcdf(tmp_path / "gcm.nc")
    raw = {**RAW, "data": {"sources": [{"name": "a", "files": [str(tmp_path / "gcm.nc")]}]}}
    (tmp_path / "e.yaml").write_text(yaml.safe_dump(raw))
    experiment = load_experiment(tmp_path / "e.yaml")
    loaded = load_data(experiment)
    assert list(loaded.sources) == ["a"] and not loaded.fine.data_vars
    report = check([], experiment=tmp_path / "e.yaml")
    assert report.ok and "covers 100 % of the target" in report.to_text()
    made = Pretrainer(prepare_pretraining(experiment, loaded), tmp_path)
    assert made.normaliser.predictors == ("tas", "pr")


def test_a_source_that_lacks_a_variable_teaches_the_others(fields):
    lacking = fields.sources["a"].drop_vars("ua850")
    data = replace(fields, sources={**fields.sources, "a": lacking})
    experiment = replace(pretraining("unused", data), optional_predictors=("ua850",))
    made = Pretrainer(prepare_pretraining(experiment, data), None)
    assert np.isfinite(list(made.errors(perturbed(made.params)).values())).all()
    only = Pretrainer(prepare_pretraining(experiment, data), None).fields[0].train
    assert np.isnan(only[..., 2]).all() and np.isfinite(only[..., :2]).all()


@pytest.mark.slow
def test_an_interrupted_pretraining_ends_with_the_same_bits(run, far, tmp_path, monkeypatch):
    experiment = pretraining(tmp_path / "cut", far)
    save, calls = Checkpoints.save, []

    def failing(self, state, progress):
        save(self, state, progress)
        calls.append(progress.step)
        raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(Checkpoints, "save", failing)
        pretrain(experiment, far)
    assert calls == [60]
    assert pretrain(experiment, far).sha256 == load_pretrained(run).sha256
