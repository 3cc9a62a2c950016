"""Sources that are given one climate before the network sees them."""

from dataclasses import replace

import numpy as np
import pytest

from graphdown.config.training import FinetuneSpec
from graphdown.data.normalise import Normaliser
from graphdown.emulator.emulator import Emulator
from graphdown.emulator.storage import load, save
from graphdown.errors import GraphdownError
from graphdown.model.parameters import named_values
from graphdown.training import Trainer, prepare_training
from graphdown.training.finetuning.finetune_experiment import finetune_experiment

from .conftest import COARSE, FINE, OTHER, make_data, make_experiment, perturbed, source

PAST = slice("2001-01-01", "2001-02-28")


def biased(grid):
    """What another model would show of the same weather."""
    ds = source(grid)
    ds["tas"] = 1.3 * (ds["tas"] - 280.0) + 286.0
    ds["pr"], ds["ua850"] = 1.5 * ds["pr"], 0.8 * ds["ua850"] + 1.0
    return ds


def trainer_on(standardise="per-source", chosen=None, **sources):
    data = make_data(**sources)
    experiment = make_experiment("unused", data)
    own = replace(experiment, standardise=standardise, standardised_variables=chosen or {})
    return Trainer(prepare_training(own, data), None)


@pytest.fixture(scope="module")
def trainer():
    return trainer_on(a=source(COARSE), b=biased(COARSE))


def emulator_of(trainer):
    e = trainer.experiment
    params = named_values(perturbed(trainer.params))
    return Emulator(e.name, e.model, trainer.normaliser, trainer.domain, params)


@pytest.fixture(scope="module")
def emulator(trainer):
    return emulator_of(trainer)


def test_sources_with_other_errors_in_mean_and_spread_become_the_same(trainer):
    for samples in (trainer.samples, trainer.validation.samples):
        a, b = samples[0].source[:], samples[1].source[:]
        np.testing.assert_allclose(a, b, atol=2e-3)
    plain = trainer_on("shared", a=source(COARSE), b=biased(COARSE))
    assert np.abs(plain.samples[0].source[:] - plain.samples[1].source[:]).max() > 5.0


def test_an_unseen_source_is_given_the_same_climate_by_its_past(emulator):
    made = []
    for shown in (source(OTHER), biased(OTHER)):
        days = shown.sel(time=slice("2001-03-01", "2001-03-05"))
        made.append(emulator.downscale(days, historical=shown.sel(time=PAST)))
    for name in ("tas", "pr"):
        np.testing.assert_allclose(made[0][name], made[1][name], atol=5e-3)
    changed = source(OTHER)
    changed["tas"] = changed["tas"] + 2.0
    days = changed.sel(time=slice("2001-03-01", "2001-03-05"))
    warm = emulator.downscale(days, historical=source(OTHER).sel(time=PAST))
    assert float((warm["tas"] - made[0]["tas"]).mean()) > 1.0


def test_only_the_chosen_predictors_are_given_a_climate(tmp_path):
    some = trainer_on(chosen={"pr": 1.0}, a=source(COARSE), b=biased(COARSE))
    every = trainer_on(a=source(COARSE), b=biased(COARSE))
    plain = trainer_on("shared", a=source(COARSE), b=biased(COARSE))
    rain = some.experiment.predictors.index("pr")
    for own, other, shared in zip(some.samples, every.samples, plain.samples, strict=True):
        ours, theirs, raw = (np.delete(s.source[:], rain, -1) for s in (own, other, shared))
        np.testing.assert_array_equal(own.source[:][..., rain], other.source[:][..., rain])
        np.testing.assert_array_equal(ours, raw)
        assert np.abs(ours - theirs).max() > 1.0
    emulator = emulator_of(some)
    days = biased(OTHER).sel(time=slice("2001-03-01", "2001-03-05"))
    rainier = days.assign(pr=2.0 * days["pr"])
    past = biased(OTHER).sel(time=PAST)
    one = emulator.downscale(days, historical=past)
    other = emulator.downscale(rainier, historical=past.assign(pr=2.0 * past["pr"]))
    np.testing.assert_allclose(one["pr"], other["pr"], atol=1e-4)
    cold = emulator.downscale(days.assign(tas=days["tas"] - 3.0), historical=past)
    colder = past.assign(tas=past["tas"] - 3.0)  # the past of what is not adjusted does not count
    again = emulator.downscale(days.assign(tas=days["tas"] - 3.0), historical=colder)
    np.testing.assert_array_equal(cold["tas"], again["tas"])
    save(emulator, tmp_path / "run" / "emulator")
    assert load(tmp_path / "run").normaliser.standardised == {"pr": 1.0}
    given = make_experiment(tmp_path / "tuned", make_data(c=biased(COARSE)))
    tuned = finetune_experiment(tmp_path / "run", given, tmp_path / "tuned")
    assert tuned.standardised_variables == {"pr": 1.0}


def test_the_past_is_asked_for_where_it_is_needed_and_only_there(emulator):
    ds = source(COARSE)
    with pytest.raises(GraphdownError, match="give fields of the source in the years of the tr"):
        emulator.downscale(ds)
    shared = replace(
        emulator, normaliser=replace(emulator.normaliser, source_mean=(), source_std=())
    )
    with pytest.raises(GraphdownError, match="all sources alike; leave 'historical' out"):
        shared.downscale(ds, historical=ds)


def test_a_single_source_trains_as_with_shared_statistics():
    own, shared = (trainer_on(kind, a=source(COARSE)) for kind in ("per-source", "shared"))
    np.testing.assert_array_equal(own.samples[0].source[:], shared.samples[0].source[:])
    assert own.normaliser.standardising_to(None, {}).scale == shared.normaliser.scale
    assert own.normaliser.mean == shared.normaliser.mean


def test_the_climate_is_saved_and_so_are_statistics_without_one(emulator, tmp_path):
    save(emulator, tmp_path)
    assert load(tmp_path).normaliser == emulator.normaliser
    assert load(tmp_path).sha256 == emulator.sha256
    shared = replace(emulator.normaliser, source_mean=(), source_std=())
    assert Normaliser.from_dict(shared.to_dict()) == shared


def test_fine_tuning_gives_a_new_source_the_climate_of_the_run(emulator, tmp_path):
    save(emulator, tmp_path / "run" / "emulator")
    data = make_data(c=biased(COARSE))
    given = make_experiment(tmp_path / "tuned", data)
    experiment = finetune_experiment(tmp_path / "run", given, tmp_path / "tuned")
    assert experiment.standardise == "per-source"
    tuned = Trainer(prepare_training(experiment, data), None)
    assert tuned.normaliser == emulator.normaliser
    first = trainer_on(a=source(COARSE), b=biased(COARSE)).samples[1].source[:]
    kept = [d for d in range(59) if d < 25 or 31 <= d < 53]
    np.testing.assert_allclose(tuned.samples[0].source[:], first[kept], atol=1e-3)
    assert FINE.size == tuned.samples[0].fine.shape[1]
    with pytest.raises(GraphdownError, match="'standardise' differ .*per-source against shared"):
        spec = FinetuneSpec(run=str(tmp_path / "run"))
        Trainer(prepare_training(replace(given, finetune=spec), data), None)
