"""A zarr store that several starts, one after the other or side by side, fill with days.

Beside `fine.zarr`, the folder `fine.zarr.part` holds it until it is complete:

    plan.json      fingerprint and size of the store, number of shards; once more in plan-copy.json
    new.zarr       the store: all coordinates, and the fields as far as they are written
    1-of-4.lock    locked by the process that writes the shard
    1-of-4.json    the journal of the shard: rows of chunks that are on the disk, and checksums

A row is counted after its chunks are on the disk; one that was begun and not counted is written
again. The folder appears whole and is removed when the store has taken its place.
"""

import errno
import itertools
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, nullcontext
from dataclasses import dataclass, replace
from functools import cached_property
from math import ceil
from pathlib import Path
from typing import Any

import xarray as xr

from graphdown.cf.encoding import DRIVING_MEMBER
from graphdown.errors import GraphdownError
from graphdown.output.chunk_buffer import Rows, new_zarr, opened_zarr
from graphdown.output.journal import Journal, files_checksum
from graphdown.output.part_folder import (
    STORE,
    clear_away,
    discard,
    is_finished,
    part_of,
    temporary_folder,
)
from graphdown.output.store_plan import COPY, PLAN, Shard, StorePlan, Stretch
from graphdown.runtime.atomic import move_into_place, sync, sync_below
from graphdown.runtime.locks import locked

BEING_WRITTEN = "*.partial"  # zarr's name of a chunk until it is written


@dataclass(frozen=True)
class UnfinishedStore:
    """The folder of a store that is being made.

    Attributes:
        path: the final name of the store.
        plan: its size and shards.
    """

    path: Path
    plan: StorePlan

    @property
    def folder(self) -> Path:
        """The folder."""
        return part_of(self.path)

    @property
    def store(self) -> Path:
        """The store in it."""
        return self.folder / STORE

    @property
    def shards(self) -> list[Shard]:
        """All shards."""
        return [Shard(k + 1, self.plan.shards) for k in range(self.plan.shards)]

    @cached_property
    def arrays(self) -> dict[Any, Any]:
        """The arrays of the fields by name."""
        arrays, _ = opened_zarr(self.store)
        return {name: arrays[name] for name in self.plan.fields}

    @contextmanager
    def lock_shard(self, shard: Shard) -> Iterator[Journal]:
        """Keep other processes from writing a shard meanwhile; give its journal.

        Raises:
            GraphdownError: another process writes it.
        """
        what = f"the unfinished output {str(self.folder)!r}"
        what += f" (shard {shard})" if shard.count > 1 else ""
        with locked(self.folder / f"{shard}.lock", what):
            yield self.journal(shard)

    @contextmanager
    def lock_all_shards(self) -> Iterator[None]:
        """Keep other processes from writing any shard meanwhile.

        Raises:
            GraphdownError: another process writes one.
        """
        with ExitStack() as locks:
            for shard in self.shards:
                locks.enter_context(self.lock_shard(shard))
            yield

    def journal(self, shard: Shard) -> Journal:
        """Journal of a shard."""
        return Journal.read(self.folder / f"{shard}.json")

    @property
    def damaged(self) -> list[str]:
        """Files beside the fields' values that are not as they were written."""
        outline = self.plan.outline.items()
        return [name for name, sum_ in outline if files_checksum([self.store / name]) != sum_]

    def mended(self, whole: Callable[[], xr.Dataset]) -> "UnfinishedStore":
        """This store with damaged files of the outline and damaged plans written anew.

        Args:
            whole: returns the dataset to be, as for `begin`.
        """
        damaged = self.damaged
        if not damaged and all(StorePlan.read(self.folder / name) for name in (PLAN, COPY)):
            return self
        with locked(self.folder / "outline.lock", f"the unfinished output {str(self.folder)!r}"):
            new = Path(tempfile.mkdtemp(prefix="outline.", dir=self.folder))
            try:
                new_zarr(new / STORE, whole())
                sums = {name: files_checksum([new / STORE / name]) for name in damaged}
                sync_below(new)
                for name in damaged:
                    (self.store / name).parent.mkdir(parents=True, exist_ok=True)
                    (new / STORE / name).replace(self.store / name)
                sync({(self.store / name).parent for name in damaged})
            finally:
                shutil.rmtree(new, ignore_errors=True)
            plan = replace(self.plan, outline={**self.plan.outline, **sums})
            plan.write(self.folder)
        return UnfinishedStore(self.path, plan)

    def rows(self, stretch: Stretch) -> Rows:
        """Buffer that writes the days of a stretch."""
        at = () if self.plan.members is None else (stretch.member,)
        chunks = {name: array.chunks[len(at) :] for name, array in self.arrays.items()}
        return Rows(self.arrays, nullcontext(), chunks, stretch.first, at)

    def count(self, journal: Journal, stretch: Stretch, before: int, rows: Rows) -> None:
        """Count the rows of a stretch that were written, once they are on the disk.

        Args:
            journal: of the shard.
            stretch: that is being written.
            before: rows of the shard that were done before the stretch.
            rows: the buffer that wrote them.
        """
        end = min(rows.written.values())
        written = (end - stretch.first) // self.plan.length
        written += end == stretch.end and end % self.plan.length > 0
        if before + written <= journal.done:
            return
        start = stretch.member * self.plan.rows + stretch.first // self.plan.length
        sums = journal.sums[: journal.done]
        for row in range(start + journal.done - before, start + written):
            chunks = self._chunks(row)
            sync(chunks)
            sums.append(files_checksum(chunks))
        journal.sums = sums
        sync(self.store / name for name in self.plan.fields)
        journal.done = before + written
        journal.write()

    def verify(self, shard: Shard, journal: Journal) -> bool:
        """Compare the rows that are counted with their checksums; count up to the first other one.

        Returns:
            Whether all of them are as they were written.
        """
        for number, row in enumerate(self.plan.rows_of(shard)[: journal.done]):
            if files_checksum(self._chunks(row)) != journal.sums[number]:
                journal.done = number
                journal.write()
                return False
        return True

    def finish(self) -> None:
        """Give the store its name, if it is whole; all of its shards must be locked.

        Raises:
            GraphdownError: shards or chunks are absent, or shards do not fit each other.
        """
        journals = {shard: self.journal(shard) for shard in self.shards}
        self._check_complete(journals)
        self._check_sources(list(journals.values()))
        self._check_files(journals)
        for abandoned in self.store.rglob(BEING_WRITTEN):
            abandoned.unlink()
        move_into_place(self.store, self.path, self.folder / "old")
        clear_away(self.path)

    def _check_complete(self, journals: Mapping[Shard, Journal]) -> None:
        short = [s.number for s, j in journals.items() if j.done < len(self.plan.rows_of(s))]
        if short:
            raise GraphdownError(
                f"{str(self.path)!r} lacks {_listed(short)} of {len(journals)} shards; make them "
                "with --shard, then give --merge again."
            )

    def _check_sources(self, journals: Sequence[Journal]) -> None:
        for member in {member for journal in journals for member in journal.used}:
            if len({j.used[member] for j in journals if member in j.used}) > 1:
                raise GraphdownError(
                    f"The shards of {str(self.path)!r} used other source points, since the inputs "
                    "have values at a point on some days only; fill or leave out those points, "
                    f"remove {str(self.folder)!r} and start again."
                )

    def _check_files(self, journals: Mapping[Shard, Journal]) -> None:
        for shard, journal in journals.items():
            if not self.verify(shard, journal):
                raise GraphdownError(
                    f"{str(self.store)!r} lacks chunks that were written, or they are damaged; "
                    "the same command as before writes them again."
                )
        damaged = self.damaged
        if damaged:
            raise GraphdownError(
                f"{str(self.store)!r} was damaged meanwhile in {damaged[0]!r}; the same command "
                "as before mends it."
            )

    def _chunks(self, row: int) -> list[Path]:
        """Files of a row of chunks, field by field."""
        member, number = divmod(row, self.plan.rows)
        fixed = [number] if self.plan.members is None else [member, number]
        out = []
        for name, array in self.arrays.items():
            counts = [ceil(n / c) for n, c in zip(array.shape, array.chunks, strict=True)]
            places = itertools.product(*map(range, counts[len(fixed) :]))
            keys = (array.metadata.encode_chunk_key((*fixed, *place)) for place in places)
            out += [self.store / name / key for key in keys]
        return out


def begun(path: Path) -> UnfinishedStore | None:
    """Store that an earlier start began, None if there is none that can be resumed.

    Args:
        path: the final name of the store.
    """
    plan = StorePlan.read(part_of(path) / PLAN) or StorePlan.read(part_of(path) / COPY)
    if plan is None or not (part_of(path) / STORE).is_dir():
        return None
    return UnfinishedStore(path, plan)


def begin(
    path: Path, whole: xr.Dataset, fingerprint: dict[str, str], shards: int
) -> UnfinishedStore | None:
    """Make the folder of a new store; None if another process made one at the same time.

    Args:
        path: the final name of the store.
        whole: the dataset to be, see `graphdown.output.chunk_buffer.outline`.
        fingerprint: of the output.
        shards: number of parts of the work.

    Raises:
        GraphdownError: something else bears the folder's name.
        OSError: it cannot be written.
    """
    if is_finished(path):
        discard(path)
    new = temporary_folder(path)
    try:
        plan = _new_store(new / STORE, whole, fingerprint, shards)
        plan.write(new)
        sync_below(new)
        new.rename(part_of(path))
    except OSError as error:
        if error.errno not in (errno.ENOTEMPTY, errno.EEXIST, errno.ENOTDIR):
            raise
        if part_of(path).exists() and begun(path) is None:
            raise GraphdownError(
                f"{str(part_of(path))!r} is in the way and cannot be resumed; remove it."
            ) from None
        return None
    finally:
        shutil.rmtree(new, ignore_errors=True)
    sync([path.parent])
    return UnfinishedStore(path, plan)


def _new_store(
    store: Path, whole: xr.Dataset, fingerprint: dict[str, str], shards: int
) -> StorePlan:
    """Write a store without a value of the fields, and return its plan."""
    chunks = new_zarr(store, whole)
    (length,) = {sizes[0] for sizes in chunks.values()}
    members = whole.sizes.get(DRIVING_MEMBER)
    fields = [str(name) for name in chunks]
    files = [path for path in sorted(store.rglob("*")) if path.is_file()]
    outline = {path.relative_to(store).as_posix(): files_checksum([path]) for path in files}
    return StorePlan(fingerprint, shards, fields, whole.sizes["time"], length, members, outline)


def _listed(numbers: Sequence[int]) -> str:
    shown = ", ".join(map(str, numbers[:10]))
    return f"{len(numbers)} ({shown}{', ...' * (len(numbers) > 10)})"
