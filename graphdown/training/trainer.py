"""Training of an emulator: data in, run folder out; an interrupted run is resumed."""

from contextlib import nullcontext
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import jax.numpy as jnp
from flax import nnx

from graphdown.config.experiment import Experiment
from graphdown.data.load import ExperimentData, load_data
from graphdown.data.reading.rules import log_notes
from graphdown.data.sample_store import store_folder
from graphdown.data.setting_notices import setting_notices
from graphdown.emulator.dependence import Dependence
from graphdown.emulator.emulator import Emulator
from graphdown.emulator.inference import scaling_of
from graphdown.emulator.storage import load, save
from graphdown.errors import ExperimentError
from graphdown.model.parameters import named_values
from graphdown.runtime.distributed import first_before_others
from graphdown.runtime.malloc import keep_freed_memory
from graphdown.runtime.random_streams import RandomStream
from graphdown.training.augmentation import make_augmentation
from graphdown.training.finetuning.finetune_experiment import copy_emulator, pretrained, with_hash
from graphdown.training.fit_members import MemberFit
from graphdown.training.folds import learned_rows
from graphdown.training.keep_climate import keep_climate
from graphdown.training.parallel import DataParallel, Step, axes_of
from graphdown.training.preparation import Preparation, prepare_training
from graphdown.training.pretraining.artifact import pretraining_of, with_pretrained_hash
from graphdown.training.run.folder import check_run, open_run, put
from graphdown.training.run.lock import run_lock
from graphdown.training.run.loop import finish
from graphdown.training.run.trainee import EVERY, Trainee
from graphdown.training.samples import (
    Drawn,
    Samples,
    dates,
    draw,
)
from graphdown.training.shards import shard_batch, shard_constants, specs_of
from graphdown.training.step import Batch, Constants, make_optimiser, make_step
from graphdown.training.trainable import whole_network


def train(experiment: Experiment, data: ExperimentData | None = None) -> Emulator:
    """Train an emulator, or resume a run that the experiment's output folder holds.

    Args:
        experiment: what to train on what.
        data: its fields, if they are loaded already.

    Returns:
        The emulator with the weights (moving average) that did best in validation.

    Raises:
        ExperimentError: the folder holds a run of another experiment, or a setting is impossible.
        DataError: a field is missing or wrong.
        GraphdownError: training diverged.
    """
    if experiment.pretrain is not None:
        raise ExperimentError(
            f"The experiment {experiment.name!r} is a pretraining; run it by 'graphdown pretrain'."
        )
    experiment = with_pretrained_hash(with_hash(experiment))
    if experiment.finetune is not None and experiment.finetune.years == 0:
        check_run(experiment, Path(experiment.output))
        with run_lock(Path(experiment.output)):
            return copy_emulator(experiment, open_run(experiment))
    data = data or load_for(experiment)
    log_notes(setting_notices(experiment, "orog" in data.statics))
    keep_freed_memory()
    check_run(experiment, Path(experiment.output))
    with run_lock(Path(experiment.output)):
        folder = open_run(experiment)
        Trainer(prepare_training(experiment.by_steps, data), folder).run()
        return keep_climate(experiment.by_steps, data, folder)


def load_for(experiment: Experiment) -> ExperimentData:
    """Load the fields to train on into memory or onto disk, as the experiment asks.

    Raises:
        ExperimentError: the output folder holds something else.
        DataError: a field is missing or wrong.
    """
    run = Path(experiment.output)
    with first_before_others("data"):
        check_run(experiment, run)
        store = store_folder(experiment, run)
        with nullcontext() if store is None else run_lock(run):
            return load_data(experiment, store, _known_units(experiment))


def _known_units(experiment: Experiment) -> dict[str, str]:
    """Units that the run was trained in from which an experiment starts, empty without one."""
    first = pretrained(experiment) or pretraining_of(experiment)
    return {} if first is None else first.normaliser.known_units


class Trainer(Trainee):
    """A run that trains an emulator: its samples, network and folder.

    Args:
        prepared: all that training needs before its first step.
        folder: of the run.
    """

    result = "emulator"
    specs = staticmethod(specs_of)

    def __init__(self, prepared: Preparation, folder: Path) -> None:
        experiment, network = prepared.experiment, prepared.network
        self.experiment, self.folder, self.checksums = experiment, folder, prepared.checksums
        self.domain, self.normaliser = prepared.domain, prepared.normaliser
        self.samples, self.times, self.turns = prepared.samples, prepared.times, prepared.turns
        self.validation, self.objective = prepared.validation, prepared.objective
        self.graphdef, self.params = network.graphdef, network.params
        self.kept, self.trainable = network.kept, network.trainable
        # The closed forms alone may be the best.
        self.scores_start = network.trainable is not None or experiment.training.folds > 0
        training = experiment.training
        self.learned = [
            [
                learned_rows(samples.block, len(samples.source), number, training.folds)
                for number in range(training.ensemble)
            ]
            for samples in prepared.samples
        ]
        self.measure = prepared.validation.measure
        self.optimiser = make_optimiser(experiment.training, network.trainable)
        self.augment = make_augmentation(experiment.training, self.normaliser, experiment.seed)

    @property
    def days_a_step(self) -> int:
        """Days of a step over all devices, of all networks."""
        return self.experiment.training.batch_size * self.experiment.training.ensemble

    def run(self) -> Emulator:
        """Train to the end, fit what members need, and return the emulator."""
        finish(self)
        with first_before_others("members"):
            emulator = self.load()
            fitted = self._members(emulator)
            if fitted.sha256 != emulator.sha256:
                fitted = replace(fitted, passport=None)  # that of the emulator before
                put(self.folder / self.result, partial(save, fitted))
        return fitted

    def _members(self, emulator: Emulator) -> Emulator:
        """The emulator with what is fitted to its members; as it is if that was done before."""
        if emulator.dependence != Dependence() or emulator.calibration is not None:
            return emulator
        by_noise = [t for t, loss in self.objective.losses.functions.items() if loss.ensemble]
        fit = MemberFit(emulator, self.samples, self.validation.samples, self.times, by_noise)
        return fit.fitted(self.experiment.members)

    def device_step(self) -> Step:
        """The step for one device."""
        return make_step(
            self.graphdef,
            self.optimiser,
            self.experiment.training.ema_decay,
            trainable=self.trainable,
            augment=self.augment,
            losses=self.objective.losses,
            seed=self.experiment.seed,
            axes=axes_of(self.experiment.training),
        )

    def replicated(self, mapped: DataParallel) -> list[Constants]:
        """Constants of each source on every device."""
        kept = mapped.replicate(self.kept)
        each = (self.constants_of(samples)._replace(kept=None) for samples in self.samples)
        return [mapped.lay(constants)._replace(kept=kept) for constants in each]

    def constants_of(self, samples: Samples) -> Constants:
        """Constants of a source, laid out for devices that share target nodes."""
        area = self.domain.target.area * self.domain.target.mask
        predictors, targets = (jnp.asarray(v) for v in self.normaliser.warmed())
        constants = Constants(
            graph=samples.graph,
            bank=samples.bank,
            scales=scaling_of(self.normaliser),
            area=jnp.asarray(area / area.mean(), jnp.float32),
            warmed=(predictors, targets),
            smoother=samples.smoother,
            kept=self.kept,
            gammas=self.objective.gammas,
            means=self.objective.means,
        )
        return shard_constants(constants, self.experiment.training.target_shards)

    def batch(self, step: int, share: slice = EVERY) -> tuple[Batch, int]:
        """A share of the days of a step, and the number of their source."""
        drawn = self._drawn(step)
        samples = self.samples[drawn.source]
        grid = int(drawn.random.integers(samples.grids))
        batch = samples.batch(drawn.days[share], drawn.warming[share], drawn.spacing, grid)
        return shard_batch(batch, self.experiment.training.target_shards), drawn.source

    def days_of(self, step: int) -> tuple[str, list[str]]:
        """Name of the source of a step, and its days, as in "2001-01-31"."""
        drawn = self._drawn(step)
        return self.samples[drawn.source].name, dates(self.times[drawn.source], drawn.days)

    def _drawn(self, step: int) -> Drawn:
        lengths = [len(samples.source) for samples in self.samples]
        spec, stream = self.experiment.training, RandomStream.TRAINING_STEP
        return draw(spec, self.experiment.seed, step, lengths, stream, self.turns, self.learned)

    def scales(self) -> list[tuple[str, float]]:
        """Scale of each target's error in the score."""
        return list(zip(self.normaliser.targets, self.normaliser.scale, strict=True))

    def errors(self, params: Any) -> dict[str, float]:
        """Validation error by target, mean over the sources.

        Sources that are replayed count as much as they do in training.
        """
        network = nnx.merge(self.graphdef, self._whole(params))
        return self.validation.errors(network, self.normaliser)

    def keep(self, params: Any) -> None:
        """Write the emulator with these weights, replacing the one before only when complete."""
        e = self.experiment
        weights = named_values(self._whole(params))
        networks = e.training.ensemble
        emulator = Emulator(
            e.name, e.model, self.normaliser, self.domain, weights, e.time, networks=networks
        )
        put(self.folder / self.result, partial(save, emulator))

    def load(self) -> Emulator:
        """The emulator as it was written."""
        return load(self.folder)

    def _whole(self, params: Any) -> Any:
        """All parameters of the network, of those that training moves."""
        return whole_network(params, self.kept, self.trainable)
