"""The paired days to learn from, in memory or in stores, and their statistics."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol

import numpy as np
import xarray as xr

from graphdown.data.bank import GridBank
from graphdown.data.fields import field_values, horizontal_grid
from graphdown.data.load import TARGET_STORE, ExperimentData, source_arrays, source_store
from graphdown.data.missing import check_complete, nearest_used
from graphdown.data.normalise import Moments, Normaliser, fit_normaliser, to_channels
from graphdown.data.store import Stored
from graphdown.experiment import Experiment
from graphdown.geometry import Geometry
from meshes import Grid, bilinear

PART_BYTES = 8 * 2**20  # of target values that are worked on at once


class DayValues(Protocol):
    """Values by day: an array [time, node, variable], or `graphdown.data.store.Days`."""

    @property
    def shape(self) -> tuple[int, ...]:
        """Days, nodes and variables."""
        ...

    def __len__(self) -> int: ...

    def __getitem__(self, days: Any) -> np.ndarray: ...


@dataclass(frozen=True)
class PairedDays:
    """Paired days of one source.

    Attributes:
        name: of the source.
        grid: of the source, Ns points.
        source: predictors [time, Ns, V], no value missing.
        fine: targets [time, Nt, T].
        time: time stamps of the source.
        orog: height of the source in m, None if unknown.
        bank: grids that the source is upscaled to; `grid` and `source` are as before.
    """

    name: str
    grid: Grid
    source: DayValues
    fine: DayValues
    time: xr.DataArray
    orog: xr.DataArray | None
    bank: GridBank | None = None

    def on_grid(self, number: int | None) -> Grid:
        """Return a grid of the bank, or the source's own for None."""
        return self.grid if number is None or self.bank is None else self.bank.grids[number]

    def seen(self, days: slice, number: int | None) -> np.ndarray:
        """Return the predictors [days, node, V] on a grid as for `on_grid`."""
        values = self.source[days]
        if number is None or self.bank is None:
            return values
        columns = [self.bank.means(column, number) for column in np.moveaxis(values, -1, 0)]
        return np.stack(columns, axis=-1).astype(np.float32, copy=False)


def training_days(
    data: ExperimentData, experiment: Experiment, source: str, target: Grid
) -> PairedDays:
    """Return the days of a source in the training period, from its store if it has one.

    Raises:
        DataError: values of the source are missing.
    """
    pair = coarse, fine = data.fields(experiment, source, "train")
    names, targets, bank = experiment.predictors, experiment.targets, data.banks.get(source)
    if not data.stored:
        return replace(paired_days(source, pair, names, targets, target), bank=bank)
    where = f"the source {source!r}"
    grid = horizontal_grid(coarse, names, where)
    stored = data.stored.get(source_store(source), data.stored[TARGET_STORE])
    values = _complete(stored, coarse, grid, names, where)
    wanted = data.stored[TARGET_STORE].days(fine["time"], targets)
    return PairedDays(source, grid, values, wanted, coarse["time"], coarse.get("orog"), bank)


def paired_days(
    name: str,
    pair: tuple[xr.Dataset, xr.Dataset],
    predictors: tuple[str, ...],
    targets: tuple[str, ...],
    target: Grid,
) -> PairedDays:
    """Return the days of paired datasets (coarse, fine), in memory.

    Raises:
        DataError: values of the source are missing.
    """
    coarse, fine = pair
    grid, values = source_arrays(coarse, predictors, f"the source {name!r}")
    wanted = field_values(fine, targets, target)
    return PairedDays(name, grid, values, wanted, coarse["time"], coarse.get("orog"))


def _complete(
    stored: Stored, coarse: xr.Dataset, grid: Grid, names: Sequence[str], where: str
) -> DayValues:
    as_stored = stored.days(coarse["time"], names)
    check_complete((as_stored[part] for part in parts(as_stored)), grid, names, where)
    return stored.days(coarse["time"], names, nearest_used(grid))


def parts(values: DayValues) -> Iterator[slice]:
    """Yield the days of values in parts of about 8 MiB, the same ones wherever they are kept."""
    days, nodes, variables = values.shape
    size = max(1, PART_BYTES // (4 * nodes * variables))
    yield from (slice(start, min(start + size, days)) for start in range(0, days, size))


def held_out(bank: GridBank | None) -> Sequence[int | None]:
    """Return the numbers of a bank's grids that training leaves out, None for a source's own."""
    return [None] if bank is None else bank.held_out


def fit_statistics(
    days: Sequence[PairedDays],
    predictors: tuple[str, ...],
    targets: tuple[str, ...],
    geometry: Geometry,
) -> Normaliser:
    """Return the statistics of the training days of all sources, each source counting alike.

    Those of a source with a bank are of the grids that training leaves out.
    """
    coarse, corrections, means = [], [], []
    for source in days:
        for number in held_out(source.bank):
            entering, correction, fine = Moments(), Moments(), Moments()
            grid = source.on_grid(number)
            uncorrected = _uncorrected(grid, predictors, targets, geometry)
            for part in parts(source.fine):
                given, wanted = source.seen(part, number), source.fine[part]
                made = to_channels(given, predictors)
                entering.add(made.reshape(-1, made.shape[-1]))
                correction.add(wanted - uncorrected(given))
                fine.add(wanted.reshape(-1, len(targets)))
            coarse.append(entering)
            corrections.append(correction)
            means.append(fine.mean)
    mean = np.mean(means, axis=0)
    base = [0.0 if t in predictors else float(m) for t, m in zip(targets, mean, strict=True)]
    return fit_normaliser(predictors, targets, coarse, corrections, base)


def _uncorrected(
    grid: Grid, predictors: tuple[str, ...], targets: tuple[str, ...], geometry: Geometry
) -> Callable[[np.ndarray], np.ndarray]:
    """Return what makes of source values that which the network corrects [time, Nt, T].

    A constant that it starts from does not matter for the spread and counts as 0.
    """
    if geometry.modes is not None:
        return geometry.modes.estimator(grid)
    weights = bilinear(grid, geometry.target)

    def interpolated(values: np.ndarray) -> np.ndarray:
        own = [
            weights.apply(values[..., predictors.index(t)])
            if t in predictors
            else np.zeros((len(values), geometry.target.size))
            for t in targets
        ]
        return np.stack(own, axis=-1)

    return interpolated
