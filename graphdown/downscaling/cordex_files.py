"""Downscaled days as files of the CORDEX-CMIP6 archive, one for each variable and some years."""

import datetime
from collections.abc import Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import xarray as xr

from graphdown.cf.cordex import CordexAttributes
from graphdown.cf.cordex_form import cordex_field, cordex_time
from graphdown.cf.provenance import driving_attrs
from graphdown.config.parse import parse_as
from graphdown.config.yaml_files import read_yaml
from graphdown.downscaling.fingerprint import as_attribute, differences, fingerprint_in
from graphdown.downscaling.job import DownscaleJob, opened_job
from graphdown.downscaling.request import DownscaleRequest
from graphdown.emulator.emulator import REALIZATION
from graphdown.errors import GraphdownError
from graphdown.output.chunk_buffer import Growing, outline
from graphdown.output.disk_space import check_room
from graphdown.output.writer import prepared, workplace
from graphdown.runtime.atomic import move_into_place, sync
from graphdown.runtime.progress import Progress
from graphdown.runtime.signals import deferred_stop
from graphdown.runtime.write_errors import explained_write_errors

KEPT = ("title", "history", "checkpoint_sha256", "training_sources", "training_period")


@dataclass(frozen=True)
class CordexFile:
    """One file of the archive.

    Attributes:
        path: its place.
        variable: its field.
        realisation: number of its member, from 0.
        attributes: of the product.
    """

    path: Path
    variable: str
    realisation: int
    attributes: CordexAttributes

    def part(self, days: xr.Dataset, fingerprint: dict[str, str]) -> xr.Dataset:
        """The file's field of some downscaled days."""
        stochastic = REALIZATION in days.dims
        chosen = days.isel({REALIZATION: self.realisation}, drop=True) if stochastic else days
        attrs = {k: v for k, v in days.attrs.items() if k in KEPT}
        attrs |= self.attributes.global_attrs(self.variable, self.realisation, stochastic)
        return cordex_field(chosen, self.variable, attrs | fingerprint)


def write_cordex_files(request: DownscaleRequest) -> str:
    """Make the files of a request with `--drs cordex`; those that are there are kept.

    Returns:
        A sentence on what is there now.

    Raises:
        DataError, GraphdownError: as for `graphdown.downscaling.downscale.downscale_files`; or an
            attribute that the archive demands is missing.
        Interrupted: a signal asked to stop; the same command makes the files that are left.
    """
    raw = {} if request.drs_attributes is None else read_yaml(request.drs_attributes)
    stated = parse_as(CordexAttributes, raw, str(request.drs_attributes))
    with opened_job(request) as job:
        if not job.emulator.makes_days:
            raise GraphdownError(
                "--drs cordex is for daily values, and this emulator makes others."
            )
        members = range(len(job.driving.members))
        made = [_completed(job, stated, number) for number in members]
        periods = file_periods(job.time.time, request.years_per_file)
        files = [[_files(job, attributes, days) for days in periods] for attributes in made]
        left = [[_left(job, some) for some in of_member] for of_member in files]
        total = sum(some.stop - some.start for some in periods) * len(members)
        job.check_applicability()
        request.output.mkdir(parents=True, exist_ok=True)
        check_room(request.output, job.day_bytes * total)
        with Progress(total) as progress:
            for number in members:
                for days, some in zip(periods, left[number], strict=True):
                    _write_period(job, number, days, some, progress)
    count = sum(len(some) for of_member in files for some in of_member)
    return f"Wrote {job.summary} to {count} files below {request.output / 'CORDEX-CMIP6'}"


def file_periods(time: xr.DataArray, years: int) -> list[slice]:
    """Days of each file: whole years, or five years that end with 0 or 5.

    Args:
        time: of all days, in order.
        years: 1 or 5.
    """
    block = (time.dt.year.values - 1) // years
    starts = np.flatnonzero(np.diff(block, prepend=block[0] - 1))
    return [slice(int(a), int(b)) for a, b in zip(starts, [*starts[1:], len(block)], strict=True)]


def _completed(job: DownscaleJob, stated: CordexAttributes, number: int) -> CordexAttributes:
    """Attributes of a driving member's product, with what input and emulator know."""
    driving = driving_attrs(job.driving.dataset(number).attrs)
    era = driving.get("driving_mip_era", "CMIP6")
    if era != "CMIP6":
        raise GraphdownError(
            f"The archive of CORDEX-CMIP6 takes data driven by CMIP6, but the input is of {era}; "
            "leave --drs out."
        )
    label = job.driving.members[number].label
    if label:
        driving["driving_variant_label"] = label
    emulator, target = job.emulator, job.emulator.domain.target
    passport = emulator.passport or {}
    owner, training = passport.get("owner", {}), passport.get("training", {})
    learned = ", ".join(training.get("sources", ())) or "sources that are not recorded"
    period = " to ".join(training.get("periods", {}).get("train", ()))
    known = {
        "contact": owner.get("contact", ""),
        "references": owner.get("citation", ""),
        "training": f"Trained on {learned}{f', {period}' if period else ''}, from "
        f"{', '.join(emulator.predictors)}",
        "grid": f"{target.kind} grid of {' x '.join(map(str, target.shape))} points, "
        f"about {target.spacing_km:.0f} km apart",
    }
    return stated.completed({**known, **driving})


def _files(job: DownscaleJob, attributes: CordexAttributes, days: slice) -> list[CordexFile]:
    """Files of some days."""
    time = job.time.time[days]
    first, last = (str(text) for text in time[[0, -1]].dt.strftime("%Y%m%d").values)
    made = []
    for variable in job.emulator.targets:
        for number in range(max(job.request.members, 1)):
            folder = job.request.output / attributes.folder(variable, number)
            name = attributes.file_name(variable, number, first, last)
            place = folder / _version(folder, attributes.version) / name
            made.append(CordexFile(place, variable, number, attributes))
    return made


def _version(folder: Path, stated: str) -> str:
    """Name of a version's folder: as stated, else that of an earlier start, else today's."""
    earlier = sorted(path.name for path in folder.glob("v????????"))
    today = datetime.datetime.now(datetime.UTC).strftime("v%Y%m%d")
    return stated or (earlier[-1] if earlier else today)


def _left(job: DownscaleJob, files: Sequence[CordexFile]) -> list[CordexFile]:
    """Those of some files that are still to be made.

    Raises:
        GraphdownError: another one has the name of one.
    """
    left = []
    for file in files:
        existing = fingerprint_in(file.path) if file.path.exists() else None
        differing = "something else" if existing is None else differences(existing, job.fingerprint)
        if job.request.overwrite or not file.path.exists():
            left.append(file)
        elif differing:
            raise GraphdownError(
                f"{str(file.path)!r} exists and was made by {differing}; state another 'version' "
                "in the file of --drs-attributes or give --overwrite."
            )
    return left


def _write_period(
    job: DownscaleJob, number: int, days: slice, files: Sequence[CordexFile], progress: Progress
) -> None:
    """Write files of some days of a driving member; they appear whole, when all are made."""
    if not files:
        progress.add(days.stop - days.start)
        return
    stream = job.stream(number, days)
    with ExitStack() as stack:
        stop = stack.enter_context(deferred_stop())
        stack.enter_context(closing(stream.parts))
        for file in files:
            file.path.parent.mkdir(parents=True, exist_ok=True)
        places = [stack.enter_context(workplace(file.path)) for file in files]
        growing: list[Growing] = []
        try:
            for part in stream.parts:
                _append(job, part, files, places, growing, stream.time)
                progress.add(part.sizes["time"])
                stop.check()
            for file, place, grown in zip(files, places, growing, strict=True):
                with explained_write_errors(file.path):
                    grown.finish()
                    sync([place / "new.nc"])
                    move_into_place(place / "new.nc", file.path, place / "old")
        except BaseException:
            for grown in growing:
                grown.abandon()
            raise


def _append(
    job: DownscaleJob,
    part: xr.Dataset,
    files: Sequence[CordexFile],
    places: Sequence[Path],
    growing: list[Growing],
    time: xr.Dataset,
) -> None:
    """Append some days to the files, which are created with the first of them."""
    fingerprint = as_attribute(job.fingerprint)
    for index, file in enumerate(files):
        piece = file.part(part, fingerprint)
        with explained_write_errors(file.path):
            if index == len(growing):
                whole = prepared(outline(piece, cordex_time(time.time)), job.request.command)
                growing.append(Growing(places[index] / "new.nc", whole, classic=True))
            growing[index].append(piece)
