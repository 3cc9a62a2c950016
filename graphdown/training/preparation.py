"""All that a training needs before its first step, prepared one after the other."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import xarray as xr

from graphdown.config.experiment import Experiment
from graphdown.data.kept_attributes import kept_attributes
from graphdown.data.load import ExperimentData
from graphdown.data.normalise import Climate, Normaliser
from graphdown.data.reading.horizontal import grid_with_masks
from graphdown.data.source_adjustment import Adjustment
from graphdown.emulator.domain import TargetDomain, by_variable
from graphdown.emulator.emulator import Emulator
from graphdown.emulator.ensemble_noise import EnsembleNoise
from graphdown.emulator.inference import BATCH
from graphdown.model import GraphArrays
from graphdown.model.heads import Readout
from graphdown.runtime.hashing import array_digest
from graphdown.training.finetuning.finetune_experiment import domain_for, pretrained
from graphdown.training.finetuning.replay import (
    Replay,
    experiments_by_source,
    replay_turns,
    validation_weights,
)
from graphdown.training.fit_eofs import fit_experiment_eofs
from graphdown.training.fit_statistics import fit_statistics
from graphdown.training.folds import block_starts, with_folds
from graphdown.training.initial_network import InitialNetwork, initial_network
from graphdown.training.objective import Objective, prepare_objective
from graphdown.training.paired_days import PairedDays, adjustments, training_days
from graphdown.training.periods import with_last_years
from graphdown.training.pretraining.artifact import Pretrained, pretraining_of
from graphdown.training.run.input_checksums import (
    Checksums,
    checksum_of_days,
    checksum_of_grid,
    checksum_of_source,
)
from graphdown.training.samples import Samples, lay_out
from graphdown.training.validation_error import Validation, validation_samples


@dataclass(frozen=True, eq=False)
class Preparation:
    """All that a training needs before its first step.

    Attributes:
        experiment: with the training period cut to the years of a fine-tuning.
        domain: the target.
        normaliser: statistics of the training days.
        samples: training days of each source.
        times: time stamps of each source's training days.
        turns: numbers of the sources in a round of steps, see `replay_turns`.
        validation: the days that choose the best weights.
        checksums: of the fields, see `graphdown.training.run.input_checksums`.
        network: before the first step.
        objective: what training lowers.
    """

    experiment: Experiment
    domain: TargetDomain
    normaliser: Normaliser
    samples: list[Samples]
    times: list[xr.DataArray]
    turns: tuple[int, ...]
    validation: Validation
    checksums: Checksums
    network: InitialNetwork
    objective: Objective


def prepare_training(experiment: Experiment, data: ExperimentData) -> Preparation:
    """Fit and lay out all that a training needs before its first step.

    Args:
        experiment: what to train on what, by steps (`Experiment.by_steps`).
        data: its fields.

    Raises:
        ExperimentError: the run to start from does not fit, or a setting is impossible.
        DataError: values of a source are missing.
    """
    experiment = with_folds(experiment)
    start, pretraining = pretrained(experiment), pretraining_of(experiment)
    domain = _domain(experiment, data, start)
    # Fields of a source are there for all years, however few its targets are.
    climate, adjusted = adjustments(
        data, experiment, domain.target, _climate_to_keep(start, pretraining)
    )
    views = experiments_by_source(experiment, data.sources)
    recent, replay = with_last_years(experiment), Replay.of(experiment)
    model, training = experiment.model, experiment.training
    days = [_days(data, views[name], name, domain, adjusted.get(name)) for name in data.sources]
    normaliser = _statistics(recent, data, days, domain, climate, start, pretraining)
    folds = training.folds
    starts = block_starts([source.time for source in days], folds) if folds else None
    graphs = _graphs(days, domain, model.target_regression)
    samples = [
        lay_out(
            source,
            domain,
            model.target_regression,
            training.smoothing_km,
            starts,
            graphs.get(source.name),
        )
        for source in days
    ]
    validation = _validation(
        recent, domain, validation_samples(data, views, domain, adjusted, starts, graphs), replay
    )
    return Preparation(
        experiment=recent,
        domain=domain,
        normaliser=normaliser,
        samples=samples,
        times=[source.time for source in days],
        turns=replay_turns(tuple(data.sources), replay.sources, replay.share),
        validation=validation,
        checksums=_checksums(data, domain, days, validation.samples),
        network=initial_network(
            recent, domain, normaliser, samples, validation.samples, start, pretraining
        ),
        objective=prepare_objective(training, model, recent.targets, samples, domain.target),
    )


def _graphs(
    days: Sequence[PairedDays], domain: TargetDomain, around: int
) -> dict[str, GraphArrays]:
    """Graphs from the sources that have grids of their own, by name."""
    own = [source for source in days if source.bank is None]
    grids, orogs = [source.grid for source in own], [source.orog for source in own]
    arrays = domain.arrays_alike(grids, orogs, around)
    return {source.name: graph for source, graph in zip(own, arrays, strict=True)}


def _domain(experiment: Experiment, data: ExperimentData, start: Emulator | None) -> TargetDomain:
    """The target, with its EOFs if the network corrects their estimate."""
    grid, masks = grid_with_masks(data.fine, experiment.targets, "the target")
    if start is not None:
        domain = TargetDomain(
            grid,
            data.statics,
            experiment.graph,
            masks=by_variable(masks),
            innovations=experiment.model.innovation_rounds > 0,
        )
        return domain_for(start, domain)
    eofs = fit_experiment_eofs(experiment, data, grid) if experiment.model.eofs else None
    return TargetDomain(
        grid,
        data.statics,
        experiment.graph,
        eofs,
        masks=by_variable(masks),
        innovations=experiment.model.innovation_rounds > 0,
    )


def _climate_to_keep(start: Emulator | None, pretraining: Pretrained | None) -> Climate | None:
    """The climate that sources were given before the training, None without one."""
    first = start or pretraining
    return None if first is None else first.normaliser.reference


def _days(
    data: ExperimentData,
    experiment: Experiment,
    source: str,
    domain: TargetDomain,
    adjustment: Adjustment | None,
) -> PairedDays:
    """Training days of a source, with their shares in the EOFs unless those are of other days."""
    days, eofs = training_days(data, experiment, source, domain.target), domain.eofs
    share = days.shares(eofs) if eofs is not None and experiment.finetune is None else None
    return replace(days, adjustment=adjustment, share=share)


def _statistics(
    experiment: Experiment,
    data: ExperimentData,
    days: Sequence[PairedDays],
    domain: TargetDomain,
    climate: Climate | None,
    start: Emulator | None,
    pretraining: Pretrained | None,
) -> Normaliser:
    """Statistics of the training days, or those of the run that training starts from."""
    if start is not None:
        normaliser = start.normaliser
    else:
        transforms = Readout.of(experiment.model, experiment.targets).transforms
        normaliser = fit_statistics(
            days,
            experiment.predictors,
            experiment.targets,
            domain,
            transforms,
            experiment.predictor_transforms,
        )
        kept = kept_attributes(data, experiment.predictors, experiment.targets)
        normaliser = replace(normaliser, attributes=kept)
    if pretraining is not None:
        normaliser = pretraining.statistics(normaliser)
    return replace(
        normaliser.standardising_to(climate, experiment.standardised_variables),
        optional_predictors=experiment.optional_predictors,
    )


def _validation(
    experiment: Experiment,
    domain: TargetDomain,
    by_source: Mapping[str, Sequence[Samples]],
    replay: Replay,
) -> Validation:
    """Validation days with their weights, by the samples of each source."""
    readout = Readout.of(experiment.model, experiment.targets)
    return Validation(
        samples=[samples for of_source in by_source.values() for samples in of_source],
        weights=validation_weights(by_source, replay.sources, replay.share),
        noise=EnsembleNoise(experiment.seed, experiment.model, readout, domain.target),
        folds=experiment.training.folds,
        batch=min(BATCH, experiment.training.batch_size),
    )


def _checksums(
    data: ExperimentData,
    domain: TargetDomain,
    days: Sequence[PairedDays],
    validation: Sequence[Samples],
) -> Checksums:
    """Checksums of all fields that training learns from."""
    grid = domain.target
    return {
        "the target's grid, orog and sftlf": checksum_of_grid(grid, data.statics.values()),
        **{checksum_of_source(source.name): checksum_of_days(source) for source in days},
        "the days of validation": array_digest(
            part for samples in validation for part in (samples.source, samples.fine)
        ),
    }
