"""Files downscaled to a netCDF file or a zarr store."""

from pathlib import Path

from graphdown.downscaling.cordex_files import write_cordex_files
from graphdown.downscaling.fingerprint import (
    Fingerprint,
    as_attribute,
    differences,
    fingerprint_in,
)
from graphdown.downscaling.job import DownscaleJob, counted_parts, opened_job
from graphdown.downscaling.request import DownscaleRequest
from graphdown.downscaling.store import fill_store, merge_shards
from graphdown.errors import GraphdownError
from graphdown.output.disk_space import check_room
from graphdown.output.part_folder import clear_away
from graphdown.output.writer import (
    check_output,
    workplace,
    write_parts_in,
)
from graphdown.runtime.progress import Progress


def downscale_files(request: DownscaleRequest) -> str:
    """Make the output of a request, or resume it; return a sentence on what is there now.

    Raises:
        DataError, GraphdownError: an input, option or output cannot be used, the disk has no room,
            or another process makes the same output.
        Interrupted: a signal asked to stop; a zarr output can be resumed.
    """
    request.check()
    if request.drs:
        return write_cordex_files(request)
    existing = fingerprint_in(request.output)
    check_output(request.output, request.overwrite or existing is not None)
    if request.output.suffix == ".nc":
        with workplace(request.output) as place, opened_job(request) as job:
            return _finished(job, existing) or _write_file(job, place)
    with opened_job(request) as job:
        make = merge_shards if request.merge else fill_store
        return _finished(job, existing) or make(job)


def _finished(job: DownscaleJob, existing: Fingerprint | None) -> str | None:
    """Sentence on an output that is whole already, None if it is to be made.

    Args:
        job: the job.
        existing: fingerprint of the output that is there, if any.

    Raises:
        GraphdownError: there is another output of that name.
    """
    output = job.request.output
    if existing is None or job.request.overwrite:
        return None
    differing = differences(existing, job.fingerprint)
    if differing:
        raise GraphdownError(
            f"{str(output)!r} exists and was made by {differing}; choose another name or give "
            "--overwrite."
        )
    clear_away(output)
    return f"{output} is whole already: {job.summary}"


def _write_file(job: DownscaleJob, place: Path) -> str:
    """Write a netCDF file in one go, in the workplace of the output."""
    output = job.request.output
    if len(job.driving.members) > 1:
        raise GraphdownError(
            "Several members of the driving model go to one zarr store; name an output that ends "
            "in .zarr, or give each member an output of its own."
        )
    job.check_applicability()
    days = job.time.sizes["time"]
    check_room(output, job.day_bytes * days)
    with Progress(days) as progress:
        stream = job.stream(0)
        with counted_parts(stream.parts, progress) as parts:
            attrs = as_attribute(job.fingerprint)
            whole = (part.assign_attrs(attrs) for part in parts)
            write_parts_in(place, whole, stream.time, output, job.request.command)
    return f"Wrote {job.summary} to {output}"
