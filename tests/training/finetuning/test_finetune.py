"""Runs that start from another run: what moves, what stays, which days teach."""

from dataclasses import replace

import jax
import numpy as np
import pandas as pd
import pytest
import xarray as xr
import yaml

import graphdown
from graphdown.cli import main
from graphdown.config.data import Periods
from graphdown.config.experiment_file import (
    experiment_to_dict,
    load_experiment,
    parse_experiment,
)
from graphdown.config.training import FinetuneSpec
from graphdown.data.load import ExperimentData
from graphdown.emulator.storage import load
from graphdown.errors import ExperimentError, GraphdownError
from graphdown.model.parameters import named_values
from graphdown.training import Trainer, finetune_experiment, prepare_training, train
from graphdown.training.finetuning.replay import replay_turns, validation_weights
from graphdown.training.parallel import DataParallel
from graphdown.training.periods import held_out_of, learned_from, with_last_years
from graphdown.training.step import initial_state, make_optimiser, make_step
from graphdown.training.trainable import Trainable, stages_from_target, whole_network

from ..conftest import (
    COARSE,
    FINE,
    OTHER,
    dataset,
    make_data,
    make_experiment,
    orography,
    source,
    truth,
)
from ..test_trainer import interrupted

MODEL = {"target_embedding": 2}
CLOSED = {"rounds": 2, "target_embedding": 2, "target_regression": 3}
HEAD = {
    "head.kernel",
    "head.bias",
    "node_embedding.project.kernel",
    "node_embedding.project.bias",
    "node_embedding.readout",
}


@pytest.fixture(scope="module")
def other():
    """The same weather as another model with a warm bias shows it."""
    biased = source(OTHER)
    biased["tas"] = biased["tas"] + 1.5
    return make_data(b=biased)


@pytest.fixture(scope="module")
def run(tmp_path_factory, data):
    folder = tmp_path_factory.mktemp("runs") / "first"
    train(make_experiment(folder, data, MODEL), data)
    return folder


def experiment_on(folder, run, data, **options):
    """A fine-tuning as an experiment states it, with few steps."""
    raw = {"finetune": {"run": str(run), **options}}
    experiment = make_experiment(folder, data, MODEL, warmup_steps=0, weight_decay=0.0)
    parsed = parse_experiment(
        {**yaml.safe_load((run / "experiment.yaml").read_text()), **raw}, "the test"
    )
    return replace(experiment, finetune=parsed.finetune)


def moved_by(folder, run, data, **options):
    """Names of the parameters that differ from the run's after fine-tuning."""
    emulator = train(experiment_on(folder, run, data, **options), data)
    before, after = load(run).params, emulator.params
    assert set(before) == set(after)
    assert emulator.normaliser == load(run).normaliser
    return {n for n, v in after.items() if v.tobytes() != before[n].tobytes()}


CASES = {
    "head": lambda name: name in HEAD or name == "node_embedding.bias",
    "norm": lambda name: ".norm." in name,
    "encoder": lambda name: name.startswith(("encode.", "mesh_")),
    "adapters": lambda name: name.endswith("kernel"),
    "all": lambda name: not name.startswith("regression."),
}


@pytest.mark.parametrize("trainable", CASES)
def test_what_is_to_move_is_chosen_by_name(trainable, trainer):
    names = set(named_values(whole_of(trainer)))
    expected = {name for name in names if CASES[trainable](name)}
    assert 0 < len(expected) < len(names)
    assert set(moves_of(whole_of(trainer), trainable=trainable).start(0)) == expected


@pytest.mark.parametrize(
    "trainable", ["head", *(pytest.param(m, marks=pytest.mark.slow) for m in [*CASES][1:])]
)
def test_what_is_to_move_moves_and_all_else_keeps_its_bits(trainable, run, other, tmp_path):
    expected = {name for name in load(run).params if CASES[trainable](name)}
    spec = {"trainable": trainable, **({"rank": 2} if trainable == "adapters" else {})}
    assert moved_by(tmp_path / "tuned", run, other, **spec) == expected


def test_a_run_says_where_it_began_and_improves_from_there(run, other, tmp_path):
    experiment = experiment_on(tmp_path / "tuned", run, other, trainable="adapters", l2_sp=0.01)
    train(experiment, other)
    table = pd.read_csv(tmp_path / "tuned" / "metrics.csv")
    assert list(table["step"]) == [0, 6, 12, 18]
    assert np.isnan(table["loss"][0]) and table["loss"][1:].notna().all()
    assert table["validation_score"].iloc[-1] < 0.9 * table["validation_score"].iloc[0]
    written = load_experiment(tmp_path / "tuned" / "experiment.yaml").finetune
    assert (written.run, written.sha256) == (str(run), load(run).sha256)


@pytest.mark.slow
def test_weights_that_were_best_before_the_first_step_are_kept(run, data, tmp_path):
    experiment = experiment_on(tmp_path / "tuned", run, data, trainable="head")
    wild = replace(experiment, training=replace(experiment.training, learning_rate=5.0))
    emulator = train(wild, data)
    for name, value in load(run).params.items():
        np.testing.assert_array_equal(emulator.params[name], value, err_msg=name)


@pytest.mark.slow
@pytest.mark.parametrize("trainable", ["all", "adapters"])
def test_an_interrupted_fine_tuning_ends_as_if_nothing_had_been(
    trainable, run, other, tmp_path, monkeypatch
):
    options = {"trainable": trainable, "l2_sp": 0.1, "layerwise_decay": 0.7}
    whole = experiment_on(tmp_path / "whole", run, other, **options)
    cut = replace(whole, output=str(tmp_path / "cut"))
    train(whole, other)
    for call in (3, 8):  # after the validation of the start, and after another one
        interrupted(cut, other, monkeypatch, DataParallel, "__call__", call)
    train(cut, other)
    for name, value in load(tmp_path / "whole").params.items():
        assert value.tobytes() == load(tmp_path / "cut").params[name].tobytes()
    tables = [
        pd.read_csv(tmp_path / n / "metrics.csv").drop(columns="seconds") for n in ("whole", "cut")
    ]
    pd.testing.assert_frame_equal(*tables)


def test_no_years_give_the_same_bytes(run, other, tmp_path):
    train(experiment_on(tmp_path / "tuned", run, other, years=0), other)
    for file in (run / "emulator").iterdir():
        assert (tmp_path / "tuned" / "emulator" / file.name).read_bytes() == file.read_bytes()


def whole_of(trainer):
    """All parameters of the network before the first step."""
    return whole_network(trainer.params, trainer.kept, None)


def moves_of(params, rounds=2, **options):
    return Trainable(FinetuneSpec(run="unused", **options), params, rounds)


@pytest.fixture(scope="module")
def trainer(data):
    return Trainer(prepare_training(make_experiment("unused", data, CLOSED), data), None)


@pytest.mark.parametrize("kind", ["all", "adapters"])
def test_the_pull_is_half_the_squared_distance_from_the_start(kind, trainer):
    trainable = moves_of(whole_of(trainer), trainable=kind, l2_sp=0.3)
    own = jax.tree.map(lambda a: a + 0.1, trainable.start(0))
    whole, kept = named_values(trainable.whole(own, trainable.kept)), trainable.kept
    distance = sum(((whole[n] - np.asarray(kept[n])) ** 2).sum(dtype=np.float64) for n in whole)
    np.testing.assert_allclose(trainable.penalty(own, kept), 0.15 * distance, rtol=1e-4)
    assert float(trainable.penalty(trainable.start(0), kept)) == 0.0


def test_adapters_are_low_rank_and_start_at_nothing(trainer):
    trainable = moves_of(whole_of(trainer), trainable="adapters", rank=2)
    start = trainable.start(0)
    for name, value in named_values(trainable.whole(start, trainable.kept)).items():
        np.testing.assert_array_equal(value, trainable.kept[name])
    moved = jax.tree.map(lambda a: a + np.random.default_rng(0).normal(size=a.shape), start)
    whole = named_values(trainable.whole(moved, trainable.kept))
    change = whole["decode.out.kernel"] - trainable.kept["decode.out.kernel"]
    sizes = np.linalg.svd(change, compute_uv=False)
    assert sizes[1] > 1e-2 and sizes[2] < 1e-5 * sizes[0]


@pytest.mark.slow
def test_a_stronger_pull_stays_closer_to_the_start(run, other, tmp_path):
    distance = []
    for l2_sp in (0.0, 100.0):
        experiment = experiment_on(tmp_path / str(l2_sp), run, other, l2_sp=l2_sp)
        params = train(experiment, other).params
        distance.append(sum(np.sum((params[n] - v) ** 2) for n, v in load(run).params.items()))
    assert 0 < distance[1] < 0.2 * distance[0]


def test_every_parameter_has_its_stage(trainer):
    stages = {n: stages_from_target(n, 2) for n in named_values(trainer.params)}
    first = {name.split(".")[0]: stage for name, stage in stages.items()}
    assert {first[n] for n in ("encode", "mesh_input", "mesh_update")} == {5}
    assert stages["updates.out.bias"] == stages["messages.out.kernel"] == [4, 3]
    assert (first["decode"], first["target_update"]) == (2, 1)
    assert (first["head"], first["node_embedding"]) == (0, 0)


def test_the_learning_rate_decays_from_stage_to_stage(trainer):
    trainable = moves_of(whole_of(trainer), layerwise_decay=0.5)
    names = ("head.bias", "updates.out.kernel", "encode.edge.kernel")
    own = {name: trainable.kept[name] for name in names}
    spec = replace(trainer.experiment.training, warmup_steps=0, weight_decay=0.1)
    ones, updates = jax.tree.map(np.ones_like, own), []
    for given in (None, trainable):
        optimiser = make_optimiser(spec, given)
        updates.append(jax.jit(optimiser.update)(ones, optimiser.init(own), own)[0])
    by_round = np.asarray([0.5**4, 0.5**3])[:, None, None]
    for name, factor in zip(names, (1.0, by_round, 0.5**5), strict=True):
        np.testing.assert_allclose(updates[1][name], factor * updates[0][name], rtol=1e-6)


@pytest.mark.slow
def test_a_step_with_all_moving_is_the_plain_step(trainer):
    trainable, spec = moves_of(whole_of(trainer)), trainer.experiment.training
    batch, _ = trainer.batch(0)
    constants, after = trainer.constants_of(trainer.samples[0]), []
    for given, params in ((None, trainer.params), (trainable, trainable.start(0))):
        optimiser = make_optimiser(spec, given)
        mapped = DataParallel(make_step(trainer.graphdef, optimiser, 0.9, given), "shard_map", 1)
        own = constants._replace(kept=trainer.kept if given is None else given.kept)
        state, _ = mapped(mapped.replicate(initial_state(params, optimiser)), batch, own)
        after.append(state.params if given is None else given.whole(state.params, given.kept))
    plain, tuned = map(named_values, after)
    for name, value in plain.items():
        np.testing.assert_allclose(tuned[name], value, atol=1e-6, err_msg=name)


def days(first, last):
    time = xr.date_range(first, last)
    grid = COARSE
    return dataset(grid, {"tas": np.zeros((len(time), grid.size))}, time)


def test_days_are_held_out_at_the_end_of_each_month():
    both = days("2001-01-01", "2001-03-10")
    held = held_out_of((both, both), 0.2)[0]["time"]
    assert [str(d)[5:10] for d in held.values[[0, 5, 6, 11, 12, 13]]] == [
        "01-26",
        "01-31",
        "02-23",
        "02-28",
        "03-09",
        "03-10",
    ]
    assert held.size == 14
    rest = learned_from((both, both), 0.2)[1]["time"]
    assert sorted([*held.values, *rest.values]) == list(both["time"].values)
    assert not set(held.values) & set(rest.values)
    one = both.isel(time=[0])
    with pytest.raises(
        ExperimentError, match="'finetune.validation_share' is 0.2, .* choose another"
    ):
        held_out_of((one, one), 0.2)


@pytest.mark.parametrize(
    ("train_period", "years", "start"),
    [
        (("1981", "1990"), 3, "1988"),
        (("1981-03", "1990-02"), 2, "1988-03"),
        (("1981-01-01", "1990-02-28"), 1, "1989-03-01"),
        (("1981", "1990"), 10, "1981"),
    ],
)
def test_the_last_years_of_the_period_are_taken(train_period, years, start, trainer):
    periods = Periods(train_period, ("1991", "1991"), ("1992", "1992"))
    spec = FinetuneSpec(run="unused", years=years)
    few = with_last_years(replace(trainer.experiment, periods=periods, finetune=spec))
    assert few.periods.train == (start, train_period[1])


def test_the_days_of_the_trainer_are_those_years_without_what_chooses(run, other):
    trainer = Trainer(prepare_training(experiment_on("unused", run, other), other), None)
    kept = [pd.Timestamp(d) for d in xr.date_range("2001-01-01", "2001-02-28").values]
    held = [d for d in kept if d.day > (25 if d.month == 1 else 22)]
    fine = FINE.values(truth().tas.sel(time=held))
    np.testing.assert_array_equal(trainer.validation.samples[0].fine[..., 0], fine)
    assert len(trainer.samples[0].fine) == len(kept) - len(held)
    whole = Trainer(
        prepare_training(experiment_on("unused", run, other, validation_share=0.0), other), None
    )
    assert (len(whole.samples[0].fine), len(whole.validation.samples[0].fine)) == (59, 14)


def refused(run, data, **changes):
    with pytest.raises(GraphdownError) as caught:
        train(replace(experiment_on("unused", run, data), **changes), data)
    text = str(caught.value)
    assert "\n" not in text and text.endswith(".")
    return text


def test_what_does_not_fit_is_refused_in_one_sentence(run, data, tmp_path):
    good = experiment_on("unused", run, data).finetune
    elsewhere = FinetuneSpec(run=str(tmp_path))
    assert "holds no emulator" in refused(run, data, finetune=elsewhere)
    assert "not abc as" in refused(run, data, finetune=replace(good, sha256="abc"))
    assert "tas, pr, ua850 against tas, pr" in refused(run, data, predictors=("tas", "pr"))
    model = replace(experiment_on("unused", run, data).model, channels=9)
    assert "'model' differ from the experiment's (channels is 8 against 9)" in refused(
        run, data, model=model
    )
    long = replace(experiment_on(tmp_path / "x", run, data).finetune, years=4)
    assert "last 4 years" in refused(run, data, finetune=long, output=str(tmp_path / "x"))
    coarse = ExperimentData(truth(COARSE), orography(COARSE), data.sources, {})
    text = refused(run, coarse, output=str(tmp_path / "y"))
    assert "bound to its target grid of 144 points" in text


@pytest.mark.parametrize(
    ("option", "part"),
    [
        ({"years": -1}, "'finetune.years' is -1, but must not be negative"),
        ({"rank": 0}, "'finetune.rank'"),
        ({"layerwise_decay": 0.0}, "'finetune.layerwise_decay'"),
        ({"l2_sp": -1.0}, "'finetune.l2_sp'"),
        ({"validation_share": 1.0}, "'finetune.validation_share'"),
        ({"trainables": "all"}, "unknown key 'finetune.trainables'; did you mean 'trainable'"),
        ({"trainable": "tail"}, "'finetune.trainable' is 'tail'"),
    ],
)
def test_impossible_options_are_refused(option, part, run):
    with pytest.raises(ExperimentError, match=part):
        finetune_experiment(run, "a", **option)


def test_a_source_of_the_run_is_fine_tuned_on_gently(run):
    base = load_experiment(run / "experiment.yaml")
    made = finetune_experiment(
        run, "a", overrides=["training.patience=2"], years=3, trainable="head"
    )
    assert made.data.sources == base.data.sources
    assert (made.training.steps, made.training.learning_rate) == (4, pytest.approx(0.004))
    assert made.training.patience == 2
    assert made.finetune.sha256 == load(run).sha256
    assert made.output == f"{run}-a-3years-head"
    with pytest.raises(ExperimentError, match="knows no source 'z'; name one of a, or"):
        finetune_experiment(run, "z")


def test_an_experiment_gives_data_periods_and_training(run, other, tmp_path):
    given = make_experiment(tmp_path / "unused", other, steps=3, validate_every=3)
    made = finetune_experiment(run, given, tmp_path / "tuned", trainable="norm")
    assert made.training == given.training and made.data == given.data
    assert made.model == load(run).model and made.output == str(tmp_path / "tuned")
    assert made.finetune.trainable == "norm"


@pytest.mark.parametrize(
    ("changes", "key"),
    [
        ({"predictors": ("tas", "pr")}, "'predictors'"),
        ({"targets": ("pr",)}, "'targets'"),
        ({"standardise": "per-source"}, "'standardise'"),
        ({"predictor_transforms": {"pr": "cube-root"}}, "'predictor_transforms.pr'"),
        ({"finetune": FinetuneSpec(run="runs/other")}, "the section 'finetune'"),
    ],
)
def test_settings_that_would_be_ignored_are_refused(changes, key, run, other, tmp_path):
    given = replace(make_experiment(tmp_path / "unused", other), **changes)
    with pytest.raises(ExperimentError, match=key):
        finetune_experiment(run, given, tmp_path / "tuned")


def test_a_part_of_a_section_that_would_be_ignored_is_named(run, other, tmp_path):
    given = make_experiment(tmp_path / "unused", other, {"channels": 16})
    with pytest.raises(ExperimentError, match=r"another 'model.channels'.*leave it out"):
        finetune_experiment(run, given, tmp_path / "tuned")
    order = replace(make_experiment(tmp_path / "unused", other), targets=("pr", "tas"))
    assert finetune_experiment(run, order, tmp_path / "tuned").targets == ("tas", "pr")


def test_whatever_a_file_states_otherwise_is_refused(run, other, tmp_path, capsys):
    """Defaults that are written out, too."""
    raw = experiment_to_dict(make_experiment(tmp_path / "unused", other))
    path = tmp_path / "new.yaml"
    path.write_text(yaml.safe_dump({**raw, "model": {"target_embedding": 0}}), encoding="utf-8")
    with pytest.raises(SystemExit) as left:
        main(["finetune", str(run), "--data", str(path), "-o", str(tmp_path / "tuned")])
    assert left.value.code == 2
    assert "another 'model.target_embedding' than the run" in capsys.readouterr().err
    assert not (tmp_path / "tuned").exists()


@pytest.mark.slow
def test_one_call_fine_tunes(run, other, tmp_path):
    given = make_experiment(tmp_path / "unused", other, steps=3, validate_every=3)
    emulator = graphdown.finetune(run, given, tmp_path / "tuned", loaded=other, years=0)
    assert emulator.sha256 == load(run).sha256


def test_replay_goes_on_with_the_first_sources_as_they_were(run, data, other, tmp_path):
    both = replace(
        other,
        sources={**other.sources, **data.sources},
        banks={**other.banks, **data.banks},
    )
    given = make_experiment(tmp_path / "unused", other, steps=4, validate_every=4)
    made = finetune_experiment(run, given, tmp_path / "tuned", replay=0.5)
    assert [source.name for source in made.data.sources] == ["b", "a"]
    assert made.finetune.replayed == ("a",)
    trainer = Trainer(prepare_training(made, both), tmp_path / "tuned")
    first = Trainer(
        prepare_training(make_experiment(tmp_path / "first", data, MODEL), data), tmp_path / "first"
    )
    old = trainer.samples[1]
    np.testing.assert_array_equal(old.fine[:], first.samples[0].fine[:])
    assert len(trainer.samples[0].fine) < len(old.fine)
    judged = [len(samples.fine) for samples in trainer.validation.samples]
    assert judged[1] == len(first.validation.samples[0].fine) and judged[0] < judged[1]
    drawn = [trainer.batch(step)[1] for step in range(8)]
    assert sorted(drawn) == [0] * 4 + [1] * 4


def test_replayed_sources_have_their_share_of_turns_and_of_the_choice():
    assert replay_turns(("a", "b", "new"), (), 0.0) == (0, 1, 2)
    assert replay_turns(("new", "a", "b", "c"), ("a", "b", "c"), 0.5) == (0, 0, 0, 1, 2, 3)
    assert replay_turns(("new", "a"), ("a",), 0.25) == (0, 0, 0, 1)
    weights = validation_weights({"new": [1], "a": [1, 2], "b": [1]}, ("a", "b"), 0.6)
    np.testing.assert_allclose(weights, [0.4, 0.2, 0.2, 0.2])


def test_replay_needs_the_same_target_and_other_sources(run, data, other, tmp_path):
    given = make_experiment(tmp_path / "unused", data)
    with pytest.raises(ExperimentError, match="they are all to be fine-tuned on"):
        finetune_experiment(run, given, tmp_path / "tuned", replay=0.5)
    elsewhere = replace(given.data, target=replace(given.data.target, files=("other.nc",)))
    with pytest.raises(ExperimentError, match="target is another one"):
        finetune_experiment(run, replace(given, data=elsewhere), tmp_path / "tuned", replay=0.5)
