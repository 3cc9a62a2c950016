"""Training days as arrays, and which of them each step draws."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
import xarray as xr

from graphdown.config.training import TrainingSpec
from graphdown.data.sample_store import StoredDays
from graphdown.data.source_adjustment import AdjustedDays, Adjustment
from graphdown.emulator.domain import TargetDomain
from graphdown.model import GraphArrays
from graphdown.model.arrays import InterpolationTable
from graphdown.model.padding import pad_nodes
from graphdown.model.source_bank import SourceBank, source_bank
from graphdown.runtime.random_streams import RandomStream
from graphdown.training.augmentation import make_smoother
from graphdown.training.folds import blocks_of
from graphdown.training.paired_days import DayValues, PairedDays, paired_days
from graphdown.training.step import Batch
from graphdown.variables.forcings import forcings
from graphdown.variables.time_steps import DAY_HOURS


@dataclass(frozen=True)
class Samples:
    """Paired days of one source.

    Attributes:
        name: of the source.
        source: predictors [time, Ns, V], padded to the graph's source size; with a bank, the
            fields [time, Nf, V] that are upscaled to its grids.
        fine: targets [time, Nt, T].
        forcings: numbers per day [time, F].
        graph: from this source to the target; with a bank, from its first grid.
        bank: source grids to draw from.
        share: of the days in the EOFs [time, K], None without EOFs.
        smoother: means over neighbourhoods of each source grid, None without smoothing.
        block: number of each day's block of years [time], None without `training.folds`.
    """

    name: str
    source: DayValues
    fine: DayValues
    forcings: np.ndarray
    graph: GraphArrays
    bank: SourceBank | None = None
    share: np.ndarray | None = None
    smoother: InterpolationTable | None = None
    block: np.ndarray | None = None

    @property
    def grids(self) -> int:
        """Number of source grids."""
        return 1 if self.bank is None else len(self.bank.upscaling.weights)

    def batch(self, days: np.ndarray, warming: np.ndarray, spacing: float, grid: int) -> Batch:
        """Days by their indices [B], with their augmentation and source grid."""
        return Batch(
            source=self.source[days],
            fine=self.fine[days],
            forcings=self.forcings[days],
            warming=warming,
            spacing=np.full(len(days), spacing, np.float32),
            grid=np.full(len(days), grid, np.int32),
            share=None if self.share is None else self.share[days],
        )

    def by_grid(self, most: int) -> Iterator["Samples"]:
        """Yield samples in memory without a bank: each day on one of the grids, which take turns.

        Args:
            most: days of each of them at most.
        """
        for grid in range(self.grids):
            for start in range(grid, len(self.source), most * self.grids):
                end = min(start + most * self.grids, len(self.source))
                yield self._on_grid(slice(start, end, self.grids), grid)

    def _on_grid(self, days: slice, grid: int) -> "Samples":
        source, graph = self.source[days], self.graph
        if self.bank is not None:
            fields, graph = self.bank.upscaled(jnp.asarray(source), grid, graph)
            source = np.asarray(fields)
        block = None if self.block is None else self.block[days]
        fine, season = self.fine[days], self.forcings[days]
        return Samples(self.name, source, fine, season, graph, block=block)


def make_samples(
    name: str,
    pair: tuple[xr.Dataset, xr.Dataset],
    predictors: tuple[str, ...],
    targets: tuple[str, ...],
    domain: TargetDomain,
    around: int = 0,
    adjustment: Adjustment | None = None,
    step_hours: int = DAY_HOURS,
    graph: GraphArrays | None = None,
) -> Samples:
    """Lay out paired datasets (coarse, fine) as samples; `around` is as for `TargetDomain.arrays`.

    `graph` is from the source, if it is laid out already.

    Raises:
        DataError: values of the source are missing.
    """
    days = paired_days(name, pair, predictors, targets, domain.target, step_hours)
    return lay_out(replace(days, adjustment=adjustment), domain, around, graph=graph)


def lay_out(
    days: PairedDays,
    domain: TargetDomain,
    around: int = 0,
    smoothing_km: float = 0.0,
    starts: np.ndarray | None = None,
    graph: GraphArrays | None = None,
) -> Samples:
    """Lay out paired days as samples, with a bank to upscale to its training grids.

    Args:
        days: of one source.
        domain: the target.
        around: as for `TargetDomain.arrays`.
        smoothing_km: as in `TrainingSpec`.
        starts: of the blocks of years, see `graphdown.training.folds`; None for one block.
        graph: from the source, if it is laid out already.
    """
    bank, season = days.bank, forcings(days.time, days.step_hours)
    block = None if starts is None else blocks_of(days.time, starts)
    if bank is None:
        graph = graph or domain.arrays(days.grid, days.orog, around)
        nodes = len(graph.source_axes)
        source = _adjusted(_padded(days.source, nodes), days.adjustment)
        smoother = make_smoother([days.grid], nodes, smoothing_km)
        return Samples(days.name, source, days.fine, season, graph, smoother=smoother, block=block)
    grids = bank.grids[: bank.training]
    heights: list[xr.DataArray | None] = [None] * len(grids)
    if days.orog is not None:
        orog = days.orog.to_dataset(name="orog")
        heights = [bank.upscale(orog, k)["orog"] for k in range(bank.training)]
    graph, arrays = domain.several_arrays(grids, heights, around)
    sources = source_bank(bank.weights[: bank.training], arrays)
    fields = _adjusted(days.source, days.adjustment)
    smoother = make_smoother(grids, sources.nodes, smoothing_km)
    return Samples(
        days.name, fields, days.fine, season, graph, sources, days.share, smoother, block
    )


def _adjusted(values: DayValues, adjustment: Adjustment | None) -> DayValues:
    if adjustment is None:
        return values
    return (
        AdjustedDays(values, adjustment)
        if isinstance(values, StoredDays)
        else adjustment(values[:])
    )


def _padded(values: DayValues, nodes: int) -> DayValues:
    return values.padded(nodes) if isinstance(values, StoredDays) else pad_nodes(values[:], nodes)


class Drawn(NamedTuple):
    """Random draws of a step, which depend on its number alone.

    Attributes:
        source: its number.
        days: indices of the source's days [B]; those of an ensemble's networks take turns.
        warming: kelvin for each day [B], see `TrainingSpec`.
        spacing: for the logarithm of the source spacing.
        random: for whatever else is drawn.
    """

    source: int
    days: np.ndarray
    warming: np.ndarray
    spacing: float
    random: np.random.Generator


def draw(
    spec: TrainingSpec,
    seed: int,
    step: int,
    days: Sequence[int],
    stream: RandomStream,
    turns: Sequence[int] | None = None,
    learned: Sequence[Sequence[np.ndarray]] | None = None,
) -> Drawn:
    """Draw the source and the days of a step.

    Args:
        spec: says how many days, and how far they are changed.
        seed: of the run.
        step: its number.
        days: of each source.
        stream: of random numbers.
        turns: numbers of the sources, once for each of their turns in a round; each source once
            by default.
        learned: the days of each source that each network of an ensemble learns from; all by
            default.
    """
    source, before = source_of_step(step, range(len(days)) if turns is None else turns, seed)
    rows = [np.arange(days[source])] if learned is None else learned[source]
    each = [
        own[days_of_step(before, spec.batch_size, len(own), seed, source, network)]
        for network, own in enumerate(rows)
    ]
    indices = np.stack(each, axis=1).reshape(-1)
    random = np.random.default_rng([seed, stream, step])
    warming = random.uniform(*spec.warming_offset, size=len(indices)).astype(np.float32)
    spacing = random.uniform(-spec.spacing_jitter, spec.spacing_jitter)
    return Drawn(source, indices, warming, spacing, random)


def days_of_step(
    step: int, batch_size: int, days: int, seed: int, source: int, network: int = 0
) -> np.ndarray:
    """Indices of the days [batch_size] that a step draws from a source, for one network.

    Days are permuted anew in each pass, by the seed and the pass alone, so that a resumed run
    sees what an uninterrupted one would.
    """
    first = step * batch_size
    further = [network] if network else []
    passes, places = np.divmod(np.arange(first, first + batch_size), days)
    orders = {
        p: np.random.default_rng([seed, source, p, *further]).permutation(days)
        for p in np.unique(passes)
    }
    return np.asarray([orders[p][place] for p, place in zip(passes, places, strict=True)])


def source_of_step(step: int, turns: Sequence[int], seed: int) -> tuple[int, int]:
    """Number of the source that a step draws from, and how many steps it had before this one.

    Sources take their turns in a new order in each round.
    """
    done, place = divmod(step, len(turns))
    order = np.random.default_rng([seed, RandomStream.SOURCE_ORDER, done]).permutation(
        np.asarray(turns)
    )
    source = int(order[place])
    return source, done * list(turns).count(source) + int(np.sum(order[:place] == source))


def dates(time: xr.DataArray, days: np.ndarray) -> list[str]:
    """Dates of days by their indices, as in "2001-01-31"."""
    return [str(day) for day in time.isel(time=days).dt.strftime("%Y-%m-%d").values]
