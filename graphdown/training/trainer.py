"""The training loop: data in, run folder out; it resumes where a run was left."""

from collections.abc import Iterator
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import xarray as xr
from flax import nnx

from graphdown.config.experiment import Experiment
from graphdown.data.load import ExperimentData, load_data
from graphdown.data.reading.fields import horizontal_grid
from graphdown.data.sample_store import store_folder
from graphdown.emulator.domain import TargetDomain
from graphdown.emulator.emulator import (
    Emulator,
    load,
    named_values,
    new_network,
    run_members,
    run_network,
    with_values,
)
from graphdown.emulator.ensemble_noise import EnsembleNoise, MemberNoise
from graphdown.errors import ExperimentError
from graphdown.model import Downscaler
from graphdown.model.arrays import InterpolationTable
from graphdown.model.heads import Readout
from graphdown.model.loss_functions import fair_crps
from graphdown.runtime.distributed import first_before_others
from graphdown.runtime.malloc import keep_freed_memory
from graphdown.training.augmentation import make_augmentation, make_smoother
from graphdown.training.finetuning.finetune_experiment import (
    copy_emulator,
    domain_for,
    pretrained,
    with_hash,
)
from graphdown.training.finetuning.replay import replay_turns, validation_weights
from graphdown.training.fit_eofs import fit_experiment_eofs
from graphdown.training.losses import Losses, fit_gammas
from graphdown.training.paired_days import (
    PairedDays,
    adjustments,
    fit_statistics,
    training_days,
    validation_grids,
    validation_pair,
)
from graphdown.training.parallel import DataParallel, Step, axes_of
from graphdown.training.periods import with_last_years
from graphdown.training.pretraining.artifact import pretraining_of, with_pretrained_hash
from graphdown.training.run.folder import check_run, open_run, put
from graphdown.training.run.input_checksums import checksum, checksum_of_days, checksum_of_grid
from graphdown.training.run.lock import held
from graphdown.training.run.loop import TrainingLoop
from graphdown.training.samples import (
    Samples,
    dates,
    draw,
    lay_out,
    make_samples,
)
from graphdown.training.shards import shard_batch, shard_constants, specs_of
from graphdown.training.step import (
    Batch,
    Constants,
    make_optimiser,
    make_step,
)
from graphdown.training.target_regression import fit_target_regression, regressed
from graphdown.training.trainable import Trainable

VALIDATION_DAYS = 192
STREAM = 104729
VALIDATION_MEMBERS = 4


def train(experiment: Experiment, data: ExperimentData | None = None) -> Emulator:
    """Train an emulator, or go on with a run that the experiment's output folder holds.

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
        with held(Path(experiment.output)):
            return copy_emulator(experiment, open_run(experiment))
    data = data or load_for(experiment)
    keep_freed_memory()
    check_run(experiment, Path(experiment.output))
    with held(Path(experiment.output)):
        return Trainer(experiment.by_steps, data, open_run(experiment)).run()


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
        with nullcontext() if store is None else held(run):
            return load_data(experiment, store)


class Trainer(TrainingLoop):
    """A run that trains an emulator: its samples, network, state and folder."""

    result = "emulator"
    specs = staticmethod(specs_of)

    def __init__(self, experiment: Experiment, data: ExperimentData, run: Path) -> None:
        """Prepare samples, statistics and network."""
        start, before = pretrained(experiment), pretraining_of(experiment)
        known = start or before
        self.domain = _domain(experiment, data, start)
        grid = self.domain.target
        # Fields of a source are there for all years, however few its targets are.
        reference, self.adjustments = adjustments(
            data, experiment, grid, None if known is None else known.normaliser.reference
        )
        whole, experiment = experiment, with_last_years(experiment)
        self.experiment, self.folder = experiment, run
        tuned = experiment.finetune
        replayed, share = ((), 0.0) if tuned is None else (tuned.replayed, tuned.replay)
        # What is replayed has its days as it first had them.
        self._view = {
            name: replace(whole, finetune=None) if name in replayed else experiment
            for name in data.sources
        }
        self.turns = replay_turns(tuple(data.sources), replayed, share)
        known_to = data.sources if start is None else replayed  # what EOFs were fitted on
        days = [self._days(data, name, known=name in known_to) for name in data.sources]
        readout = Readout.of(experiment.model, experiment.targets)
        self.normaliser = (
            fit_statistics(
                days,
                experiment.predictors,
                experiment.targets,
                self.domain,
                readout.transforms,
                experiment.predictor_transforms,
            )
            if start is None
            else start.normaliser
        )
        if before is not None:
            self.normaliser = before.statistics(self.normaliser)
        self.normaliser = replace(
            self.normaliser.standardising_to(reference, experiment.standardised_variables),
            optional_predictors=experiment.optional_predictors,
        )
        around = experiment.model.target_regression
        smoothing = experiment.training.smoothing_km
        self.samples = [lay_out(own, self.domain, around, smoothing) for own in days]
        judged = {name: list(self._validation(data, name)) for name in data.sources}
        self.validation = [samples for own in judged.values() for samples in own]
        self.counts = validation_weights(judged, replayed, share)
        self.times = [own.time for own in days]
        self.seen = {
            "the target's grid, orog and sftlf": checksum_of_grid(grid, data.statics.values()),
            **{f"the source {own.name!r}": checksum_of_days(own) for own in days},
            "the days of validation": checksum(
                part for own in self.validation for part in (own.source, own.fine)
            ),
        }
        hours = experiment.time.step_hours
        parts = experiment.model, self.domain, self.normaliser
        network = new_network(*parts, experiment.seed, hours)
        if network.regression is not None and start is None:
            fitted = fit_target_regression(
                self.samples,
                self.validation,
                self.normaliser,
                experiment.training.warming_offset,
                readout.transforms,
            )
            has_one = jnp.asarray(regressed(experiment.model, experiment.targets))
            network.regression.coefficients[...] = jnp.asarray(fitted.slopes) * has_one
            network.regression.factors[...] = jnp.asarray(fitted.factors) * has_one
            network.regression.constants[...] = jnp.asarray(fitted.constants) * has_one
        self.params: Any
        self.graphdef, self.params = nnx.split(network)
        if before is not None:
            self.params = before.into(self.params)
        self.trainable: Trainable | None = None
        self.scores_start = start is not None
        if start is not None and experiment.finetune is not None:
            weights = with_values(self.params, start.params)
            self.trainable = Trainable(experiment.finetune, weights, experiment.model.rounds)
            self.params = self.trainable.start(experiment.seed)
        self.optimiser = make_optimiser(experiment.training, self.trainable)
        self.augment = make_augmentation(experiment.training, self.normaliser, experiment.seed)
        self._prepare_losses(readout)

    def _prepare_losses(self, readout: Readout) -> None:
        """Prepare what the losses need, and what draws members for validation, if any."""
        e, grid = self.experiment, self.domain.target
        spec, noise = e.training, e.model.noise
        self.losses = Losses.of(spec, e.targets, readout, noise)
        rain = self.losses.weighs_rarity
        self.gammas = fit_gammas([own.fine for own in self.samples]) if rain else None
        made = (make_smoother([grid], grid.size, radius) for radius in spec.multiscale_km)
        self.means = tuple(_only(smoother) for smoother in made if smoother is not None)
        members = EnsembleNoise(e.seed, noise, readout, grid)
        self.drawing = members if noise or readout.drawn else None
        self.measure = "rmse" if self.drawing is None else "crps"

    def _days(self, data: ExperimentData, name: str, known: bool) -> PairedDays:
        """Return the days of a source to learn from; known are those that EOFs were fitted on."""
        days = training_days(data, self._view[name], name, self.domain.target)
        eofs = self.domain.eofs
        share = days.shares(eofs) if eofs is not None and known else None
        return replace(days, adjustment=self.adjustments.get(name), share=share)

    def _validation(self, data: ExperimentData, name: str) -> Iterator[Samples]:
        """Yield the days of the validation period, on each grid that training leaves out."""
        e, grids = self.experiment, validation_grids(data.banks.get(name))
        for grid in grids:
            pair = validation_pair(data, self._view[name], name, grid)
            around = e.model.target_regression
            names, own = (e.predictors, e.targets), self.adjustments.get(name)
            hours = e.time.step_hours
            samples = make_samples(name, pair, *names, self.domain, around, own, hours)
            yield _thin(samples, VALIDATION_DAYS // len(grids))

    def run(self) -> Emulator:
        """Train to the end and return the emulator."""
        self.finish()
        return self._load()

    def _step(self) -> Step:
        decay = self.experiment.training.ema_decay
        parts = self.graphdef, self.optimiser, decay, self.trainable, self.augment
        axes = axes_of(self.experiment.training)
        return make_step(*parts, self.losses, self.experiment.seed, axes)

    def _replicated(self, mapped: DataParallel) -> list[Constants]:
        kept = None if self.trainable is None else mapped.replicate(self.trainable.kept)
        return [mapped.lay(self._constants(s))._replace(kept=kept) for s in self.samples]

    def _constants(self, samples: Samples) -> Constants:
        scales = self.normaliser.scaling()
        area = self.domain.target.area * self.domain.target.mask
        weight = jnp.asarray(area / area.mean(), jnp.float32)
        predictors, targets = (jnp.asarray(v) for v in self.normaliser.warmed())
        warmed = (predictors, targets)
        parts = samples.graph, samples.bank, scales, weight, warmed, samples.smoother
        known = Constants(*parts)._replace(gammas=self.gammas, means=self.means)
        return shard_constants(known, self.experiment.training.target_shards)

    def _batch(self, step: int, share: slice = slice(None)) -> tuple[Batch, int]:
        """Return a share of the days of a step, and the number of their source."""
        spec, lengths = self.experiment.training, [len(own.source) for own in self.samples]
        drawn = draw(spec, self.experiment.seed, step, lengths, STREAM, self.turns)
        samples = self.samples[drawn.source]
        grid = int(drawn.random.integers(samples.grids))
        batch = samples.batch(drawn.days[share], drawn.warming[share], drawn.spacing, grid)
        return shard_batch(batch, spec.target_shards), drawn.source

    def _named(self, step: int) -> tuple[str, list[str]]:
        spec, lengths = self.experiment.training, [len(own.source) for own in self.samples]
        drawn = draw(spec, self.experiment.seed, step, lengths, STREAM, self.turns)
        return self.samples[drawn.source].name, dates(self.times[drawn.source], drawn.days)

    def _scales(self) -> list[tuple[str, float]]:
        return list(zip(self.normaliser.targets, self.normaliser.scale, strict=True))

    def _errors(self, params: Any) -> dict[str, float]:
        """Return the validation error by target, mean over the sources: RMSE, of members CRPS.

        Sources that are replayed count as much as they do in training.
        """
        network = nnx.merge(self.graphdef, self._whole(params))
        area = self.domain.target.area
        each = []
        for samples in self.validation:
            fine = samples.fine[:]
            known = np.isfinite(fine)
            error = np.where(known, self._error(network, samples, fine), 0.0)
            days = known.sum(axis=0)
            per_node = error.sum(axis=0) / np.maximum(days, 1)
            weight = area[:, None] * (days > 0)
            each.append((per_node * weight).sum(axis=0) / weight.sum(axis=0))
        mean = np.average(each, axis=0, weights=self.counts)
        errors = np.sqrt(mean) if self.drawing is None else mean
        return {t: float(v) for t, v in zip(self.normaliser.targets, errors, strict=True)}

    def _error(self, network: Downscaler, samples: Samples, fine: np.ndarray) -> np.ndarray:
        """Return the squared errors, of members the fair CRPS, of each value [time, Nt, T]."""
        source, season = samples.source[:], samples.forcings
        given = network, self.normaliser, samples.graph, source, season
        if self.drawing is None:
            return np.asarray((run_network(*given) - fine) ** 2)
        draws = (self._draw(member, len(fine)) for member in range(VALIDATION_MEMBERS))
        members = run_members(*given, draws)
        return np.asarray(jax.jit(fair_crps)(members, fine))

    def _draw(self, member: int, days: int) -> MemberNoise:
        """Return the random numbers of a member for days of validation, the same every time."""
        assert self.drawing is not None
        time = xr.date_range("2001-01-01", periods=days)
        return self.drawing.draw(member, xr.DataArray(time, dims="time"))

    def _load(self) -> Emulator:
        return load(self.folder)

    def _whole(self, params: Any) -> Any:
        """Return the network's parameters, of those that training moves."""
        return (
            params if self.trainable is None else self.trainable.whole(params, self.trainable.kept)
        )

    def _keep(self, params: Any) -> None:
        """Write the emulator with these weights, replacing the one before only when complete."""
        e = self.experiment
        weights = named_values(self._whole(params))
        emulator = Emulator(e.name, e.model, self.normaliser, self.domain, weights, e.time)
        put(self.folder / self.result, emulator.save)


def _domain(experiment: Experiment, data: ExperimentData, start: Emulator | None) -> TargetDomain:
    grid = horizontal_grid(data.fine, experiment.targets, "the target")
    if start is not None:
        return domain_for(start, TargetDomain(grid, data.statics, experiment.graph))
    eofs = fit_experiment_eofs(experiment, data, grid) if experiment.model.eofs else None
    return TargetDomain(grid, data.statics, experiment.graph, eofs)


def _only(stacked: InterpolationTable) -> InterpolationTable:
    """Return the one interpolation of a stack."""
    return InterpolationTable(*(array[0] for array in stacked))


def _thin(samples: Samples, most: int) -> Samples:
    """Keep at most so many days, evenly spread."""
    count = min(most, len(samples.source))
    keep = np.linspace(0, len(samples.source) - 1, count).round().astype(int)
    return replace(
        samples,
        source=samples.source[keep],
        fine=samples.fine[keep],
        forcings=samples.forcings[keep],
    )
