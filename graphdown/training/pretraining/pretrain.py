"""Pretraining on the sources' fields alone: the network reconstructs nodes that it is not shown.

As masked autoencoders do (He et al. 2022, CVPR, arXiv 2111.06377): a hidden node has no weight in
the encoder's mean, so the network needs no channel that says so, and the same encoder serves later
fields without a gap. The mesh is the one that a target in the region would have; the decoder
reads the answer at the source's own nodes and is thrown away afterwards.
"""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from graphdown.config.experiment import Experiment
from graphdown.config.training import PretrainSpec
from graphdown.data.kept_attributes import kept_attributes
from graphdown.data.load import ExperimentData, load_data, region_of
from graphdown.data.normalise import Normaliser
from graphdown.emulator.inference import scaling_of
from graphdown.errors import ExperimentError
from graphdown.model import Downscaler, NetworkShape
from graphdown.model.arrays import graph_arrays
from graphdown.model.edge_tables import bucket
from graphdown.model.padding import pad_nodes
from graphdown.runtime.distributed import first_before_others
from graphdown.runtime.malloc import keep_freed_memory
from graphdown.runtime.random_streams import RandomStream
from graphdown.training.augmentation import make_augmentation, make_smoother
from graphdown.training.paired_days import adjustments
from graphdown.training.parallel import DataParallel, Step
from graphdown.training.pretraining.artifact import FOLDER, Pretrained, carried, load_pretrained
from graphdown.training.pretraining.masking import visible_nodes
from graphdown.training.pretraining.reconstruction import (
    HiddenBatch,
    HiddenConstants,
    make_loss,
    squared_errors,
)
from graphdown.training.pretraining.source_fields import (
    SourceFields,
    fit_source_statistics,
    source_fields,
)
from graphdown.training.run.folder import check_run, open_run, put
from graphdown.training.run.input_checksums import checksum_of_source
from graphdown.training.run.lock import run_lock
from graphdown.training.run.loop import finish
from graphdown.training.run.trainee import EVERY, Trainee
from graphdown.training.samples import Drawn, dates, draw
from graphdown.training.step import make_descent, make_optimiser
from graphdown.variables.forcings import FORCINGS

VALIDATION_DAYS = 192
VALIDATION_MASKS = 4


def pretrain(experiment: Experiment, data: ExperimentData | None = None) -> Pretrained:
    """Pretrain encoder and message passing on the sources of an experiment, or resume that.

    Targets have no part in it: days need no partner, and the target only gives the region.

    Args:
        experiment: its sources, periods for training and validation, graph, model and training.
        data: its fields, if they are loaded already.

    Returns:
        The weights (moving average) that reconstructed the validation period best.

    Raises:
        ExperimentError: the folder holds a run of another experiment, or a setting is impossible.
        DataError: a field is missing or wrong.
        GraphdownError: training diverged.
    """
    if experiment.pretrain is None:
        raise ExperimentError(
            f"The experiment {experiment.name!r} is no pretraining; give it a section 'pretrain', "
            "as in 'pretrain: {hidden: 0.4}'."
        )
    with first_before_others("data"):
        check_run(experiment, Path(experiment.output))
        data = data or load_data(experiment)
    keep_freed_memory()
    with run_lock(Path(experiment.output)):
        folder = open_run(experiment)
        pretrainer = Pretrainer(prepare_pretraining(experiment, data), folder)
        finish(pretrainer)
        return pretrainer.load()


@dataclass(frozen=True, eq=False)
class PretrainingPreparation:
    """All that a pretraining needs before its first step.

    Attributes:
        experiment: with the section `pretrain`.
        fields: of each source.
        normaliser: statistics of the predictors.
        constants: arrays of each source.
        graphdef, params: the network before the first step.
    """

    experiment: Experiment
    fields: list[SourceFields]
    normaliser: Normaliser
    constants: list[HiddenConstants]
    graphdef: Any
    params: Any


def prepare_pretraining(experiment: Experiment, data: ExperimentData) -> PretrainingPreparation:
    """Fit and lay out all that a pretraining needs before its first step.

    Raises:
        ExperimentError: no graph can be built.
        DataError: values of a source are missing.
    """
    region = region_of(experiment, data)
    climate, adjusted = adjustments(data, experiment, region, None)
    fields = [
        source_fields(experiment, data, name, region, adjusted.get(name)) for name in data.sources
    ]
    fitted = fit_source_statistics(fields, experiment)
    normaliser = replace(
        fitted.standardising_to(climate, experiment.standardised_variables),
        optional_predictors=experiment.optional_predictors,
        attributes=kept_attributes(data, experiment.predictors, ()),
    )
    network = _network(experiment, normaliser)
    graphdef, params = nnx.split(network)
    smoothing = experiment.training.smoothing_km
    constants = [_constants(source, normaliser, smoothing) for source in fields]
    return PretrainingPreparation(experiment, fields, normaliser, constants, graphdef, params)


def _network(experiment: Experiment, normaliser: Normaliser) -> Downscaler:
    """Untrained network from the nodes of a source to themselves."""
    shape = NetworkShape(
        normaliser.channels,
        len(normaliser.mean),
        len(FORCINGS),
        0,
        *experiment.graph.feature_counts,
        target_nodes=0,
    )
    free = replace(
        experiment.model, target_embedding=0, target_regression=0, eofs=0, innovation_rounds=0
    )
    free = replace(free, heads={}, transforms={}, noise=0)
    return Downscaler(free, shape, rngs=nnx.Rngs(experiment.seed))


def _constants(
    source: SourceFields, normaliser: Normaliser, smoothing_km: float
) -> HiddenConstants:
    grid = source.grid
    warmed, _ = (jnp.asarray(part) for part in normaliser.warmed())
    stacked = make_smoother([grid], bucket(grid.size), smoothing_km)
    return HiddenConstants(
        graph=graph_arrays(source.graph, np.zeros((grid.size, 0), np.float32)),
        scales=scaling_of(normaliser),
        area=jnp.asarray(grid.area / grid.area.mean(), jnp.float32),
        warmed=warmed,
        smoother=None if stacked is None else jax.tree.map(lambda a: a[0], stacked),
    )


class Pretrainer(Trainee):
    """A pretraining: fields, network and folder.

    Args:
        prepared: all that it needs before its first step.
        folder: of the run.
    """

    result = FOLDER

    def __init__(self, prepared: PretrainingPreparation, folder: Path) -> None:
        experiment = prepared.experiment
        self.experiment, self.folder = experiment, folder
        self.fields, self.constants = prepared.fields, prepared.constants
        self.normaliser = prepared.normaliser
        self.graphdef, self.params = prepared.graphdef, prepared.params
        self.checksums = {checksum_of_source(each.name): each.checksum for each in self.fields}
        self.optimiser = make_optimiser(experiment.training)
        self.augment = make_augmentation(experiment.training, self.normaliser, experiment.seed)

    @property
    def masking(self) -> PretrainSpec:
        """How many nodes are hidden, and which."""
        assert self.experiment.pretrain is not None
        return self.experiment.pretrain

    def device_step(self) -> Step:
        """The step for one device."""
        loss = make_loss(self.graphdef, self.augment)
        return make_descent(loss, self.optimiser, self.experiment.training.ema_decay)

    def replicated(self, mapped: DataParallel) -> list[HiddenConstants]:
        """Constants of each source on every device."""
        return [mapped.replicate(constants) for constants in self.constants]

    def batch(self, step: int, share: slice = EVERY) -> tuple[HiddenBatch, int]:
        """A share of the days of a step, and the number of their source."""
        drawn = self._drawn(step)
        source = self.fields[drawn.source]
        visible = _padded(visible_nodes(source.grid, self.masking, drawn.random))
        days = drawn.days[share]
        batch = HiddenBatch(
            source=pad_nodes(source.train[days]),
            forcings=source.train_season[days],
            visible=np.tile(visible, (len(days), 1)),
            warming=drawn.warming[share],
            spacing=np.full(len(days), drawn.spacing, np.float32),
        )
        return batch, drawn.source

    def days_of(self, step: int) -> tuple[str, list[str]]:
        """Name of the source of a step, and its days, as in "2001-01-31"."""
        drawn = self._drawn(step)
        source = self.fields[drawn.source]
        return source.name, dates(source.time, drawn.days)

    def _drawn(self, step: int) -> Drawn:
        lengths = [len(source.train) for source in self.fields]
        spec, stream = self.experiment.training, RandomStream.PRETRAINING_STEP
        return draw(spec, self.experiment.seed, step, lengths, stream)

    def errors(self, params: Any) -> dict[str, float]:
        """RMSE of reconstructed validation days, mean over the sources that have the variable."""
        names = self.normaliser.predictors
        every = [self._mean_squares(params, number) for number in range(len(self.fields))]
        std = np.asarray(self.normaliser.std[: len(names)])
        rmse = std * np.sqrt(np.nanmean(every, axis=0))
        return {name: float(v) for name, v in zip(names, rmse, strict=True)}

    def _mean_squares(self, params: Any, number: int) -> np.ndarray:
        """Mean squared error of a source by predictor [V], NaN for those that it lacks."""
        source, constants = self.fields[number], self.constants[number]
        count, stream = len(self.normaliser.predictors), RandomStream.PRETRAINING_VALIDATION
        squares = weights = np.zeros(count)
        for k, days in enumerate(_validation_days(len(source.validation))):
            random = np.random.default_rng([self.experiment.seed, stream, number, k])
            visible = jnp.asarray(_padded(visible_nodes(source.grid, self.masking, random)))
            values, season = pad_nodes(source.validation[days]), source.validation_season[days]
            square, weight = squared_errors(
                self.graphdef, params, constants, values, season, visible
            )
            squares = squares + np.asarray(square)[:count]
            weights = weights + np.asarray(weight)[:count]
        return np.where(weights > 0, squares / np.maximum(weights, 1e-12), np.nan)

    def scales(self) -> list[tuple[str, float]]:
        """Scale of each predictor's error in the score."""
        return list(zip(self.normaliser.predictors, self.normaliser.std, strict=False))

    def keep(self, params: Any) -> None:
        """Write these weights, replacing those before only when complete."""
        e = self.experiment
        pretrained = Pretrained(e.name, e.model, e.graph, self.normaliser, carried(params))
        put(self.folder / self.result, pretrained.save)

    def load(self) -> Pretrained:
        """The pretraining as it was written."""
        return load_pretrained(self.folder)


def _validation_days(count: int) -> list[np.ndarray]:
    """Indices of evenly spread days, as many for each of the masks."""
    masks = min(VALIDATION_MASKS, count)
    length = min(VALIDATION_DAYS, count) // masks
    days = np.linspace(0, count - 1, masks * length).round().astype(int)
    return [days[k::masks] for k in range(masks)]


def _padded(visible: np.ndarray) -> np.ndarray:
    return np.pad(visible, (0, bucket(len(visible)) - len(visible)))
