"""Files downscaled to a file or store: long, in parts, and as often started as it takes."""

import logging
import shutil
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path

import xarray as xr

from graphdown.downscaling.fingerprint import (
    array_digest,
    as_attribute,
    differences,
    fingerprint_in,
)
from graphdown.downscaling.request import DownscaleJob, DownscaleRequest
from graphdown.emulator.inference import BATCH, Stream
from graphdown.errors import DataError, GraphdownError
from graphdown.output.resumable import (
    Journal,
    Shard,
    Stretch,
    Unfinished,
    begin,
    begun,
    clear_away,
    discard,
    part_of,
)
from graphdown.output.writer import check_output, failure_told, write_parts
from graphdown.runtime.progress import Progress
from graphdown.runtime.signals import deferred_stop

logger = logging.getLogger(__name__)

COMPRESSED = 0.9  # bytes in a file for each byte of float32 fields, at most


def downscale_files(order: DownscaleRequest) -> str:
    """Do what is ordered, or go on with it; return a sentence on what is there now.

    Raises:
        DataError, GraphdownError: an input, option or output cannot be used, the disk has no room,
            or another process makes the same output.
        Interrupted: a signal asked to stop; a zarr output can be gone on with.
    """
    _check(order)
    work = DownscaleJob.of(order)
    made = fingerprint_in(order.output)
    if made is not None and not order.overwrite:
        other = differences(made, work.settings)
        if not other:
            clear_away(order.output)
            return f"{order.output} is whole already: {work.words}"
        raise GraphdownError(
            f"{str(order.output)!r} exists and was made by {other}; choose another name or give "
            "--overwrite."
        )
    check_output(order.output, order.overwrite)
    if order.output.suffix == ".nc":
        return _whole_file(work)
    return _merged(work) if order.merge else _resumable(work)


def _check(order: DownscaleRequest) -> None:
    """Refuse what needs no file to be seen wrong."""
    if not order.inputs:
        raise GraphdownError("No input is given; name the files after the run's folder.")
    if order.statics and not order.target:
        raise GraphdownError("--statics belongs to another target; name that with --target.")
    known = fingerprint_in(order.output) is not None
    check_output(order.output, order.overwrite or known)
    if order.output.suffix == ".nc" and (order.shard is not None or order.merge):
        raise GraphdownError("Shards are made of zarr outputs only; name one that ends in .zarr.")
    if order.shard is not None and order.merge:
        raise GraphdownError("Give --merge when all shards are made, without --shard.")


def _whole_file(work: DownscaleJob) -> str:
    """Write a netCDF file in one go."""
    order = work.order
    if len(work.driving) > 1:
        raise GraphdownError(
            "Several members of the driving model go to one zarr store; name an output that ends "
            "in .zarr, or give each member an output of its own."
        )
    days = work.time.sizes["time"]
    _check_room(order.output, work.day_bytes * days)
    with work.opened(0) as ds, Progress(days) as progress:
        stream = work.stream(ds)
        with closing(stream.parts) as parts, deferred_stop() as stop:

            def watched() -> Iterator[xr.Dataset]:
                for part in parts:
                    stop.heed()
                    progress.add(part.sizes["time"])
                    yield part.assign_attrs(as_attribute(work.settings))

            write_parts(watched(), stream.time, order.output, order.command)
    return f"Wrote {work.words} to {order.output}"


def _resumable(work: DownscaleJob) -> str:
    """Make a zarr store, or a shard of one, from where it was left."""
    order, shard = work.order, work.order.shard or Shard()
    with failure_told(order.output):
        unfinished = _found(work, shard.count) or begin(
            order.output, work.whole(), work.settings, shard.count
        )
    unfinished = unfinished or _found(work, shard.count)
    if unfinished is None:
        raise GraphdownError(f"{str(order.output)!r} was finished meanwhile by another process.")
    with _kept_told(unfinished), unfinished.held(shard) as journal:
        if not unfinished.proven(shard, journal):
            logger.warning(
                "%s: chunks are damaged or gone; they, and what follows them, are made again",
                unfinished.folder,
            )
        before = journal.done
        _make(work, unfinished, shard, journal)
        if order.shard is None:
            unfinished.finish()
    if order.shard is not None:
        rows = unfinished.plan.stretches(shard)
        days = sum(stretch.days for stretch in rows)
        return (
            f"Shard {shard.number} of {shard.count} is whole: {days} days; when all are, give the "
            "same command with --merge instead of --shard."
        )
    resumed = sum(s.days for s in unfinished.plan.stretches(shard))
    resumed -= sum(s.days for s in unfinished.plan.stretches(shard, before))
    return f"Wrote {work.words} to {order.output}" + (
        f"; {resumed} of the days were there from an earlier start" if resumed else ""
    )


def _found(work: DownscaleJob, shards: int | None) -> Unfinished | None:
    """Return what was begun of the same output, None if there is nothing.

    Raises:
        GraphdownError: what was begun is another output, or in other shards.
    """
    order = work.order
    found = begun(order.output)
    if found is None:
        return None
    other = differences(found.plan.settings, work.settings)
    plan_shards = found.plan.shards
    if not other and shards is not None and plan_shards != shards:
        other = f"{plan_shards} shards" if plan_shards > 1 else "one process, without --shard"
    if not other:
        return found.mended(work.whole)
    if not order.overwrite or shards != 1:
        raise GraphdownError(
            f"{str(part_of(order.output))!r} holds what was begun by {other}; go on with that, "
            "choose another name or remove it."
        )
    with ExitStack() as held:
        for number in range(plan_shards):
            held.enter_context(found.held(Shard(number + 1, plan_shards)))
        discard(found.folder)
    return None


@contextmanager
def _kept_told(unfinished: Unfinished) -> Iterator[None]:
    """Say of a write that fails that what is there can be gone on with."""
    kept = (
        f"what is made so far is kept in {str(unfinished.folder)!r}, and the same command goes on"
    )
    with failure_told(unfinished.path, kept):
        yield


def _make(work: DownscaleJob, unfinished: Unfinished, shard: Shard, journal: Journal) -> None:
    """Make the days of a shard that are still to be made."""
    plan = unfinished.plan
    left = list(plan.stretches(shard, journal.done))
    every = sum(stretch.days for stretch in plan.stretches(shard))
    to_make = sum(stretch.days for stretch in left)
    _check_room(work.order.output, work.day_bytes * to_make)
    with Progress(every, every - to_make) as progress:
        for stretch in left:
            before = journal.done
            with work.opened(stretch.member) as ds:
                each = work.emulator.times_a_step
                times = _batches(stretch, plan.days, BATCH * each)
                stream = work.stream(ds, slice(times.start // each, times.stop // each))
                _check_source(journal, stretch, stream)
                with closing(stream.parts) as parts, deferred_stop() as stop:
                    rows = unfinished.rows(stretch)
                    for part in _within(parts, times.start, stretch):
                        stop.heed()
                        rows.append(part)
                        progress.add(part.sizes["time"])
                        unfinished.count(journal, stretch, before, rows)
                    rows.finish()
                    unfinished.count(journal, stretch, before, rows)


def _batches(stretch: Stretch, days: int, batch: int) -> slice:
    """Return the whole batches that hold a stretch: a day's bits may hang on its batch."""
    return slice(stretch.first // batch * batch, min(-(-stretch.end // batch) * batch, days))


def _within(parts: Iterable[xr.Dataset], at: int, stretch: Stretch) -> Iterator[xr.Dataset]:
    """Yield the days of a stretch from parts that begin with the day `at`."""
    for part in parts:
        first, end = (max(day - at, 0) for day in (stretch.first, stretch.end))
        at += part.sizes["time"]
        own = part.isel(time=slice(first, end))
        if own.sizes["time"]:
            yield own


def _check_source(journal: Journal, stretch: Stretch, stream: Stream) -> None:
    """Refuse to go on if the days that are left have values at other points than those before."""
    used = array_digest([stream.source.mask])
    if journal.used.setdefault(str(stretch.member), used) != used:
        raise DataError(
            "The days that are left have values at other points than those before; fill or leave "
            "out the points that are missing on some days, and start anew."
        )


def _merged(work: DownscaleJob) -> str:
    """Make one store of shards."""
    output = work.order.output
    unfinished = _found(work, None)
    if unfinished is None:
        raise GraphdownError(
            f"There are no shards of {str(output)!r}; make them first, as with --shard 1/8."
        )
    count = unfinished.plan.shards
    with ExitStack() as held, _kept_told(unfinished):
        for number in range(count):
            held.enter_context(unfinished.held(Shard(number + 1, count)))
        unfinished.finish()
    return f"Wrote {work.words} from {count} shards to {output}"


def _check_room(path: Path, fields: int) -> None:
    """Refuse fields of so many bytes that the disk has no room for."""
    needed, free = COMPRESSED * fields, shutil.disk_usage(path.parent).free
    if needed > free:
        raise GraphdownError(
            f"{str(path)!r} needs about {_size(needed)}, but its disk has {_size(free)} free; make "
            "room or choose another disk."
        )


def _size(size: float) -> str:
    return f"{size / 2**30:.3g} GiB" if size >= 2**30 else f"{size / 2**20:.3g} MiB"
