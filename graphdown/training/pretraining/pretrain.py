"""Pretraining on the sources' fields alone: the network reconstructs nodes that it is not shown.

As masked autoencoders do (He et al. 2022, CVPR, arXiv 2111.06377): a hidden node has no weight in
the encoder's mean, so the network needs no channel that says so, and the same encoder serves later
fields without a gap. The mesh is the one that a target in the region would have; the decoder
reads the answer at the source's own nodes and is thrown away afterwards.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import xarray as xr
from flax import nnx
from jax import Array

from graphdown.config.experiment import Experiment
from graphdown.data.load import ExperimentData, load_data, region_of, source_arrays
from graphdown.data.normalise import Moments, Normaliser, fit_normaliser, to_channels
from graphdown.data.pairing import select_period
from graphdown.data.source_adjustment import Adjustment
from graphdown.emulator.emulator import pad_nodes
from graphdown.errors import ExperimentError
from graphdown.model import Downscaler, GraphArrays, NetworkShape, Scaling
from graphdown.model.arrays import (
    InterpolationTable,
    graph_arrays,
    with_hidden,
    with_spacing_offset,
)
from graphdown.model.channels import Channels, predictor_transforms
from graphdown.model.edge_tables import bucket
from graphdown.model.predict import standardise
from graphdown.runtime.distributed import first_before_others
from graphdown.runtime.malloc import keep_freed_memory
from graphdown.training.augmentation import Augmentation, make_augmentation, make_smoother
from graphdown.training.paired_days import adjustments
from graphdown.training.parallel import AXIS, DataParallel, Step
from graphdown.training.pretraining.artifact import FOLDER, Pretrained, carried, load_pretrained
from graphdown.training.pretraining.masking import visible_nodes
from graphdown.training.run.folder import check_run, open_run, put
from graphdown.training.run.input_checksums import checksum, dates_of
from graphdown.training.run.lock import held
from graphdown.training.run.loop import TrainingLoop
from graphdown.training.samples import dates, draw
from graphdown.training.step import make_descent, make_optimiser
from graphdown.variables.forcings import FORCINGS, forcings
from meshes import DownscalingGraph, GraphSpec, Grid, SparseWeights, build_graph

VALIDATION_DAYS = 192
STREAM = 15485863
VALIDATION_MASKS = 4


def pretrain(experiment: Experiment, data: ExperimentData | None = None) -> Pretrained:
    """Pretrain encoder and message passing on the sources of an experiment, or go on with it.

    Targets have no part in it: days need no partner, and the target only tells the region.

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
    with held(Path(experiment.output)):
        run = Pretrainer(experiment, data, open_run(experiment))
        run.finish()
        return run._load()


@dataclass(frozen=True)
class Fields:
    """Days of one source around the region.

    Attributes:
        name: of the source.
        grid: those of its nodes that the network reads, Ns points.
        graph: from them over the mesh back to them.
        train, validation: predictors [time, Ns, V], NaN for those that the source lacks.
        train_season, validation_season: forcings [time, F].
        time: time stamps of the days to train on.
    """

    name: str
    grid: Grid
    graph: DownscalingGraph
    train: np.ndarray
    validation: np.ndarray
    train_season: np.ndarray
    validation_season: np.ndarray
    time: xr.DataArray


class HiddenBatch(NamedTuple):
    """Days of one source, physical units; B is this device's share.

    Attributes:
        source: predictors [B, Ns, V].
        forcings: numbers per day [B, F].
        visible: 1 for the nodes that are shown [B, Ns], the same for all days.
        warming, spacing: as in `graphdown.training.step.Batch`.
    """

    source: Any
    forcings: Any
    visible: Any
    warming: Any
    spacing: Any


class HiddenConstants(NamedTuple):
    """What stays the same from step to step for one source.

    Attributes:
        graph: from the source over the mesh back to it.
        scales: statistics.
        area: weight of each node [Nt], mean 1.
        warmed: 1 for the predictors [V] that are air temperatures.
        smoother: means over neighbourhoods, None without smoothing.
    """

    graph: GraphArrays
    scales: Scaling
    area: Array
    warmed: Array
    smoother: InterpolationTable | None = None


class Pretrainer(TrainingLoop):
    """A pretraining: fields, network, state and folder."""

    result = FOLDER

    def __init__(self, experiment: Experiment, data: ExperimentData, folder: Path) -> None:
        """Prepare fields, statistics and network."""
        assert experiment.pretrain is not None
        self.experiment, self.folder, self.spec = experiment, folder, experiment.pretrain
        region = region_of(experiment, data)
        reference, adjusted = adjustments(data, experiment, region, None)
        self.fields = [
            _fields(experiment, data, name, region, adjusted.get(name)) for name in data.sources
        ]
        fitted = _statistics([own.train for own in self.fields], experiment)
        self.normaliser = replace(
            fitted.standardising_to(reference, experiment.standardised_variables),
            optional_predictors=experiment.optional_predictors,
        )
        shape = NetworkShape(
            self.normaliser.channels,
            len(self.normaliser.mean),
            len(FORCINGS),
            0,
            *experiment.graph.feature_counts,
            target_nodes=0,
        )
        free = replace(experiment.model, target_embedding=0, target_regression=0, eofs=0)
        free = replace(free, heads={}, transforms={}, noise=0)
        network = Downscaler(free, shape, rngs=nnx.Rngs(experiment.seed))
        self.graphdef, self.params = nnx.split(network)
        self.optimiser = make_optimiser(experiment.training)
        self.augment = make_augmentation(experiment.training, self.normaliser, experiment.seed)
        self.constants = [self._constants(own) for own in self.fields]
        self.seen = {
            f"the source {own.name!r}": checksum(
                [own.grid.lon, own.grid.lat, dates_of(own.time), own.train, own.validation]
            )
            for own in self.fields
        }

    def _step(self) -> Step:
        loss = make_loss(self.graphdef, self.augment)
        return make_descent(loss, self.optimiser, self.experiment.training.ema_decay)

    def _replicated(self, mapped: DataParallel) -> list[HiddenConstants]:
        return [mapped.replicate(own) for own in self.constants]

    def _constants(self, own: Fields) -> HiddenConstants:
        scales = self.normaliser.scaling()
        graph = graph_arrays(own.graph, np.zeros((own.grid.size, 0), np.float32))
        area = jnp.asarray(own.grid.area / own.grid.area.mean(), jnp.float32)
        warmed, _ = (jnp.asarray(part) for part in self.normaliser.warmed())
        smoothing = self.experiment.training.smoothing_km
        stacked = make_smoother([own.grid], bucket(own.grid.size), smoothing)
        smoother = None if stacked is None else jax.tree.map(lambda a: a[0], stacked)
        return HiddenConstants(graph, scales, area, warmed, smoother)

    def _batch(self, step: int, share: slice = slice(None)) -> tuple[HiddenBatch, int]:
        spec, lengths = self.experiment.training, [len(own.train) for own in self.fields]
        drawn = draw(spec, self.experiment.seed, step, lengths, STREAM)
        own = self.fields[drawn.source]
        visible = _padded(visible_nodes(own.grid, self.spec, drawn.random))
        days, warming = drawn.days[share], drawn.warming[share]
        batch = HiddenBatch(
            pad_nodes(own.train[days]),
            own.train_season[days],
            np.tile(visible, (len(days), 1)),
            warming,
            np.full(len(days), drawn.spacing, np.float32),
        )
        return batch, drawn.source

    def _named(self, step: int) -> tuple[str, list[str]]:
        spec, lengths = self.experiment.training, [len(own.train) for own in self.fields]
        drawn = draw(spec, self.experiment.seed, step, lengths, STREAM)
        own = self.fields[drawn.source]
        return own.name, dates(own.time, drawn.days)

    def _errors(self, params: Any) -> dict[str, float]:
        """Return the RMSE of reconstructed validation days, mean over the sources that have it."""
        names = self.normaliser.predictors
        every = []
        for number, (own, constants) in enumerate(zip(self.fields, self.constants, strict=True)):
            squares = weights = np.zeros(len(names))
            for k, days in enumerate(_validation_days(len(own.validation))):
                random = np.random.default_rng([self.experiment.seed, 32452843, number, k])
                visible = _padded(visible_nodes(own.grid, self.spec, random))
                values, season = pad_nodes(own.validation[days]), own.validation_season[days]
                square, weight = _errors(
                    self.graphdef, params, constants, values, season, jnp.asarray(visible)
                )
                squares = squares + np.asarray(square)[: len(names)]
                weights = weights + np.asarray(weight)[: len(names)]
            every.append(np.where(weights > 0, squares / np.maximum(weights, 1e-12), np.nan))
        std = np.asarray(self.normaliser.std[: len(names)])
        rmse = std * np.sqrt(np.nanmean(every, axis=0))
        return {name: float(v) for name, v in zip(names, rmse, strict=True)}

    def _scales(self) -> list[tuple[str, float]]:
        return list(zip(self.normaliser.predictors, self.normaliser.std, strict=False))

    def _keep(self, params: Any) -> None:
        e = self.experiment
        made = Pretrained(e.name, e.model, e.graph, self.normaliser, carried(params))
        put(self.folder / self.result, made.save)

    def _load(self) -> Pretrained:
        return load_pretrained(self.folder)


def make_loss(
    graphdef: nnx.GraphDef, augment: Augmentation | None = None
) -> Callable[[Any, HiddenBatch, HiddenConstants, Array], Array]:
    """Return the area-weighted mean squared error of the standardised channels at hidden nodes."""

    def loss(params: Any, batch: HiddenBatch, constants: HiddenConstants, number: Array) -> Array:
        source = batch.source + batch.warming[:, None, None] * constants.warmed
        if augment is not None:
            source = augment(source, number, constants.scales, constants.smoother)
        graph = with_spacing_offset(constants.graph, batch.spacing[0])
        changed = constants._replace(graph=graph)
        square, weight = _at_hidden(
            graphdef, params, changed, source, batch.forcings, batch.visible[0]
        )
        return square.sum() / jax.lax.psum(weight.sum(), AXIS)

    return loss


def _at_hidden(
    graphdef: nnx.GraphDef,
    params: Any,
    constants: HiddenConstants,
    source: Array,
    season: Array,
    visible: Array,
) -> tuple[Array, Array]:
    """Return the summed squared errors and their weights, by channel [C]."""
    nodes, scales = len(constants.area), constants.scales
    values = jnp.swapaxes(source, 0, 1)
    x = standardise(scales, values)
    graph = with_hidden(constants.graph, visible)
    made = nnx.merge(graphdef, params)(x, season, graph)
    there = jnp.isfinite(values[:nodes][..., np.asarray(scales.channels.predictors)])
    hidden = constants.area * (1.0 - visible[:nodes])
    weight = jnp.where(there, hidden[:, None, None], 0.0)
    square = (made - x[:nodes, :, : made.shape[-1]]) ** 2 * weight
    return square.sum((0, 1)), weight.sum((0, 1))


_errors = jax.jit(_at_hidden, static_argnums=0)


def _validation_days(count: int) -> list[np.ndarray]:
    """Return the indices of evenly spread days, as many for each of the masks."""
    masks = min(VALIDATION_MASKS, count)
    length = min(VALIDATION_DAYS, count) // masks
    days = np.linspace(0, count - 1, masks * length).round().astype(int)
    return [days[k::masks] for k in range(masks)]


def _padded(visible: np.ndarray) -> np.ndarray:
    return np.pad(visible, (0, bucket(len(visible)) - len(visible)))


def _fields(
    experiment: Experiment,
    data: ExperimentData,
    name: str,
    region: Grid,
    adjustment: Adjustment | None,
) -> Fields:
    """Return the days of a source at the nodes that the network reads around the region."""
    where = f"the source {name!r}"
    graph, values, times = None, [], []
    for period in ("train", "validation"):
        bounds = getattr(experiment.periods, period)
        part = select_period(data.coarse[name], bounds, f"'periods.{period}' of {where}")
        grid, given = source_arrays(part, experiment.predictors, where)
        graph = graph or _to_itself(grid, region, experiment.graph, where)
        used = graph[1]
        values.append(given[:, used] if adjustment is None else adjustment(given[:, used]))
        times.append(part["time"])
    assert graph is not None
    train, validation = values
    seasons = [forcings(time) for time in times]
    own = graph[0]
    return Fields(name, own.source, own, train, validation, seasons[0], seasons[1], times[0])


def _to_itself(
    source: Grid, region: Grid, spec: GraphSpec, where: str
) -> tuple[DownscalingGraph, np.ndarray]:
    """Return the graph from a source's nodes around a region back to them, and their indices."""
    try:
        graph = build_graph(source, region, spec)
    except ValueError as error:
        raise ExperimentError(f"{where}: {error}") from None
    used = graph.used_sources()
    graph = graph.of_sources(used)
    rows = np.arange(len(used), dtype=np.int32)
    same = SparseWeights(rows, rows, np.ones(len(used)), (len(used), len(used)))
    graph = replace(graph, target=graph.source, to_target=same)
    return replace(graph, decode=graph.build_edges("decode")), used


def _statistics(values: list[np.ndarray], experiment: Experiment) -> Normaliser:
    """Return the statistics of predictors [time, Ns, V] of all sources, each counting alike."""
    transforms = predictor_transforms(experiment.predictors, experiment.predictor_transforms)
    channels = Channels.of(experiment.predictors, transforms)
    coarse, nothing = [], Moments()
    nothing.add(np.zeros((1, 1, 0)))
    for own in values:
        entering = to_channels(own, channels)
        moments = Moments()
        moments.add(entering.reshape(-1, entering.shape[-1]))
        coarse.append(moments)
    return fit_normaliser(experiment.predictors, (), coarse, [nothing], (), transforms)
