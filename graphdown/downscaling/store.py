"""A zarr output, written in as many starts and by as many processes as it takes."""

import logging
from collections.abc import Iterable, Iterator
from contextlib import closing, contextmanager

import xarray as xr

from graphdown.downscaling.fingerprint import differences
from graphdown.downscaling.job import DownscaleJob
from graphdown.emulator.inference import BATCH, Stream
from graphdown.errors import DataError, GraphdownError
from graphdown.output.disk_space import check_room
from graphdown.output.journal import Journal
from graphdown.output.part_folder import discard, part_of
from graphdown.output.resumable import UnfinishedStore, begin, begun
from graphdown.output.store_plan import Shard, Stretch
from graphdown.runtime.hashing import array_digest
from graphdown.runtime.progress import Progress
from graphdown.runtime.signals import deferred_stop
from graphdown.runtime.write_errors import explained_write_errors

logger = logging.getLogger(__name__)


def fill_store(job: DownscaleJob) -> str:
    """Make a zarr store, or a shard of one, from where an earlier start left it.

    Returns:
        A sentence on what is there now.

    Raises:
        DataError, GraphdownError: as for `graphdown.downscaling.downscale.downscale_files`.
        Interrupted: a signal asked to stop.
    """
    request, part = job.request, job.request.part
    job.check_applicability()
    shard = part or Shard()
    unfinished = _begun_or_new(job, shard.count)
    with _resumable_errors(unfinished), unfinished.lock_shard(shard) as journal:
        if not unfinished.verify(shard, journal):
            logger.warning(
                "%s: chunks are damaged or absent; they, and those that follow, are made again",
                unfinished.folder,
            )
        before = unfinished.plan.days_of(shard) - unfinished.plan.days_of(shard, journal.done)
        _make(job, unfinished, shard, journal)
        if part is None:
            unfinished.finish()
    if part is not None:
        return (
            f"Shard {shard.number} of {shard.count} is whole: {unfinished.plan.days_of(shard)} "
            "days; when all are, give the same command with --merge instead of --shard."
        )
    return f"Wrote {job.summary} to {request.output}" + (
        f"; {before} of the days were there from an earlier start" if before else ""
    )


def merge_shards(job: DownscaleJob) -> str:
    """Make one store of shards.

    Returns:
        A sentence on what is there now.

    Raises:
        GraphdownError: shards are absent, damaged, or do not fit each other.
    """
    output = job.request.output
    unfinished = _begun(job, None)
    if unfinished is None:
        raise GraphdownError(
            f"There are no shards of {str(output)!r}; make them first, as with --shard 1/8."
        )
    with _resumable_errors(unfinished), unfinished.lock_all_shards():
        unfinished.finish()
    return f"Wrote {job.summary} from {unfinished.plan.shards} shards to {output}"


def _begun_or_new(job: DownscaleJob, shards: int) -> UnfinishedStore:
    """Store to fill, begun now or by an earlier start."""
    output = job.request.output
    with explained_write_errors(output):
        found = _begun(job, shards) or begin(output, job.whole(), job.fingerprint, shards)
    found = found or _begun(job, shards)
    if found is None:
        raise GraphdownError(f"{str(output)!r} was finished meanwhile by another process.")
    return found


def _begun(job: DownscaleJob, shards: int | None) -> UnfinishedStore | None:
    """Store that an earlier start began, None if there is none.

    Args:
        job: the job.
        shards: number of parts of the work; None for any.

    Raises:
        GraphdownError: an earlier start began another output, or in other shards.
    """
    output = job.request.output
    found = begun(output)
    if found is None:
        return None
    differing = differences(found.plan.fingerprint, job.fingerprint)
    count = found.plan.shards
    if not differing and shards is not None and count != shards:
        differing = f"{count} shards" if count > 1 else "one process, without --shard"
    if not differing:
        return found.mended(job.whole)
    if not job.request.overwrite or shards != 1:
        raise GraphdownError(
            f"{str(part_of(output))!r} holds an output that was begun by {differing}; finish that "
            "one, choose another name or remove it."
        )
    with found.lock_all_shards():
        discard(output)
    return None


@contextmanager
def _resumable_errors(unfinished: UnfinishedStore) -> Iterator[None]:
    """Explain errors in writing, after which the store can be resumed."""
    kept = f"the days made so far are kept in {str(unfinished.folder)!r}, and the same command"
    with explained_write_errors(unfinished.path, f"{kept} resumes the work"):
        yield


def _make(job: DownscaleJob, unfinished: UnfinishedStore, shard: Shard, journal: Journal) -> None:
    """Make the days of a shard that are still to be made."""
    plan = unfinished.plan
    stretches = list(plan.stretches(shard, journal.done))
    left, total = plan.days_of(shard, journal.done), plan.days_of(shard)
    check_room(job.request.output, job.day_bytes * left)
    with Progress(total, total - left) as progress:
        for stretch in stretches:
            _make_stretch(job, unfinished, stretch, journal, progress)


def _make_stretch(
    job: DownscaleJob,
    unfinished: UnfinishedStore,
    stretch: Stretch,
    journal: Journal,
    progress: Progress,
) -> None:
    before, rows = journal.done, unfinished.rows(stretch)
    per_step = job.emulator.times_a_step
    times = _batches(stretch, unfinished.plan.days, BATCH * per_step)
    stream = job.stream(stretch.member, slice(times.start // per_step, times.stop // per_step))
    _check_source(journal, stretch, stream)
    with closing(stream.parts) as parts, deferred_stop() as stop:
        for part in _within(parts, times.start, stretch):
            stop.check()
            rows.append(part)
            progress.add(part.sizes["time"])
            unfinished.count(journal, stretch, before, rows)
        rows.finish()
        unfinished.count(journal, stretch, before, rows)


def _batches(stretch: Stretch, days: int, batch: int) -> slice:
    """Whole batches that hold a stretch: the bits of a day may depend on its batch."""
    return slice(stretch.first // batch * batch, min(-(-stretch.end // batch) * batch, days))


def _within(parts: Iterable[xr.Dataset], at: int, stretch: Stretch) -> Iterator[xr.Dataset]:
    """Days of a stretch from parts of which the first begins with the day `at`."""
    for part in parts:
        first, end = (max(day - at, 0) for day in (stretch.first, stretch.end))
        at += part.sizes["time"]
        days = part.isel(time=slice(first, end))
        if days.sizes["time"]:
            yield days


def _check_source(journal: Journal, stretch: Stretch, stream: Stream) -> None:
    """Refuse to resume if the days that are left have values at other points than those before."""
    used = array_digest([stream.source.mask])
    if journal.used.setdefault(str(stretch.member), used) != used:
        raise DataError(
            "The days that are left have values at other points than those before; fill or leave "
            "out the points that are missing on some days, and start again."
        )
