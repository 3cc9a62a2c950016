"""A submission to CORDEX-ML-Bench: predictions for all of its tests, by the runs trained for it."""

import zipfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import xarray as xr

from graphdown.cf.provenance import versions
from graphdown.data.reading.units import conversion
from graphdown.downscaling.fingerprint import as_attribute, differences, fingerprint_in
from graphdown.downscaling.job import DownscaleJob, counted_parts, opened_job
from graphdown.downscaling.request import DownscaleRequest
from graphdown.emulator.emulator import REALIZATION
from graphdown.emulator.storage import load
from graphdown.errors import DataError, GraphdownError
from graphdown.output.disk_space import check_room
from graphdown.output.writer import write_parts
from graphdown.runtime.atomic import atomic_file
from graphdown.runtime.progress import Progress
from graphdown.submission.ml_bench_layout import (
    DOMAINS,
    TARGETS,
    TRAININGS,
    BenchDomain,
    BenchInput,
    bench_inputs,
)
from graphdown.submission.submit_request import SubmitRequest
from graphdown.variables.catalogue import canonical_units

MEMBER = "member"


@dataclass(frozen=True)
class Prediction:
    """One file of a submission.

    Attributes:
        test: its predictors.
        training: of the run that makes it.
        request: to downscale the predictors.
    """

    test: BenchInput
    training: str
    request: DownscaleRequest

    def check(self, job: DownscaleJob) -> None:
        """Refuse a run, predictors or an output that do not fit.

        Raises:
            DataError: the predictors are not of every day of the period.
            GraphdownError: the run makes other targets, was trained on other years, makes no
                members, or another file is in place.
        """
        self.test.check_days(job.time.time)
        emulator, run = job.emulator, str(self.request.run)
        if set(emulator.targets) != set(TARGETS) or not emulator.makes_days:
            raise GraphdownError(
                f"{run!r} makes {', '.join(emulator.targets)}, but the benchmark asks for daily pr "
                "and tasmax; give the run of configs/cordex_bench_*.yaml."
            )
        if tuple(emulator.domain.target.dims) != self.test.domain.dims:
            raise GraphdownError(
                f"The target of {run!r} has the dimensions {', '.join(emulator.domain.target.dims)}"
                f", but that of {self.test.domain.name} has {', '.join(self.test.domain.dims)}; "
                "give the domain's run."
            )
        self._check_years(job)
        emulator.ensemble_noise(self.request.members, self.request.seed)

    def _check_years(self, job: DownscaleJob) -> None:
        passport = job.emulator.passport
        periods = passport["training"]["periods"] if passport is not None else {}
        first, last = TRAININGS[self.training]
        years = [int(str(date)[:4]) for period in periods.values() for date in period]
        if any(not first <= year <= last for year in years):
            raise GraphdownError(
                f"{str(self.request.run)!r} learned from {min(years)} to {max(years)}, but the "
                f"training {self.training} has the years {first} to {last}; train it on those."
            )

    def is_made(self, job: DownscaleJob, overwrite: bool) -> bool:
        """Whether the file is there already.

        Raises:
            GraphdownError: another one has its name.
        """
        path = self.request.output
        if overwrite or not path.exists():
            return False
        existing = fingerprint_in(path)
        differing = "something else" if existing is None else differences(existing, job.fingerprint)
        if differing:
            raise GraphdownError(
                f"{str(path)!r} exists and was made by {differing}; choose another folder or give "
                "--overwrite."
            )
        return True


def submit_ml_bench(request: SubmitRequest) -> str:
    """Make a submission's folder; files that are there are kept.

    Everything is checked before anything is made.

    Returns:
        A sentence on what is there now.

    Raises:
        DataError, GraphdownError: the benchmark's data, a run or a template cannot be used.
        Interrupted: a signal asked to stop; the same command makes the files that are left.
    """
    predictions = _predictions(request)
    emulators = {run: load(run) for run in {one.request.run for one in predictions}}
    left, days, room = [], 0, 0
    for one in predictions:
        with opened_job(one.request, emulators[one.request.run]) as job:
            one.check(job)
            BenchForm.of(request.templates, one.test.domain, job)
            if not one.is_made(job, request.overwrite):
                left.append(one)
                days += job.time.sizes["time"]
                room += job.time.sizes["time"] * job.day_bytes
    request.output.mkdir(parents=True, exist_ok=True)
    check_room(request.output, room)
    with Progress(days) as progress:
        for one in left:
            with opened_job(one.request, emulators[one.request.run]) as job:
                _write(job, one, BenchForm.of(request.templates, one.test.domain, job), progress)
    packed = f" and {_zipped(request.output, predictions)}" if request.zip else ""
    return f"{len(predictions)} files are in {request.output}{packed}, {len(left)} of them new"


def _predictions(request: SubmitRequest) -> list[Prediction]:
    """All files of a submission.

    Raises:
        DataError, GraphdownError: data or runs are absent.
    """
    runs = {(d.name, t): request.run(d.name, t) for d in DOMAINS for t in TRAININGS}
    absent = [str(run) for run in runs.values() if not run.is_dir()]
    if absent:
        raise GraphdownError(
            f"There are no runs {', '.join(absent)}; train them, or name others with --runs."
        )
    made = []
    for domain in DOMAINS:
        tests = bench_inputs(request.data, domain)
        for training in TRAININGS:
            for test in tests:
                downscale = DownscaleRequest(
                    runs[domain.name, training],
                    (str(test.path),),
                    test.output(request.output, training),
                    members=request.members,
                    seed=request.seed,
                    overwrite=request.overwrite,
                )
                made.append(Prediction(test, training, downscale))
    return made


@dataclass(frozen=True, eq=False)
class BenchForm:
    """Coordinates and attributes that the benchmark wants, as of its templates.

    Attributes:
        coords: horizontal coordinates; None for those of the emulator's target.
        attrs: of each target.
        linear: factor and offset of each target, to the template's units.
    """

    coords: xr.Dataset | None
    attrs: dict[str, dict[str, object]]
    linear: dict[str, tuple[float, float]]

    @classmethod
    def of(cls, templates: Path | None, domain: BenchDomain, job: DownscaleJob) -> "BenchForm":
        """The form of a domain's templates, or of the emulator's own target.

        Raises:
            DataError: a template is absent, or is of another grid than the emulator's target.
        """
        if templates is None:
            return cls(None, {}, {})
        target, found = job.emulator.domain.target, {}
        own = target.dataarray(np.zeros(target.size, np.float32), "pr")
        for name in TARGETS:
            path = templates / f"{name}_{domain.name}.nc"
            if not path.is_file():
                raise DataError(f"The template {str(path)!r} is absent; give the folder with it.")
            with xr.open_dataset(path) as template:
                found[name] = template.isel(time=0, drop=True, missing_dims="ignore").load()
            for dim in domain.dims:
                if not _alike(found[name], own, dim):
                    raise DataError(
                        f"The template {str(path)!r} has another axis {dim!r} than the target of "
                        f"{str(job.request.run)!r}; give the templates of its version."
                    )
        attrs = {name: dict(template[name].attrs) for name, template in found.items()}
        linear = {name: _to_units_of(name, attrs[name]) for name in TARGETS}
        return cls(found["pr"].drop_vars(TARGETS, errors="ignore"), attrs, linear)

    def part(self, days: xr.Dataset, attrs: dict[str, str]) -> xr.Dataset:
        """Some downscaled days in this form."""
        fields = days[list(TARGETS)]
        if REALIZATION in fields.dims:
            fields = fields.rename({REALIZATION: MEMBER})
        for name, (factor, offset) in self.linear.items():
            made = fields[name] * np.float32(factor) + np.float32(offset)
            fields[name] = made.assign_attrs(self.attrs[name])
        if self.coords is not None:
            kept = {dim: c for dim, c in fields.coords.items() if dim in ("time", MEMBER)}
            fields = fields.drop_vars([c for c in fields.coords if c not in kept])
            fields = fields.assign_coords(self.coords.coords).assign(self.coords.data_vars)
        return fields.assign_attrs(attrs)


def _to_units_of(name: str, attrs: dict[str, object]) -> tuple[float, float]:
    """Factor and offset to the units of a template, whose attributes may have others put right.

    Units that are none of a rate, such as mm of rain, leave the values as they are.
    """
    try:
        linear = conversion(name, str(attrs["units"]) if "units" in attrs else None, "the template")
    except DataError:
        attrs["units"] = canonical_units(name)
        return 1.0, 0.0
    return 1.0 / linear.factor, -linear.offset / linear.factor


def _alike(template: xr.Dataset, own: xr.DataArray, dim: str) -> bool:
    if template.sizes.get(dim) != own.sizes[dim]:
        return False
    if dim not in template.coords or dim not in own.coords:
        return True
    return bool(np.allclose(template[dim].values, own[dim].values, rtol=1e-4, atol=1e-4))


def _write(job: DownscaleJob, one: Prediction, form: BenchForm, progress: Progress) -> None:
    """Write one file of a submission."""
    attrs = {
        "project_id": "CORDEX",
        "activity_id": "ML-Benchmark",
        "product": "emulator-output",
        "training_experiment": one.training,
        "evaluation_experiment": f"{one.test.period}, {one.test.framework}",
        "stochastic_output": "yes" if one.request.members else "no",
        "source": f"graphdown {versions()['graphdown']}",
        "checkpoint_sha256": job.emulator.sha256,
        **as_attribute(job.fingerprint),
    }
    path = one.request.output
    path.parent.mkdir(parents=True, exist_ok=True)
    stream = job.stream(0)
    with counted_parts(stream.parts, progress) as parts:
        formed = (form.part(part, attrs) for part in parts)
        write_parts(formed, stream.time, path, one.request.command)


def _zipped(folder: Path, predictions: list[Prediction]) -> Path:
    """Pack a submission's folder, its files compressed already, into a .zip file beside it."""
    path = folder.with_name(f"{folder.name}.zip")
    with atomic_file(path) as new, zipfile.ZipFile(new, "w", zipfile.ZIP_STORED) as packed:
        for one in predictions:
            packed.write(one.request.output, one.request.output.relative_to(folder.parent))
    return path
