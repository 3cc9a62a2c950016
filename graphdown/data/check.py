"""Check of files before training or downscaling: what is recognised and what has to change."""

import dataclasses
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import xarray as xr

from graphdown.config.experiment import Experiment
from graphdown.config.experiment_file import load_experiment
from graphdown.data.holders import read
from graphdown.data.load import ExperimentData, region_of, survey_data
from graphdown.data.pairing import unpaired
from graphdown.data.reading.cleaning import Sample, check_size
from graphdown.data.reading.coverage_check import check_cover, covered, note_overlap
from graphdown.data.reading.fields import read_files
from graphdown.data.reading.file_request import Request
from graphdown.data.reading.file_summary import Understanding, VariableUnderstood
from graphdown.data.reading.horizontal import horizontal_grid
from graphdown.data.reading.rules import Notes
from graphdown.data.reading.units import Conversion
from graphdown.data.reading.value_samples import some_times
from graphdown.data.setting_notices import setting_notices
from graphdown.errors import DataError, GraphdownError
from graphdown.runtime.parts import parts_of
from graphdown.runtime.progress import Progress
from meshes import Coverage, GraphSpec, Grid, coverage

T = TypeVar("T")


@dataclass(frozen=True)
class GridFound:
    """The horizontal grid of a set of files.

    Attributes:
        kind: as `meshes.Grid` names it.
        points: number of its points.
        used: number of those that have values in the sampled times.
        spacing_km: usual distance between neighbours.
    """

    kind: str
    points: int
    used: int
    spacing_km: float

    @classmethod
    def of(cls, grid: Grid) -> "GridFound":
        """Summary of a grid."""
        return cls(grid.kind, grid.size, int(grid.mask.sum()), float(grid.spacing_km))

    def __str__(self) -> str:
        """Words such as "gaussian, 18432 points, 203 km apart"."""
        used = f", {self.used} of them with values" if self.used < self.points else ""
        return f"{self.kind}, {self.points} points, {self.spacing_km:.3g} km apart{used}"


@dataclass(frozen=True)
class Report:
    """What was found in files, and the problems with them.

    Attributes:
        understood: of each set of files that could be understood.
        problems: one sentence for each thing to correct; empty if all is well.
        remarks: how the sets of files relate to each other, one sentence each.
        grids: the grid of each set of files, or of an experiment's target and sources, by name.
        coverage: how much of the target and of the margin around it each source covers, by the
            files' or the source's name; empty without a target.
        surveyed: the experiment with its fields, none of whose values are read; None without one.
    """

    understood: tuple[Understanding, ...]
    problems: tuple[str, ...]
    remarks: tuple[str, ...] = ()
    grids: Mapping[str, GridFound] = field(default_factory=dict)
    coverage: Mapping[str, Coverage] = field(default_factory=dict)
    surveyed: tuple[Experiment, ExperimentData] | None = field(default=None, compare=False)

    @property
    def ok(self) -> bool:
        """Whether there are no problems."""
        return not self.problems

    def to_text(self) -> str:
        """Report as lines of text for the user."""
        lines = [understanding.to_text() for understanding in self.understood]
        lines += [f"The grid of {name}: {grid}." for name, grid in self.grids.items()]
        lines += [f"{name} {covered(found)}." for name, found in self.coverage.items()]
        lines += self.remarks
        lines += [f"To mend: {problem}" for problem in self.problems]
        return "\n".join(lines)

    def to_json(self) -> str:
        """Report as JSON."""
        return json.dumps(self.to_dict(), indent=1)

    def to_dict(self) -> dict[str, Any]:
        """Report as plain values that json can write."""
        return {
            "ok": self.ok,
            "understood": [understanding.to_dict() for understanding in self.understood],
            "grids": {name: dataclasses.asdict(g) for name, g in self.grids.items()},
            "coverage": {name: dataclasses.asdict(c) for name, c in self.coverage.items()},
            "problems": list(self.problems),
            "remarks": list(self.remarks),
        }


def check(
    files: Sequence[str],
    target: Sequence[str] | None = None,
    experiment: str | Path | None = None,
    stated: Request | None = None,
    target_stated: Request | None = None,
    full: bool = False,
) -> Report:
    """Check files, alone or against a target's files, or all files of an experiment.

    Only a few times are read, unless `full`, which reads all days of files or of an experiment's
    periods, a few at a time.
    A source that covers less than 99 % of the target is a problem; one that leaves some of the
    margin out gives a remark. The margin is the experiment's `graph.margin_km`, 400 km without.

    Args:
        files: netCDF, zarr or GRIB paths or globs of one source; may be empty with an experiment.
        target: paths or globs of the target; without any, `files` are compared with the target of
            the experiment.
        experiment: an experiment file.
        stated: the variables of `files`, by default all that are recognised, and the user's
            statements about them.
        target_stated: the same of `target`.
        full: read all values, so that ranges, minima, maxima and missing shares are of all times.
    """
    requests = stated or Request(()), target_stated or Request(())
    return _Check(*requests, full).report(files, target or (), experiment)


@dataclass(frozen=True)
class _Opened:
    """Fields of a source or target, not read yet, and their summary."""

    ds: xr.Dataset
    understood: Understanding

    def grid(self) -> Grid:
        """Grid of the first variable; points missing at a few sampled times are masked.

        Raises:
            DataError: the grid is not understood.
        """
        name = self.understood.variables[0].name
        return horizontal_grid(some_times(self.ds, 3), [name], self.understood.where)


def of_all_values(ds: xr.Dataset, understood: Understanding) -> Understanding:
    """Summary whose minima, maxima and missing shares are of all values, a few days read at a time.

    Raises:
        DataError: a value is out of range, or a file cannot be read.
    """
    samples = {v.name: Sample(v.name) for v in understood.variables if v.sampled}
    timed = ds[[name for name in samples if name in ds]]
    with Progress(timed.sizes.get("time", 0), what=f"checking {understood.where}") as progress:
        for part in parts_of(timed) if samples else ():
            values = read(part, understood.where)
            samples = {name: one.and_in(values[name].values) for name, one in samples.items()}
            progress.add(part.sizes["time"])
    notes = Notes()
    for v in understood.variables:
        if v.name in samples:
            conversion = Conversion(str(v.original_units), str(v.units), v.factor, v.offset)
            check_size(samples[v.name], conversion, understood.where, notes)
    there = {(note.rule, note.variable) for note in understood.notes}
    new = [note for note in notes.listed() if (note.rule, note.variable) not in there]
    variables = [_of_sample(v, samples.get(v.name)) for v in understood.variables]
    return dataclasses.replace(
        understood, variables=tuple(variables), notes=(*understood.notes, *new)
    )


def _of_sample(variable: VariableUnderstood, sample: Sample | None) -> VariableUnderstood:
    if sample is None:
        return variable
    return dataclasses.replace(
        variable,
        sampled=0,
        minimum=sample.minimum,
        maximum=sample.maximum,
        missing=sample.missing,
    )


class _Check:
    """Collects findings one after another; an error becomes a problem of the report."""

    def __init__(self, stated: Request, target_stated: Request, full: bool) -> None:
        self.stated, self.target_stated, self.full = stated, target_stated, full
        self.understood: list[Understanding] = []
        self.problems: list[str] = []
        self.remarks: list[str] = []
        self.grids: dict[str, GridFound] = {}
        self.coverage: dict[str, Coverage] = {}
        self.margin_km = GraphSpec().margin_km
        self.surveyed: tuple[Experiment, ExperimentData] | None = None

    def report(
        self, files: Sequence[str], target: Sequence[str], experiment: str | Path | None
    ) -> Report:
        source = self._opened(files, self.stated)
        aim = self._opened(target, self.target_stated)
        if source is not None and aim is not None and "time" in source.ds and "time" in aim.ds:
            self._attempt(lambda: self._compare_days(source, aim))
        found = [None if opened is None else self._grid(opened) for opened in (source, aim)]
        target_grid = found[1]
        if experiment is not None:
            experiment_grid = self._attempt(lambda: self._of_experiment(experiment))
            target_grid = target_grid or experiment_grid
        if source is not None and found[0] is not None and target_grid is not None:
            where, grids = source.understood.where, (found[0], target_grid)
            self._attempt(lambda: self._cover(where, *grids))
        for opened in (source, aim):
            if opened is not None:
                opened.ds.close()
        return Report(
            tuple(self.understood),
            tuple(self.problems),
            tuple(self.remarks),
            self.grids,
            self.coverage,
            self.surveyed,
        )

    def _grid(self, opened: _Opened) -> Grid | None:
        grid = self._attempt(opened.grid)
        if grid is not None:
            where, notes = opened.understood.where, Notes()
            self.grids[where] = GridFound.of(grid)
            note_overlap(grid, where, notes)
            self.remarks += [str(note) for note in notes.listed()]
        return grid

    def _attempt(self, action: Callable[[], T]) -> T | None:
        try:
            return action()
        except GraphdownError as error:
            if str(error) not in self.problems:
                self.problems.append(str(error))
            return None

    def _opened(self, files: Sequence[str], request: Request) -> _Opened | None:
        if not files:
            return None
        opened = self._attempt(lambda: _Opened(*read_files(files, request)))
        if opened is None:
            return None
        ds, understood = opened.ds, opened.understood
        if self.full:
            understood = self._attempt(lambda: of_all_values(ds, understood)) or understood
        self.understood.append(understood)
        return opened

    def _of_experiment(self, path: str | Path) -> Grid:
        """Check an experiment's files; return the grid of its target."""
        experiment = load_experiment(path)
        self.margin_km = experiment.graph.margin_km
        data = survey_data(experiment, self.full)
        self.understood += data.understood.values()
        notices = setting_notices(experiment, "orog" in data.statics)
        self.remarks += [str(note) for note in notices]
        target = region_of(experiment, data)
        self.grids["the target"] = GridFound.of(target)
        for name, fields in data.coarse.items():
            where = f"the source {name!r}"
            there = [name for name in experiment.predictors if name in fields]
            source = horizontal_grid(fields, there, where)
            self.grids[where] = GridFound.of(source)
            self.coverage[where] = coverage(source, target, self.margin_km)
        if experiment.pretrain is None:
            self.surveyed = experiment, data
        return target

    def _cover(self, where: str, source: Grid, target: Grid) -> None:
        found = self.coverage[where] = coverage(source, target, self.margin_km)
        notes = Notes()
        check_cover(found, source, target, where, notes)
        self.remarks += [str(note) for note in notes.listed()]

    def _compare_days(self, source: _Opened, target: _Opened) -> None:
        ours, theirs = unpaired(source.ds, target.ds)
        common = source.ds.sizes["time"] - ours
        if not common:
            first, second = source.understood, target.understood
            raise DataError(
                f"{first.where} ({first.first} to {first.last}) and {second.where} "
                f"({second.first} to {second.last}) have no day in common; choose files of the "
                "same period."
            )
        self.remarks.append(
            f"Source and target have {common} days in common; {ours} days of the source and "
            f"{theirs} of the target have no partner."
        )
