"""The paired days to learn from, in memory or in stores, and the climate of their source."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol

import numpy as np
import xarray as xr

from graphdown.config.experiment import Experiment
from graphdown.data.grid_bank import GridBank
from graphdown.data.load import (
    TARGET_STORE,
    ExperimentData,
    source_arrays,
    source_store,
    target_store,
)
from graphdown.data.normalise import Climate
from graphdown.data.pairing import with_times_of
from graphdown.data.reading.fields import field_values
from graphdown.data.reading.horizontal import horizontal_grid
from graphdown.data.reading.missing import check_complete, nearest_used
from graphdown.data.sample_store import Stored
from graphdown.data.source_adjustment import Adjustment, adjustment_to, climate_of, mean_climate
from graphdown.data.time_windows import neighbours
from graphdown.emulator.eofs import EOFs
from graphdown.training.periods import held_out_of, learned_from
from graphdown.variables.names import variables_of
from graphdown.variables.time_steps import DAY_HOURS, TimeSpec
from meshes import Grid

PART_BYTES = 8 * 2**20  # of target values that are worked on at once


class DayValues(Protocol):
    """Values by day: an array [time, node, variable], or `data.sample_store.StoredDays`."""

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
        adjustment: what gives the source the climate of others, None for none; `source` is as
            before it.
        share: of the days in the EOFs that were fitted on them [time, K], None for none.
        step_hours: length of a day, or of a shorter step in its place.
    """

    name: str
    grid: Grid
    source: DayValues
    fine: DayValues
    time: xr.DataArray
    orog: xr.DataArray | None
    bank: GridBank | None = None
    adjustment: Adjustment | None = None
    share: np.ndarray | None = None
    step_hours: int = DAY_HOURS

    def on_grid(self, number: int | None) -> Grid:
        """A grid of the bank, or the source's own for None."""
        return self.grid if number is None or self.bank is None else self.bank.grids[number]

    def shares(self, eofs: EOFs) -> np.ndarray:
        """Shares of the days in the EOFs [time, K]."""
        total = len(self.source)
        return np.concatenate([eofs.shares(self.source[p], total) for p in parts(self.source)])

    def seen(self, days: slice, number: int | None) -> np.ndarray:
        """Adjusted predictors [days, node, V] on a grid as for `on_grid`."""
        values = self.source[days]
        if self.adjustment is not None:
            values = self.adjustment(values)
        if number is None or self.bank is None:
            return values
        columns = [self.bank.means(column, number) for column in np.moveaxis(values, -1, 0)]
        return np.stack(columns, axis=-1).astype(np.float32, copy=False)


def training_days(
    data: ExperimentData, experiment: Experiment, source: str, target: Grid
) -> PairedDays:
    """Days of a source to learn from, from its store if it has one.

    Raises:
        DataError: values of the source are missing.
    """
    pair = data.fields(experiment, source, "train")
    tuned = experiment.finetune
    if tuned is not None and tuned.validation_share:
        pair = learned_from(pair, tuned.validation_share)
    coarse, fine = pair
    names, targets, bank = experiment.predictors, experiment.targets, data.banks.get(source)
    step_hours = experiment.time.step_hours
    if not data.stored or any(name not in coarse for name in names):
        return replace(paired_days(source, pair, names, targets, target, step_hours), bank=bank)
    where = f"the source {source!r}"
    grid = horizontal_grid(coarse, names, where)
    truth = data.stored.get(target_store(source), data.stored[TARGET_STORE])
    stored = data.stored.get(source_store(source), truth)
    record = data.record(experiment, source, "train")["time"]
    beside = _beside(record, coarse["time"], experiment.time)
    return PairedDays(
        name=source,
        grid=grid,
        source=_complete(stored, coarse, grid, names, where, beside),
        fine=truth.days(fine["time"], targets),
        time=coarse["time"],
        orog=coarse.get("orog"),
        bank=bank,
        step_hours=step_hours,
    )


def _beside(record: xr.DataArray, time: xr.DataArray, steps: TimeSpec) -> list[xr.DataArray]:
    """Times of a record that the window has beside each of some of them."""
    rows = neighbours(record, steps)[record.to_index().get_indexer(time.to_index())]
    return [record.isel(time=column) for column in rows.T]


def validation_pair(
    data: ExperimentData,
    experiment: Experiment,
    source: str,
    grid: int | None,
    most: int | None = None,
) -> tuple[xr.Dataset, xr.Dataset]:
    """Validation days of a source, on a grid as for `ExperimentData.pair`.

    Args:
        data: the experiment's fields.
        experiment: whose periods count.
        source: its name.
        grid: number of the grid.
        most: days to take at most, evenly spread; all by default.
    """
    tuned = experiment.finetune
    if tuned is None or not tuned.validation_share:
        coarse, fine = data.fields(experiment, source, "validation")
    else:
        pair = data.fields(experiment, source, "train")
        coarse, fine = held_out_of(pair, tuned.validation_share)
    days = coarse.sizes["time"]
    count = days if most is None else min(most, days)
    kept = np.linspace(0, days - 1, count).round().astype(int)
    coarse, fine = (ds.isel(time=kept) for ds in (coarse, fine))
    fine, bank = with_times_of(coarse, fine), data.banks.get(source)
    if bank is None:
        return coarse, fine
    return bank.upscale(coarse, bank.evaluation_grids[0] if grid is None else grid), fine


def paired_days(
    name: str,
    pair: tuple[xr.Dataset, xr.Dataset],
    predictors: tuple[str, ...],
    targets: tuple[str, ...],
    target: Grid,
    step_hours: int = DAY_HOURS,
) -> PairedDays:
    """Days of paired datasets (coarse, fine), in memory.

    Raises:
        DataError: values of the source are missing.
    """
    coarse, fine = pair
    grid, values = source_arrays(coarse, predictors, f"the source {name!r}")
    return PairedDays(
        name=name,
        grid=grid,
        source=values,
        fine=field_values(fine, targets, target),
        time=coarse["time"],
        orog=coarse.get("orog"),
        step_hours=step_hours,
    )


def _complete(
    stored: Stored,
    coarse: xr.Dataset,
    grid: Grid,
    names: Sequence[str],
    where: str,
    beside: Sequence[xr.DataArray],
) -> DayValues:
    """Stored days of a source, which must have all values but those that are filled."""
    variables = variables_of(names)
    as_stored = stored.days(coarse["time"], variables, beside=beside)
    check_complete((as_stored[part] for part in parts(as_stored)), grid, names, where)
    return stored.days(coarse["time"], variables, nearest_used(grid), beside)


def parts(*values: DayValues) -> Iterator[slice]:
    """Yield days in parts of about 8 MiB, the same ones wherever they are kept.

    Args:
        values: of the same days; those of which a day has most count.
    """
    days = len(values[0])
    size = max(1, PART_BYTES // (4 * max(math.prod(v.shape[1:]) for v in values)))
    yield from (slice(start, min(start + size, days)) for start in range(0, days, size))


def validation_grids(bank: GridBank | None) -> Sequence[int | None]:
    """Numbers of a bank's grids that training leaves out; None alone, for a source's own grid."""
    return [None] if bank is None else bank.evaluation_grids


def source_climate(
    data: ExperimentData, experiment: Experiment, source: str, target: Grid
) -> Climate:
    """Climate of a source in the training period; see `graphdown.data.source_adjustment`."""
    where = f"the source {source!r}"
    history = data.history(experiment, source)
    return mean_climate([climate_of(ds, experiment.predictors, target, where) for ds in history])


def adjustments(
    data: ExperimentData, experiment: Experiment, target: Grid, reference: Climate | None
) -> tuple[Climate | None, dict[str, Adjustment]]:
    """Adjustments of the training sources to one climate, for `standardise: per-source`.

    Args:
        data: the experiment's fields.
        experiment: whose training period counts.
        target: the target grid.
        reference: of the network to start from; if there is none, the mean of the sources.

    Returns:
        The climate, and the adjustment of each source; None and nothing where sources stay as they
        are.
    """
    if experiment.standardise == "shared":
        return None, {}
    climates = {name: source_climate(data, experiment, name, target) for name in data.sources}
    reference = reference or mean_climate(list(climates.values()))
    names, shares = experiment.predictors, experiment.standardised_variables
    return reference, {
        source: adjustment_to(reference, climate, names, shares)
        for source, climate in climates.items()
    }
