"""Runs of a trained network over days of a source, batch by batch."""

from collections.abc import Callable, Generator, Iterable
from contextlib import closing
from dataclasses import dataclass, field
from functools import partial
from typing import Any, NamedTuple

import jax
import numpy as np
import xarray as xr
from flax import nnx

from graphdown.applicability.novelty_meter import NoveltyMeter
from graphdown.data.normalise import Normaliser
from graphdown.data.source_adjustment import Adjustment
from graphdown.emulator.ensemble_noise import EnsembleNoise, MemberNoise
from graphdown.emulator.input_range import RangeWatch
from graphdown.model import Downscaler, GraphArrays, Scaling, predict
from graphdown.model.deep_ensemble import DeepEnsemble, network_of_member
from graphdown.model.distributions import Distribution
from graphdown.model.edge_tables import on_device
from graphdown.model.padding import pad_nodes
from graphdown.model.predict import outputs
from graphdown.runtime.batches import regrouped
from graphdown.runtime.prefetch import prefetched
from graphdown.variables.constraints import within_limits
from graphdown.variables.forcings import forcings
from graphdown.variables.time_steps import TimeSpec
from meshes import Grid

BATCH = 32
AHEAD = 2  # batches that are made or wait


@dataclass(frozen=True)
class Stream:
    """Downscaled days that are made as they are asked for.

    Attributes:
        time: the coordinate `time` of all of them and its bounds, if any.
        parts: some days at a time, in order; together they are what `Emulator.downscale` returns.
        source: the source's grid; points at which a predictor never has a value are masked.
    """

    time: xr.Dataset
    parts: Generator[xr.Dataset, None, None]
    source: Grid


class DownscaledBlock(NamedTuple):
    """Output of a block of days.

    Attributes:
        values: targets [time, Nt, T], those of members [time, member, Nt, T].
        novelty: distance from the training climate [time], None if that is not known.
    """

    values: np.ndarray
    novelty: np.ndarray | None


@dataclass(frozen=True)
class DayBlocks:
    """Function that downscales a block of days from one source grid.

    Attributes:
        network, normaliser, graph: as for `run_network`.
        adjustment: of the predictors, if any.
        noise: random numbers of the members.
        mask: of the targets [Nt, T], True where outputs count.
        members: how many, 0 for one field a day.
        steps: in time, of which the network takes and makes what; those of days by default.
        makes_means: as for `Emulator`.
        novelty: distance of the days from the training climate, if that is known.
    """

    network: Downscaler | DeepEnsemble
    normaliser: Normaliser
    graph: GraphArrays
    adjustment: Adjustment | None
    noise: EnsembleNoise
    mask: np.ndarray
    members: int = 0
    steps: TimeSpec = field(default_factory=TimeSpec)
    makes_means: bool = False
    novelty: NoveltyMeter | None = None

    def __call__(
        self, values: np.ndarray, time: xr.DataArray, watch: RangeWatch
    ) -> DownscaledBlock:
        """Downscale a block of days.

        The bits of a day may depend on the block of BATCH days that it is made in.

        Args:
            values: predictors [days, Ns, V].
            time: of the days.
            watch: compares predictors and outputs with their ranges.

        Raises:
            DataError: a predictor is far outside the range of the training, and that is refused.
        """
        values = self._adjusted(values)
        watch.watch_predictors(values, time)
        fields = self._fields(values, time)
        made = self.steps.means_of(fields) if self.makes_means else self.steps.unfolded(fields)
        of_day = np.repeat(np.arange(len(values)), len(made) // len(values))
        watch.watch_outputs(made, self.mask, time.isel(time=of_day))
        return DownscaledBlock(made, self._novelty(values, time))

    def novelty_of(self, values: np.ndarray, time: xr.DataArray) -> np.ndarray | None:
        """Novelty [time] as in the output of a block of days, without downscaling it."""
        return self._novelty(self._adjusted(values), time)

    def _adjusted(self, values: np.ndarray) -> np.ndarray:
        return values if self.adjustment is None else self.adjustment(values)

    def _novelty(self, values: np.ndarray, time: xr.DataArray) -> np.ndarray | None:
        """Novelty of the output's times, from adjusted predictors."""
        if self.novelty is None:
            return None
        return np.repeat(self.novelty(values, time), 1 if self.makes_means else self.steps.substeps)

    def _fields(self, values: np.ndarray, time: xr.DataArray) -> np.ndarray:
        """Output of the network [days, ..., T], sub-steps included."""
        season = forcings(time, self.steps.step_hours)
        if not self.members:
            return run_network(self.network, self.normaliser, self.graph, values, season)
        draws = (self.noise.draw(member, time) for member in range(self.members))
        return run_members(self.network, self.normaliser, self.graph, values, season, draws)


@dataclass(frozen=True)
class Inference:
    """Days to downscale, and the function that does it.

    Attributes:
        blocks: downscales a block of days.
        values: yields the predictors of all days [days, Ns, V], some days at a time.
        time: of the days.
        source, output_time: see `Stream`, whose `time` is `output_time`.
        watch: compares predictors and outputs with their ranges.
        nodes: numbers [Ns] of the source's nodes that the values are of.
    """

    blocks: DayBlocks
    values: Callable[[], Generator[np.ndarray, None, None]]
    time: xr.Dataset
    source: Grid
    output_time: xr.Dataset
    watch: RangeWatch
    nodes: np.ndarray

    def results(self) -> Generator[DownscaledBlock, None, None]:
        """Yield the output by batches of days, the next one being made meanwhile."""
        days = np.arange(self.time.sizes["time"])
        with closing(self.values()) as parts:
            columns = (regrouped(rows, BATCH) for rows in (parts, [days]))
            batches = zip(*columns, strict=True)
            yield from prefetched(self._result, batches, AHEAD, threads=1)
        self.watch.log()

    def _result(self, batch: tuple[np.ndarray, ...]) -> DownscaledBlock:
        """Output for one batch: predictors and numbers of some days."""
        values, days = batch
        return self.blocks(values, self.time.time.isel(time=days), self.watch)


def run_network(
    network: Downscaler | DeepEnsemble,
    normaliser: Normaliser,
    graph: GraphArrays,
    values: np.ndarray,
    season: np.ndarray,
    batch: int = BATCH,
) -> np.ndarray:
    """Targets [time, Nt, T] in physical units, within their limits.

    Args:
        network: the network.
        normaliser: names and statistics.
        graph: of the source grid.
        values: predictors [time, Ns, V] in physical units.
        season: forcings [time, F].
        batch: days that are made at once.
    """
    fields = _in_batches(network, normaliser, graph, values, season, batch)
    return within_limits(fields, normaliser.targets)


def run_members(
    network: Downscaler | DeepEnsemble,
    normaliser: Normaliser,
    graph: GraphArrays,
    values: np.ndarray,
    season: np.ndarray,
    draws: Iterable[MemberNoise],
    batch: int = BATCH,
) -> np.ndarray:
    """Targets of ensemble members [time, member, Nt, T]; see `run_network`.

    Where there are several networks, members are those of each in turn.

    Args:
        network, normaliser, graph, values, season, batch: as for `run_network`.
        draws: random numbers of each member.
    """
    readout, scale = network.readout, np.asarray(normaliser.scale, np.float32)
    networks = network.size if isinstance(network, DeepEnsemble) else 1
    members, made = [], {}
    for number, draw in enumerate(draws):
        turn = number % networks
        if turn not in made or draw.noise is not None:
            raw, one = draw.ranks is not None, network_of_member(network, number)
            noise = draw.noise
            made[turn] = _in_batches(one, normaliser, graph, values, season, batch, noise, raw)
        drawn = made[turn]
        if draw.ranks is not None:
            drawn = readout.drawn_from(drawn, scale, draw.ranks, draw.calibration)
        members.append(within_limits(drawn, normaliser.targets))
    return np.stack(members, axis=1)


def run_laws(
    network: Downscaler,
    normaliser: Normaliser,
    graph: GraphArrays,
    values: np.ndarray,
    season: np.ndarray,
) -> list[Distribution]:
    """Distributions [time, Nt] of the targets that have one; see `run_network`."""
    outputs = _in_batches(network, normaliser, graph, values, season, BATCH, raw=True)
    return network.readout.laws(outputs, np.asarray(normaliser.scale, np.float32))


def scaling_of(normaliser: Normaliser) -> Scaling:
    """Statistics as arrays on the device."""
    arrays = {name: on_device(value) for name, value in normaliser.arrays().items()}
    return Scaling(channels=normaliser.inputs, **arrays)


def _in_batches(
    network: Downscaler | DeepEnsemble,
    normaliser: Normaliser,
    graph: GraphArrays,
    values: np.ndarray,
    season: np.ndarray,
    batch: int,
    noise: np.ndarray | None = None,
    raw: bool = False,
) -> np.ndarray:
    """Output of the network [time, Nt, T], or with `raw` its `outputs`; the last batch padded."""
    graphdef, params = nnx.split(network)
    scales, source = scaling_of(normaliser), pad_nodes(values)
    parts = []
    for start in range(0, len(source), batch):
        days = slice(start, start + batch)
        fields = _apply(
            graphdef,
            params,
            scales,
            filled(source[days], batch),
            filled(season[days], batch),
            graph,
            None if noise is None else filled(noise[days], batch),
            raw=raw,
        )
        parts.append(np.asarray(fields)[: len(source[days])])
    return np.concatenate(parts)


def filled(days: np.ndarray, batch: int) -> np.ndarray:
    """Repeat the last of some days [days, ...] up to the size of a batch: one compilation."""
    missing = batch - len(days)
    return np.pad(days, ((0, missing), *[(0, 0)] * (days.ndim - 1)), "edge")


@partial(jax.jit, static_argnames=("graphdef", "raw"))
def _apply(
    graphdef: Any,
    params: Any,
    scales: Scaling,
    source: Any,
    season: Any,
    graph: GraphArrays,
    noise: Any = None,
    raw: bool = False,
) -> jax.Array:
    function = outputs if raw else predict
    return function(nnx.merge(graphdef, params), scales, source, season, graph, noise=noise)
