"""Load all the fields that an experiment names."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import xarray as xr

from graphdown.config.data import DataSpec, Periods, Source, Target
from graphdown.config.experiment import Experiment
from graphdown.data.grid_bank import GridBank, make_bank
from graphdown.data.holders import Holder, Memory, Rules, Unread, ValueRules, as_they_are
from graphdown.data.pairing import pair, select_period, unpaired, with_times_of, within
from graphdown.data.reading.coverage_check import check_cover, note_overlap
from graphdown.data.reading.fields import field_values, open_fields, read_files
from graphdown.data.reading.file_request import Request
from graphdown.data.reading.file_summary import Understanding
from graphdown.data.reading.horizontal import (
    attrs_elsewhere,
    grid_of_dataset,
    grid_with_masks,
    horizontal_grid,
)
from graphdown.data.reading.missing import (
    complete_values,
    note_empty_days,
    note_filled,
    with_ground_filled,
)
from graphdown.data.reading.rules import Notes, are, counted, log_notes
from graphdown.data.reading.statics import TARGET, on_grid, same_points
from graphdown.data.sample_store import Disk, Stored, files_seen
from graphdown.data.target_part import covered_part, cut_to
from graphdown.data.time_windows import check_step, folded, windowed
from graphdown.errors import DataError
from graphdown.runtime.hashing import array_digest
from graphdown.variables.catalogue import canonical_units
from graphdown.variables.time_steps import TimeSpec
from meshes import Grid, coarsen, coverage

PERIODS = ("train", "validation", "test")
TARGET_STORE = "target"
NOT_STORED = ("name", "files", "target_files", "statics")  # names, places, what no store holds


class Timed(Protocol):
    """Object with periods and steps in time, such as an experiment."""

    @property
    def periods(self) -> Periods:
        """The days to train, validate and test on."""
        ...

    @property
    def time(self) -> TimeSpec:
        """The steps of predictors and targets."""
        ...


@dataclass(frozen=True)
class LoadRequest:
    """The fields to load, and the settings that they are checked against.

    Attributes:
        data: their origin.
        periods: those that are read.
        predictors, optional_predictors, targets: names of the variables.
        time: steps of predictors and targets.
        margin_km: width of the margin around the target that sources should cover.
        unseen_periods: periods of the sources that are only evaluated on.
        paired: whether there is a target whose days sources must share.
        known_units: units to convert variables to that the catalogue lacks.
    """

    data: DataSpec
    periods: Periods
    predictors: tuple[str, ...]
    optional_predictors: tuple[str, ...]
    targets: tuple[str, ...]
    time: TimeSpec
    margin_km: float
    unseen_periods: tuple[str, ...]
    paired: bool
    known_units: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def of(
        cls, experiment: Experiment, known_units: Mapping[str, str] | None = None
    ) -> "LoadRequest":
        """The fields of an experiment."""
        return cls(
            data=experiment.data,
            periods=experiment.periods,
            predictors=experiment.predictors,
            optional_predictors=experiment.optional_predictors,
            targets=experiment.targets,
            time=experiment.time,
            margin_km=experiment.graph.margin_km,
            unseen_periods=PERIODS if experiment.standardise == "per-source" else PERIODS[1:],
            paired=experiment.pretrain is None,
            known_units=known_units or {},
        )

    def knowing(self, understood: Understanding) -> "LoadRequest":
        """The request to convert variables that the catalogue lacks to the units they had first."""
        found = {v.name: v.units for v in understood.variables if canonical_units(v.name) is None}
        return replace(self, known_units={**found, **self.known_units})

    @property
    def needed(self) -> tuple[str, ...]:
        """Names of the predictors that every source must have."""
        return tuple(name for name in self.predictors if name not in self.optional_predictors)


@dataclass(frozen=True)
class ExperimentData:
    """The fields of an experiment.

    Attributes:
        fine: the target [time, *horizontal], every period.
        statics: orog and sftlf on the target grid, as far as known.
        sources: the sources to train on by name, predictors [time, *horizontal] and, if known,
            their orog.
        unseen: the sources that are only evaluated on.
        understood: summaries of the target's files ("target") and of each source's.
        banks: the grids of the sources that are upscaled to random ones; `sources` and `unseen`
            have their fields before upscaling.
        fines: targets of the sources that have another one than `fine`, for example because each
            GCM drives its own simulation of a regional model; on the same grid.
        stored: where fields are on disk, their stores, by `TARGET_STORE` and `source_store`; a
            source that is the target itself has no store.
    """

    fine: xr.Dataset
    statics: xr.Dataset
    sources: dict[str, xr.Dataset]
    unseen: dict[str, xr.Dataset]
    understood: dict[str, Understanding] = field(default_factory=dict)
    banks: dict[str, GridBank] = field(default_factory=dict)
    fines: dict[str, xr.Dataset] = field(default_factory=dict)
    stored: dict[str, Stored] = field(default_factory=dict)

    @property
    def coarse(self) -> dict[str, xr.Dataset]:
        """The predictors of all sources, trained on and unseen."""
        return {**self.sources, **self.unseen}

    def pair(
        self, experiment: Timed, source: str, period: str, grid: int | None = None
    ) -> tuple[xr.Dataset, xr.Dataset]:
        """Paired days (coarse, fine) of a source in "train", "validation" or "test".

        Both have the source's time stamps. A source with random grids is upscaled to its number
        `grid`, or to the first one that training leaves out.
        """
        coarse, fine = self.fields(experiment, source, period)
        fine = with_times_of(coarse, fine)
        bank = self.banks.get(source)
        if bank is None:
            return coarse, fine
        return bank.upscale(coarse, bank.evaluation_grids[0] if grid is None else grid), fine

    def history(self, experiment: Timed, source: str) -> list[xr.Dataset]:
        """Predictors of a source in the training period, paired or not.

        A source with random grids is upscaled to each of those that training leaves out.
        """
        coarse = self.coarse[source]
        where = f"'periods.train' of the source {source!r}"
        past = windowed(select_period(coarse, experiment.periods.train, where), experiment.time)
        bank = self.banks.get(source)
        return [past] if bank is None else [bank.upscale(past, k) for k in bank.evaluation_grids]

    def fields(self, experiment: Timed, source: str, period: str) -> tuple[xr.Dataset, xr.Dataset]:
        """Paired days as from `pair`, before a source is upscaled to random grids."""
        part = windowed(self.record(experiment, source, period), experiment.time)
        return pair(part, self.fines.get(source, self.fine), experiment.time.step_hours)

    def record(self, experiment: Timed, source: str, period: str) -> xr.Dataset:
        """Predictors of a source in a period, paired or not; windows end with the period."""
        where = f"'periods.{period}' of the source {source!r}"
        return select_period(self.coarse[source], getattr(experiment.periods, period), where)


def source_store(source: str) -> str:
    """Name of a source's store."""
    return f"source-{source}"


def target_store(source: str) -> str:
    """Name of the store of the target that belongs to one source."""
    return f"{TARGET_STORE}-{source}"


def load_data(
    experiment: Experiment,
    store: Path | None = None,
    known_units: Mapping[str, str] | None = None,
) -> ExperimentData:
    """Open, convert and check every field of an experiment; read its periods.

    Repairs, notices and the number of days without a partner are logged (see `log_notes`).

    Args:
        experiment: names the fields.
        store: a folder to keep the fields in, instead of in memory; fields in it from the same
            files and settings are reused.
        known_units: units of variables that the catalogue lacks, such as those of a training; by
            default those of the target, or of the first source that has the variable.

    Raises:
        DataError: a file, variable or period is missing or wrong; the message names it.
        GraphdownError: the store cannot be written.
    """
    request = LoadRequest.of(experiment, known_units)
    if store is None:
        loaded = _checked(request, Memory())
    else:
        holder = Disk(store, shared=bool(experiment.data.store))
        loaded = replace(_checked(request, holder), stored=holder.stored)
    for understanding in loaded.understood.values():
        log_notes(understanding.notes)
    return loaded


def survey_data(experiment: Experiment, full: bool = False) -> ExperimentData:
    """Open and check every field of an experiment; its days, grids and masks, without its values.

    Args:
        experiment: names the fields.
        full: read all days, a few at a time; else a few days stand for all.

    Raises:
        DataError: as for `load_data`, of the values that are read.
    """
    return _checked(LoadRequest.of(experiment), Unread(full))


def _checked(request: LoadRequest, holder: Holder) -> ExperimentData:
    loaded = _loaded(request, holder)
    for source in (*request.data.sources, *request.data.unseen):
        if source.grids is not None:
            fields = {**loaded.sources, **loaded.unseen}[source.name]
            where = f"the source {source.name!r}"
            loaded.banks[source.name] = make_bank(fields, source.grids, where)
    if request.paired:
        _check_pairs(loaded, request)
    return loaded


def _loaded(request: LoadRequest, holder: Holder) -> ExperimentData:
    if request.data.world is not None:
        return _from_world(request, holder)
    if request.data.target is None:
        return _sources_alone(request, holder)
    return _from_files(request.data.target, request, holder)


def _check_pairs(loaded: ExperimentData, request: LoadRequest) -> None:
    """Refuse sources that share no day with the target in a period."""
    for name in loaded.sources:
        for period in PERIODS:
            loaded.fields(request, name, period)
    for name in loaded.unseen:
        loaded.fields(request, name, "test")


def _sources_alone(request: LoadRequest, holder: Holder) -> ExperimentData:
    """Sources of a pretraining, which has no target."""
    loaded = ExperimentData(xr.Dataset(), xr.Dataset(), {}, {})
    for source in request.data.sources:
        fields, understood = _source(source, PERIODS[:2], request, holder)
        request = request.knowing(understood)
        loaded.sources[source.name], loaded.understood[source.name] = fields, understood
    return loaded


def region_of(experiment: Experiment, data: ExperimentData) -> Grid:
    """Grid of the target; of a pretraining, a regular grid over its region."""
    spec = experiment.pretrain
    if spec is None or spec.region is None:
        names = experiment.targets or [str(name) for name in data.fine]
        return grid_with_masks(data.fine, names, TARGET)[0]
    west, south, east, north = spec.region
    columns, rows = max(round(east - west), 1), max(round(north - south), 1)
    return Grid.regular((east - west) / columns, (north - south) / rows, spec.region)


def _from_files(target: Target, request: LoadRequest, holder: Holder) -> ExperimentData:
    data = request.data
    read = _sources_first(target, request, holder)
    grids = [
        horizontal_grid(ds, [n for n in request.predictors if n in ds], f"the source {name!r}")
        for name, (ds, _) in read.items()
    ]
    for _, of_source in read.values():
        request = request.knowing(of_source)
    fine, understood = _target(target, request, holder, sources=grids)
    request = request.knowing(understood)
    statics = _statics(target, grid_with_masks(fine, request.targets, TARGET)[0])
    loaded = ExperimentData(fine, statics, {}, {}, {"target": understood})
    for source in (*data.sources, *data.unseen):
        periods = _periods_of(source, request)
        group = loaded.sources if source in data.sources else loaded.unseen
        truth, of_truth = fine, understood
        if source.target_files:
            truth, of_truth = _target_of_source(
                target, source, periods, request, holder, fine, grids
            )
            loaded.fines[source.name] = truth
            loaded.understood[f"the target of {source.name}"] = of_truth
        if source.upscale is not None:
            names = list(request.predictors)
            fields = truth[names].assign(statics[[n for n in ("orog",) if n in statics]])
            if source.upscale > 1:
                of_days = periods if source.target_files else PERIODS
                origin = _origin(target, of_truth, names, of_days, request)
                origin["upscale"] = source.upscale
                where = f"the source {source.name!r}"
                rules = _upscaling(source.upscale)
                fields = holder.hold(source_store(source.name), where, fields, rules, origin).ds
            group[source.name] = fields
            continue
        known = read.get(source.name)
        fields, of_source = known or _source(source, periods, request, holder)
        request = request.knowing(of_source)
        notes = _coverage_notes(truth, source, fields, periods, request)
        group[source.name], loaded.understood[source.name] = fields, _with_notes(of_source, notes)
    return loaded


def _periods_of(source: Source, request: LoadRequest) -> Sequence[str]:
    return PERIODS if source in request.data.sources else request.unseen_periods


def _sources_first(
    target: Target, request: LoadRequest, holder: Holder
) -> dict[str, tuple[xr.Dataset, Understanding]]:
    """Sources in files by name, if the target's cells depend on their grids."""
    if target.outside != "mask":
        return {}
    read = {}
    for source in (*request.data.sources, *request.data.unseen):
        if source.files:
            of_source = _source(source, _periods_of(source, request), request, holder)
            request, read[source.name] = request.knowing(of_source[1]), of_source
    return read


def _upscaling(factor: int) -> Rules:
    return lambda part: as_they_are(upscaled(part, factor))


def _origin(
    asked: Source | Target,
    understood: Understanding,
    names: Sequence[str],
    periods: Sequence[str],
    request: LoadRequest,
) -> dict[str, Any]:
    return {
        "asked": {key: v for key, v in asdict(asked).items() if key not in NOT_STORED},
        "files": files_seen(understood.files),
        "names": list(names),
        "periods": {period: getattr(request.periods, period) for period in periods},
        "substeps": request.time.substeps,
        "step_hours": request.time.step_hours,
        "units": {v.name: v.units for v in understood.variables if v.name in names},
    }


def _from_world(request: LoadRequest, holder: Holder) -> ExperimentData:
    from graphdown.data.synthetic import make_ensemble, make_world
    from graphdown.data.synthetic.gcm_ensemble import VIEWS

    data = request.data
    assert data.world is not None
    sources = (*data.sources, *data.unseen)
    views = [str(source.view) for source in sources]
    if data.world.rcm is None:
        world = make_world(data.world, perfect="perfect" in views)
        _check_views(sources, tuple(world.views))
    else:
        _check_views(sources, VIEWS)
        world = make_ensemble(data.world, views)
    origin = {"world": asdict(data.world)}
    _need(world.truth, request.targets, "the embedded world's truth", "targets")
    names = list(request.targets or world.truth.data_vars)
    truth = world.truth[names]

    def view(source: Source) -> xr.Dataset:
        fields = world.views[str(source.view)]
        _need(fields, request.needed, f"the view {source.view!r}", "predictors")
        extra = [name for name in (*request.optional_predictors, "orog") if name in fields]
        part = fields[[*request.needed, *extra]]
        of_view = {**origin, "view": source.view, "names": list(request.predictors)}
        where = f"the source {source.name!r}"
        return holder.hold(source_store(source.name), where, part, as_they_are, of_view).ds

    def target_of(source: Source) -> xr.Dataset:
        of_target = {**origin, "view": source.view, "names": names}
        fields = world.truths[str(source.view)][names]
        return holder.hold(target_store(source.name), TARGET, fields, as_they_are, of_target).ds

    of_truth = {**origin, "views": views[:1], "names": names}
    return ExperimentData(
        holder.hold(TARGET_STORE, TARGET, truth, as_they_are, of_truth).ds,
        world.statics,
        {s.name: view(s) for s in data.sources},
        {s.name: view(s) for s in data.unseen},
        fines={s.name: target_of(s) for s in sources if s.view in world.truths},
    )


def _check_views(sources: Sequence[Source], there: Sequence[str]) -> None:
    for source in sources:
        if source.view not in there:
            raise DataError(
                f"The source {source.name!r} names the view {source.view!r}; the embedded world "
                f"has {', '.join(there)}."
            )


def _need(ds: xr.Dataset, names: tuple[str, ...], where: str, key: str) -> None:
    for name in names:
        if name not in ds:
            there = ", ".join(str(n) for n in ds.data_vars)
            raise DataError(f"{key!r} names {name!r}, which {where} lacks (it has {there}).")


def _target_of_source(
    target: Target,
    source: Source,
    periods: Sequence[str],
    request: LoadRequest,
    holder: Holder,
    fine: xr.Dataset,
    grids: Sequence[Grid],
) -> tuple[xr.Dataset, Understanding]:
    """Target that belongs to one source alone, on the grid of `fine`."""
    what = f"the target of the source {source.name!r}"
    of_source = replace(target, files=source.target_files)
    store = target_store(source.name)
    found, understood = _target(of_source, request, holder, what, what, store, periods, grids)
    own, other = (grid_with_masks(ds, request.targets, what)[0] for ds in (found, fine))
    if not same_points(own, other):
        raise DataError(
            f"{what} is on another grid, of {own.size} points, than 'data.target', of "
            f"{other.size}; give files of the same regional model and domain."
        )
    return found, understood


def _target(
    target: Target,
    request: LoadRequest,
    holder: Holder,
    what: str = TARGET,
    where: str = "'data.target'",
    store: str = TARGET_STORE,
    periods: Sequence[str] = PERIODS,
    sources: Sequence[Grid] = (),
) -> tuple[xr.Dataset, Understanding]:
    names = list(request.targets)
    if any(source.upscale for source in (*request.data.sources, *request.data.unseen)):
        names += [name for name in request.predictors if name not in names]
    opened, understood = _open(where, target, names, request)
    notes = Notes()
    fine = cut_to(opened, target.cut, names, where)
    if sources:
        fine, left = covered_part(fine, sources, names, where)
        if left:
            text = f"{counted(left, 'cell')} that a source does not cover {are(left)} left out"
            notes.add("outside-masked", what, text)
    time = request.time
    part = _in_periods(fine, periods, request, what, where, time.target_seconds)
    part = folded(part, time, request.targets, where, notes)
    targets = time.targets(request.targets)
    names = list(dict.fromkeys((*names, *targets)))
    rules = ValueRules(targets, every=True, ground=False, where=where)
    origin = _origin(target, understood, names, periods, request)
    if sources:
        origin["covered by"] = array_digest([grid.xyz[grid.mask] for grid in sources])
    with opened:
        values = holder.hold(store, what, part, rules, origin)
    note_empty_days(part["time"], values.kept, what, notes)
    return values.ds, _with_notes(understood, notes)


def _statics(target: Target, grid: Grid) -> xr.Dataset:
    """Static fields on the target grid: cell means where the file is finer."""
    fields = {}
    for name, static in target.statics.items():
        with open_fields([static.file], [name], rename={static.variable: name}) as opened:
            ds = opened.load()
        fields[name] = on_grid(ds[name], grid, static.file)
    return xr.Dataset(fields)


def _source(
    source: Source, periods: Sequence[str], request: LoadRequest, holder: Holder
) -> tuple[xr.Dataset, Understanding]:
    where = f"the source {source.name!r}"
    needed, optional_predictors = request.needed, request.optional_predictors
    optional = ["orog", *optional_predictors]
    opened, understood = _open(where, source, needed, request, optional)
    names = tuple(name for name in request.predictors if name in opened)
    part = _in_periods(opened, periods, request, where, where, request.time.seconds)
    rules = ValueRules(names, every=False, ground=True, where=where)
    origin = _origin(source, understood, names, periods, request)
    with opened:
        values = holder.hold(source_store(source.name), where, part, rules, origin)
    notes = Notes()
    note_empty_days(part["time"], values.kept, where, notes)
    note_filled(values.filled, where, notes, values.sampled)
    return values.ds, _with_notes(understood, notes)


def _coverage_notes(
    fine: xr.Dataset,
    source: Source,
    fields: xr.Dataset,
    periods: Sequence[str],
    request: LoadRequest,
) -> Notes:
    """Note how a source covers the target, in space and in days."""
    where, notes = f"the source {source.name!r}", Notes()
    names = [name for name in request.predictors if name in fields]
    grid = horizontal_grid(fields, names, where)
    target = grid_with_masks(fine, request.targets, TARGET)[0]
    found = coverage(grid, target, request.margin_km)
    check_cover(found, grid, target, where, notes)
    note_overlap(grid, where, notes)
    bounds = [getattr(request.periods, p) for p in periods]
    ours, theirs = unpaired(fields, within(fine, bounds), request.time.step_hours)
    if ours or theirs:
        text = f"{ours} days of the source and {theirs} of the target have no partner"
        notes.add("unpaired", where, text)
    return notes


def _in_periods(
    ds: xr.Dataset,
    periods: Sequence[str],
    request: LoadRequest,
    what: str,
    where: str,
    seconds: int,
) -> xr.Dataset:
    """Times of the named periods, `seconds` apart, not read."""
    check_step(ds, seconds, where)
    bounds = {p: getattr(request.periods, p) for p in periods}
    for period, ends in bounds.items():
        select_period(ds, ends, f"'periods.{period}' of {what}")
    return within(ds, bounds.values())


def _with_notes(understood: Understanding, notes: Notes) -> Understanding:
    return replace(understood, notes=(*understood.notes, *notes.listed()))


def _open(
    where: str,
    origin: Source | Target,
    names: Sequence[str],
    loading: LoadRequest,
    optional: Sequence[str] = (),
) -> tuple[xr.Dataset, Understanding]:
    request = Request(
        variables=tuple(names),
        optional=tuple(optional),
        units=origin.units,
        rename=origin.rename,
        daily=origin.daily,
        select=origin.select,
        accumulated=origin.accumulated,
        interpolate=isinstance(origin, Source),
        known_units=loading.known_units,
    )
    try:
        return read_files(origin.files, request)
    except DataError as error:
        located = DataError(f"{where}: {error}")
        located.rule = error.rule
        raise located from None


def upscaled(fine: xr.Dataset, factor: int) -> xr.Dataset:
    """Block means of factor x factor cells, on the coarse grid of those blocks.

    Rows and columns that do not fill a block are left out.
    """
    grid = grid_of_dataset(fine, [str(name) for name in fine.data_vars], TARGET)
    try:
        coarse_grid = coarsen(grid, factor)
    except ValueError as error:
        raise DataError(f"'upscale: {factor}' cannot be done: {error}") from None
    windows = dict.fromkeys(grid.dims, factor)

    def means(field: xr.DataArray) -> np.ndarray:
        blocks = field.drop_vars([c for c in field.coords if c not in ("time",)])
        mean = blocks.coarsen(windows, boundary="trim").mean()
        return mean.values.reshape(*mean.shape[: -len(windows)], -1)

    out = {}
    for name, values in fine.data_vars.items():
        time = ("time",) if "time" in values.dims else ()
        coords = {d: fine[d] for d in time}
        attrs = attrs_elsewhere(values)
        out[name] = coarse_grid.dataarray(means(values), str(name), time, coords, attrs)
    return xr.Dataset(out)


def source_arrays(
    ds: xr.Dataset, predictors: tuple[str, ...], where: str, notes: Notes | None = None
) -> tuple[Grid, np.ndarray]:
    """Grid of a source and its predictors [time, node, variable].

    Predictors that the dataset lacks are NaN; required ones are checked when it is opened.
    Points at which a predictor never has a value are masked; those of a pressure level that are
    missing below ground are filled, which is added to `notes`.

    Raises:
        DataError: other values are missing.
    """
    there = tuple(name for name in predictors if name in ds)
    filled, counts = with_ground_filled(ds, there, where)
    if notes is not None:
        note_filled(counts, where, notes)
    grid = horizontal_grid(filled, there, where)
    values = complete_values(field_values(filled, there, grid), grid, there, where)
    if there == predictors:
        return grid, values
    every = np.full((*values.shape[:2], len(predictors)), np.nan, np.float32)
    every[..., [predictors.index(name) for name in there]] = values
    return grid, every
