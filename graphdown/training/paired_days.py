"""The paired days to learn from, in memory or in stores, and their statistics."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Any, Protocol

import jax
import jax.numpy as jnp
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
from graphdown.data.normalise import Climate, Moments, Normaliser, fit_normaliser, to_channels
from graphdown.data.reading.fields import field_values, horizontal_grid
from graphdown.data.reading.missing import check_complete, nearest_used
from graphdown.data.sample_store import Stored
from graphdown.data.source_adjustment import Adjustment, adjustment_to, climate_of, mean_climate
from graphdown.data.time_windows import neighbours
from graphdown.emulator.domain import TargetDomain
from graphdown.emulator.eofs import EOFs
from graphdown.model.arrays import interpolation, most_donors
from graphdown.model.channels import Channels, predictor_transforms
from graphdown.model.optimal_interpolation import LeftOut, estimate
from graphdown.model.transforms import transformed
from graphdown.training.periods import held_out_of, learned_from
from graphdown.variables.names import variables_of
from graphdown.variables.time_steps import DAY_HOURS, start_of
from graphdown.variables.winds import carried, corrected_winds
from meshes import Grid, bilinear
from meshes.geometry.sphere import east_and_north

PART_BYTES = 8 * 2**20  # of target values that are worked on at once
estimated = jax.jit(estimate)


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
        step_hours: length of a day, or of a shorter step that stands for one.
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
        """Return a grid of the bank, or the source's own for None."""
        return self.grid if number is None or self.bank is None else self.bank.grids[number]

    def shares(self, eofs: EOFs) -> np.ndarray:
        """Return the shares of the days in the EOFs [time, K]."""
        total = len(self.source)
        return np.concatenate([eofs.shares(self.source[p], total) for p in parts(self.source)])

    def seen(self, days: slice, number: int | None) -> np.ndarray:
        """Return the adjusted predictors [days, node, V] on a grid as for `on_grid`."""
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
    """Return the days of a source to learn from, from its store if it has one.

    Raises:
        DataError: values of the source are missing.
    """
    pair = data.fields(experiment, source, "train")
    tuned = experiment.finetune
    if tuned is not None and tuned.validation_share:
        pair = learned_from(pair, tuned.validation_share)
    coarse, fine = pair
    names, targets, bank = experiment.predictors, experiment.targets, data.banks.get(source)
    if not data.stored or any(name not in coarse for name in names):
        made = paired_days(source, pair, names, targets, target, experiment.time.step_hours)
        return replace(made, bank=bank)
    where = f"the source {source!r}"
    grid = horizontal_grid(coarse, names, where)
    own = data.stored.get(target_store(source), data.stored[TARGET_STORE])
    stored = data.stored.get(source_store(source), own)
    beside = _beside(data.record(experiment, source, "train")["time"], coarse["time"], experiment)
    values = _complete(stored, coarse, grid, names, where, beside)
    wanted = own.days(fine["time"], targets)
    given = source, grid, values, wanted, coarse["time"], coarse.get("orog"), bank
    return PairedDays(*given, step_hours=experiment.time.step_hours)


def _beside(record: xr.DataArray, time: xr.DataArray, experiment: Experiment) -> list[xr.DataArray]:
    """Return the times of a record that the window has beside each of some of them."""
    rows = neighbours(record, experiment.time)[record.to_index().get_indexer(time.to_index())]
    return [record.isel(time=own) for own in rows.T]


def validation_pair(
    data: ExperimentData, experiment: Experiment, source: str, grid: int | None
) -> tuple[xr.Dataset, xr.Dataset]:
    """Return the days of a source that choose, on a grid as for `ExperimentData.pair`."""
    tuned = experiment.finetune
    if tuned is None or not tuned.validation_share:
        return data.pair(experiment, source, "validation", grid)
    return held_out_of(data.pair(experiment, source, "train", grid), tuned.validation_share)


def paired_days(
    name: str,
    pair: tuple[xr.Dataset, xr.Dataset],
    predictors: tuple[str, ...],
    targets: tuple[str, ...],
    target: Grid,
    step_hours: int = DAY_HOURS,
) -> PairedDays:
    """Return the days of paired datasets (coarse, fine), in memory.

    Raises:
        DataError: values of the source are missing.
    """
    coarse, fine = pair
    grid, values = source_arrays(coarse, predictors, f"the source {name!r}")
    wanted = field_values(fine, targets, target)
    given = name, grid, values, wanted, coarse["time"], coarse.get("orog")
    return PairedDays(*given, step_hours=step_hours)


def _complete(
    stored: Stored,
    coarse: xr.Dataset,
    grid: Grid,
    names: Sequence[str],
    where: str,
    beside: Sequence[xr.DataArray],
) -> DayValues:
    own = variables_of(names)
    as_stored = stored.days(coarse["time"], own, beside=beside)
    check_complete((as_stored[part] for part in parts(as_stored)), grid, names, where)
    return stored.days(coarse["time"], own, nearest_used(grid), beside)


def parts(values: DayValues) -> Iterator[slice]:
    """Yield the days of values in parts of about 8 MiB, the same ones wherever they are kept."""
    days, nodes, variables = values.shape
    size = max(1, PART_BYTES // (4 * nodes * variables))
    yield from (slice(start, min(start + size, days)) for start in range(0, days, size))


def validation_grids(bank: GridBank | None) -> Sequence[int | None]:
    """Return the numbers of a bank's grids that training leaves out, None for a source's own."""
    return [None] if bank is None else bank.held_out


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
    """Return what gives each training source the reference's climate, and the reference.

    Args:
        data: the experiment's fields.
        experiment: whose training period counts.
        target: the target grid.
        reference: of the network to start from; if there is none, the mean of the sources.
    """
    if experiment.standardise == "shared":
        return None, {}
    own = {name: source_climate(data, experiment, name, target) for name in data.sources}
    reference = reference or mean_climate(list(own.values()))
    wanted = experiment.predictors, experiment.standardised_variables
    return reference, {n: adjustment_to(reference, c, *wanted) for n, c in own.items()}


def fit_statistics(
    days: Sequence[PairedDays],
    predictors: tuple[str, ...],
    targets: tuple[str, ...],
    domain: TargetDomain,
    transforms: tuple[str, ...] = (),
    of_predictors: Mapping[str, str] = MappingProxyType({}),
) -> Normaliser:
    """Return the statistics of the training days of all sources, each source counting alike.

    Corrections are taken in the spaces of the targets' transforms.

    Those of a source with a bank are of the grids that training leaves out.

    Args:
        days: of each source.
        predictors, targets: names.
        domain: the target.
        transforms: of the targets.
        of_predictors: transforms of predictors by variable, where not the catalogue's.
    """
    entering_by = predictor_transforms(predictors, of_predictors)
    channels = Channels.of(predictors, entering_by)
    coarse, corrections, means = [], [], []
    for source in days:
        for number in validation_grids(source.bank):
            entering, correction, fine = Moments(), Moments(), Moments()
            grid = source.on_grid(number)
            missed = _missed(source, grid, predictors, targets, domain, transforms)
            for part in parts(source.fine):
                given, wanted = source.seen(part, number), source.fine[part]
                made = to_channels(given, channels)
                entering.add(made.reshape(-1, made.shape[-1]))
                correction.add(missed(given, wanted, part))
                fine.add(wanted.reshape(-1, len(targets)))
            coarse.append(entering)
            corrections.append(correction)
            means.append(fine.mean)
    mean = np.mean(means, axis=0)
    base = [
        0.0 if start_of(t, targets, predictors) else float(m)
        for t, m in zip(targets, mean, strict=True)
    ]
    return fit_normaliser(predictors, targets, coarse, corrections, base, entering_by)


def _missed(
    source: PairedDays,
    grid: Grid,
    predictors: tuple[str, ...],
    targets: tuple[str, ...],
    domain: TargetDomain,
    transforms: tuple[str, ...],
) -> Callable[[np.ndarray, np.ndarray, slice], np.ndarray]:
    """Return what tells how far days are from what the network corrects.

    It takes predictors on the grid, targets [time, Nt, T], and which days these are. A constant
    that the network starts from does not matter for the spread and counts as 0.
    """

    def difference(fine: np.ndarray, made: np.ndarray) -> np.ndarray:
        if not transforms:
            return fine - made
        wanted, start = (np.asarray(transformed(jnp.asarray(v), transforms)) for v in (fine, made))
        return wanted - start

    weights = bilinear(grid, domain.target)
    eofs, patterns = domain.eofs, domain.patterns()
    if eofs is not None and patterns is not None:
        share, observation = source.share, eofs.observation(grid)
        assert share is not None
        known = observation, patterns, eofs.columns, interpolation(weights, most_donors(weights))

        def missed(values: np.ndarray, fine: np.ndarray, days: slice) -> np.ndarray:
            given, wanted = np.swapaxes(values, 0, 1), np.swapaxes(fine, 0, 1)
            made = estimated(given, *known, LeftOut(given, wanted, share[days]))
            return difference(fine, np.swapaxes(made, 0, 1))

        return missed

    starts = [
        [(predictors.index(n), share) for n, share in start_of(t, targets, predictors).items()]
        for t in targets
    ]
    axes = [east_and_north(points.xyz) for points in (grid, domain.target)]

    def interpolated(values: np.ndarray, fine: np.ndarray, days: slice) -> np.ndarray:
        own = [
            np.sum([share * weights.apply(values[..., i]) for i, share in start], axis=0)
            if start
            else np.zeros((len(values), domain.target.size))
            for start in starts
        ]
        for u, v in corrected_winds(targets, predictors):
            wind = (sum(share * values[..., i] for i, share in starts[t]) for t in (u, v))
            own[u], own[v] = carried(weights.apply, *wind, *axes)
        return difference(fine, np.stack(own, axis=-1))

    return interpolated
