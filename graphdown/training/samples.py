"""Training days as arrays, and which of them each step sees."""

from dataclasses import dataclass

import numpy as np
import xarray as xr

from graphdown.data.forcings import forcings
from graphdown.data.store import Days
from graphdown.emulator import pad_nodes
from graphdown.geometry import Geometry
from graphdown.model import GraphArrays
from graphdown.model.tables import bucket
from graphdown.training.days import DayValues, PairedDays, paired_days
from graphdown.training.step import Batch


@dataclass(frozen=True)
class Samples:
    """Paired days of one source.

    Attributes:
        name: of the source.
        source: predictors [time, Ns, V], padded to the graph's source size.
        fine: targets [time, Nt, T].
        forcings: numbers per day [time, F].
        graph: from this source to the target.
    """

    name: str
    source: DayValues
    fine: DayValues
    forcings: np.ndarray
    graph: GraphArrays

    def batch(self, days: np.ndarray, warming: np.ndarray, spacing: float) -> Batch:
        """Return the days of the given indices [B], with their augmentation."""
        offset = np.full(len(days), spacing, np.float32)
        return Batch(self.source[days], self.fine[days], self.forcings[days], warming, offset)


def make_samples(
    name: str,
    pair: tuple[xr.Dataset, xr.Dataset],
    predictors: tuple[str, ...],
    targets: tuple[str, ...],
    geometry: Geometry,
    around: int = 0,
) -> Samples:
    """Lay out paired datasets (coarse, fine) as samples; `around` is as for `Geometry.arrays`.

    Raises:
        DataError: values of the source are missing.
    """
    return lay_out(paired_days(name, pair, predictors, targets, geometry.target), geometry, around)


def lay_out(days: PairedDays, geometry: Geometry, around: int = 0) -> Samples:
    """Return paired days as samples; `around` is as for `Geometry.arrays`."""
    graph = geometry.arrays(days.grid, days.orog, around)
    source = days.source
    if isinstance(source, Days):
        padded: DayValues = source.padded(bucket(days.grid.size))
    else:
        padded = pad_nodes(source[:])
    return Samples(days.name, padded, days.fine, forcings(days.time), graph)


def days_of_step(step: int, batch_size: int, days: int, seed: int, source: int) -> np.ndarray:
    """Return the indices of the days [batch_size] that a step draws from a source.

    Days are permuted anew in each pass, by the seed and the pass alone, so that a resumed run
    sees what an uninterrupted one would.
    """
    first = step * batch_size
    wanted = np.arange(first, first + batch_size)
    passes = np.unique(wanted // days)
    orders = {p: np.random.default_rng([seed, source, p]).permutation(days) for p in passes}
    return np.asarray([orders[p][i] for p, i in zip(wanted // days, wanted % days, strict=True)])


def source_of_step(step: int, sources: int, seed: int) -> tuple[int, int]:
    """Return which source a step draws from, and how many steps it had before this one.

    Sources take turns, in a new order in each round of turns.
    """
    turn, place = divmod(step, sources)
    order = np.random.default_rng([seed, 7919, turn]).permutation(sources)
    return int(order[place]), turn
