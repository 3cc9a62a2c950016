"""Runs of a trained network over days of a source, batch by batch."""

from collections.abc import Callable, Generator, Iterable
from contextlib import closing
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import jax
import numpy as np
import xarray as xr
from flax import nnx

from graphdown.applicability.novelty_watch import NoveltyWatch
from graphdown.data.normalise import Normaliser
from graphdown.data.source_adjustment import Adjustment
from graphdown.emulator.ensemble_noise import EnsembleNoise, MemberNoise
from graphdown.emulator.input_range import RangeWatch
from graphdown.model import Downscaler, GraphArrays, Scaling, predict
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
EVERY = slice(None)
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


@dataclass(frozen=True)
class Inference:
    """Days to downscale, and the network that does it.

    Attributes:
        network, normaliser, graph: as for `run_network`.
        values: yields the predictors of all days [days, Ns, V], some days at a time.
        adjustment: of the predictors, if any.
        time: of the days.
        source, output_time: see `Stream`, whose `time` is `output_time`.
        noise: random numbers of the members.
        members: how many, 0 for one field a day.
        steps: in time, of which the network takes and makes what; those of days by default.
        makes_means: as for `Emulator`.
        watch: compares predictors and outputs with their ranges.
        mask: of the targets [Nt, T], True where outputs count.
        novelty: takes the distance of the days from the training climate, if that is known.
    """

    network: Downscaler
    normaliser: Normaliser
    graph: GraphArrays
    values: Callable[[], Generator[np.ndarray, None, None]]
    adjustment: Adjustment | None
    time: xr.Dataset
    source: Grid
    output_time: xr.Dataset
    noise: EnsembleNoise
    watch: RangeWatch
    mask: np.ndarray
    members: int = 0
    steps: TimeSpec = field(default_factory=TimeSpec)
    makes_means: bool = False
    novelty: NoveltyWatch | None = None

    def novelty_made(self, rows: slice = EVERY) -> np.ndarray | None:
        """Novelty of output times that were made, None if the training climate is not known."""
        if self.novelty is None:
            return None
        times = self.output_time.sizes["time"] // max(len(self.novelty.novelty), 1)
        return np.repeat(self.novelty.novelty, times)[rows]

    def results(self) -> Generator[np.ndarray, None, None]:
        """Yield the targets [time, Nt, T] by batches, the next one being made meanwhile.

        Those of members are [time, member, Nt, T].
        """
        season = forcings(self.time.time, self.steps.step_hours)
        days = np.arange(self.time.sizes["time"])
        with closing(self.values()) as parts:
            columns = (regrouped(rows, BATCH) for rows in (parts, [season], [days]))
            batches = zip(*columns, strict=True)
            yield from prefetched(self.result, batches, AHEAD, threads=1)
        self.watch.log()

    def result(self, batch: tuple[np.ndarray, ...]) -> np.ndarray:
        """Targets of one batch: predictors, forcings and numbers of some days."""
        fields = self._fields(*batch)
        made = self.steps.means_of(fields) if self.makes_means else self.steps.unfolded(fields)
        days = batch[-1]
        of_day = np.repeat(days, len(made) // len(days))
        self.watch.watch_outputs(made, self.mask, self.time.time.isel(time=of_day))
        return made

    def _fields(self, values: np.ndarray, season: np.ndarray, days: np.ndarray) -> np.ndarray:
        """Output of the network [days, ..., T], sub-steps included."""
        values = values if self.adjustment is None else self.adjustment(values)
        self.watch.watch_predictors(values, self.time.time.isel(time=days))
        if self.novelty is not None:
            self.novelty.watch(values, days)
        if not self.members:
            return run_network(self.network, self.normaliser, self.graph, values, season)
        time = self.time.time.isel(time=days)
        draws = (self.noise.draw(member, time) for member in range(self.members))
        return run_members(self.network, self.normaliser, self.graph, values, season, draws)


def run_network(
    network: Downscaler,
    normaliser: Normaliser,
    graph: GraphArrays,
    values: np.ndarray,
    season: np.ndarray,
) -> np.ndarray:
    """Targets [time, Nt, T] in physical units, within their limits.

    Args:
        network: the network.
        normaliser: names and statistics.
        graph: of the source grid.
        values: predictors [time, Ns, V] in physical units.
        season: forcings [time, F].
    """
    fields = _in_batches(network, normaliser, graph, values, season)
    return within_limits(fields, normaliser.targets)


def run_members(
    network: Downscaler,
    normaliser: Normaliser,
    graph: GraphArrays,
    values: np.ndarray,
    season: np.ndarray,
    draws: Iterable[MemberNoise],
) -> np.ndarray:
    """Targets of ensemble members [time, member, Nt, T]; see `run_network`.

    Args:
        network, normaliser, graph, values, season: as for `run_network`.
        draws: random numbers of each member.
    """
    readout, scale = network.readout, np.asarray(normaliser.scale, np.float32)
    members, fields = [], None
    for draw in draws:
        if fields is None or draw.noise is not None:
            raw = draw.ranks is not None
            fields = _in_batches(network, normaliser, graph, values, season, draw.noise, raw)
        drawn = fields if draw.ranks is None else readout.drawn_from(fields, scale, draw.ranks)
        members.append(within_limits(drawn, normaliser.targets))
    return np.stack(members, axis=1)


def scaling_of(normaliser: Normaliser) -> Scaling:
    """Statistics as arrays on the device."""
    arrays = {name: on_device(value) for name, value in normaliser.arrays().items()}
    return Scaling(channels=normaliser.inputs, **arrays)


def _in_batches(
    network: Downscaler,
    normaliser: Normaliser,
    graph: GraphArrays,
    values: np.ndarray,
    season: np.ndarray,
    noise: np.ndarray | None = None,
    raw: bool = False,
) -> np.ndarray:
    """Output of the network [time, Nt, T], or with `raw` its `outputs`; the last batch padded."""
    graphdef, params = nnx.split(network)
    scales, source = scaling_of(normaliser), pad_nodes(values)
    parts = []
    for start in range(0, len(source), BATCH):
        days = slice(start, start + BATCH)
        fields = _apply(
            graphdef,
            params,
            scales,
            _filled(source[days]),
            _filled(season[days]),
            graph,
            None if noise is None else _filled(noise[days]),
            raw=raw,
        )
        parts.append(np.asarray(fields)[: len(source[days])])
    return np.concatenate(parts)


def _filled(days: np.ndarray) -> np.ndarray:
    """Repeat the last of some days [days, ...] up to the size of a batch: one compilation."""
    missing = BATCH - len(days)
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
