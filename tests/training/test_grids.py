"""Training on random source grids: one compilation, the EOFs it fits, what it keeps of them."""

import dataclasses

import jax
import numpy as np
import pytest

from graphdown.config.data import Source
from graphdown.config.experiment_file import write_experiment
from graphdown.data.grid_bank import make_bank
from graphdown.data.load import ExperimentData
from graphdown.emulator.storage import load
from graphdown.errors import ExperimentError
from graphdown.training import Trainer, prepare_training, train
from graphdown.training.parallel import DataParallel
from graphdown.training.step import initial_state, make_step
from meshes import RandomGrids

from ..estimates import by_eofs
from .conftest import FINE, make_data, make_experiment, orography, source, truth

SPEC = RandomGrids(count=4, spacing=(1.0, 2.0))
MODES = {"eofs": 20, "target_embedding": 2}


@pytest.fixture(scope="module")
def data():
    fields = source(FINE)
    banks = {"RCMu": make_bank(fields, SPEC, "the source")}
    return ExperimentData(truth(), orography(FINE), {"RCMu": fields}, {}, banks=banks)


def experiment_of(folder, data, model=MODES, **training):
    experiment = make_experiment(folder, data, model, **training)
    random = (Source("RCMu", upscale=1, grids=SPEC),)
    return dataclasses.replace(
        experiment, data=dataclasses.replace(experiment.data, sources=random)
    )


def test_grids_to_validate_on_are_not_those_to_train_on(data):
    bank = data.banks["RCMu"]
    assert list(bank.evaluation_grids) == [4, 5, 6, 7]
    assert bank.training == SPEC.count
    single = make_bank(source(FINE), dataclasses.replace(SPEC, count=1), "the source")
    assert (list(single.evaluation_grids), single.training, len(single.grids)) == ([0], 1, 1)


def test_steps_on_other_grids_share_one_compilation(data, tmp_path):
    experiment = experiment_of(tmp_path / "run", data)
    trainer = Trainer(prepare_training(experiment, data), tmp_path)
    mapped = DataParallel(make_step(trainer.graphdef, trainer.optimiser, 0.9), "shard_map", 1)
    constants = mapped.replicate(trainer.constants_of(trainer.samples[0]))
    state = mapped.replicate(initial_state(trainer.params, trainer.optimiser))
    grids, losses = set(), []
    for step in range(8):
        batch, _ = trainer.batch(step)
        grids.add(int(batch.grid[0]))
        state, metrics = mapped(state, mapped.split(batch), constants)
        losses.append(float(metrics["loss"]))
    assert len(grids) > 2
    assert mapped._step._cache_size() == 1
    assert np.isfinite(losses).all()


@pytest.mark.slow
def test_an_untrained_network_is_the_estimate_by_the_modes(data, tmp_path):
    experiment = experiment_of(tmp_path / "run", data, learning_rate=1e-12, steps=1)
    emulator = train(experiment, data)
    bank, eofs = data.banks["RCMu"], emulator.domain.eofs
    coarse, _ = data.pair(experiment, "RCMu", "test")
    grid = bank.grids[bank.evaluation_grids[0]]
    values = np.stack([grid.values(coarse[n]) for n in emulator.predictors], axis=-1)
    made = emulator.downscale(coarse)
    expected = by_eofs(eofs, grid, FINE, values)
    np.testing.assert_allclose(FINE.values(made["tas"]), expected[..., 0], atol=5e-3)
    wet = np.maximum(expected[..., 1], 0.0)
    np.testing.assert_allclose(FINE.values(made["pr"]), wet, atol=5e-3)


@pytest.mark.slow
def test_an_emulator_with_modes_is_loaded_whole(data, tmp_path):
    emulator = train(experiment_of(tmp_path / "run", data), data)
    again = load(tmp_path / "run")
    coarse, _ = data.pair(experiment_of(tmp_path / "x", data), "RCMu", "test", 5)
    assert emulator.downscale(coarse).identical(again.downscale(coarse))
    assert again.sha256 == emulator.sha256
    assert again.domain.eofs.patterns.shape == (20, FINE.size, 3)


@pytest.mark.slow
def test_a_run_on_random_grids_goes_on_as_if_it_had_not_stopped(data, tmp_path):
    whole = train(experiment_of(tmp_path / "whole", data, steps=12), data)
    first = experiment_of(tmp_path / "parts", data, steps=12)
    trainer = Trainer(prepare_training(first, data), tmp_path / "parts")
    trainer.experiment = dataclasses.replace(
        first, training=dataclasses.replace(first.training, steps=6)
    )
    (tmp_path / "parts").mkdir()
    write_experiment(first, tmp_path / "parts" / "experiment.yaml")
    trainer.run()
    parts = train(first, data)
    for name, value in whole.params.items():
        np.testing.assert_array_equal(value, parts.params[name], err_msg=name)


def test_modes_need_one_source_with_grids(data, tmp_path):
    plain = make_data()
    with pytest.raises(ExperimentError, match=r"'model.eofs' needs exactly one training source"):
        Trainer(prepare_training(make_experiment(tmp_path, plain, {"eofs": 5}), plain), tmp_path)


def test_a_bank_is_stacked_once_for_each_grid(data, tmp_path):
    trainer = Trainer(prepare_training(experiment_of(tmp_path / "run", data), data), tmp_path)
    leading = {leaf.shape[0] for leaf in jax.tree.leaves(trainer.samples[0].bank)}
    assert leading == {SPEC.count}
