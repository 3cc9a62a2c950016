"""A zarr store that several starts, one after the other or side by side, fill with days.

Beside `fine.zarr`, the folder `fine.zarr.part` holds it while it is made:

    plan.json      what it is made by, and in how many shards; once more in plan-again.json
    new.zarr       the store: all coordinates, and fields as far as they are made
    1-of-4.lock    held by the process that makes the shard
    1-of-4.json    how many rows of chunks of the shard are on the disk, and their check sums

The work is cut into rows of chunks: all the chunks of a stretch of days of one member of the
driving model. Shards are rows that follow each other, so no two processes write one chunk. A row is
counted after its chunks are on the disk; one that was begun and not counted is made again. The
folder appears whole and goes when the store has taken its place.
"""

import errno
import glob
import itertools
import json
import re
import shutil
import tempfile
import zlib
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import asdict, dataclass, field, replace
from functools import cached_property
from math import ceil
from pathlib import Path
from typing import Any

import xarray as xr

from graphdown.cf.encoding import DRIVING_MEMBER
from graphdown.errors import GraphdownError
from graphdown.output.chunk_buffer import Rows, new_zarr, opened_zarr
from graphdown.runtime.atomic import sync, sync_below, take_place, write_durably
from graphdown.runtime.locks import locked

PLAN, AGAIN, STORE = "plan.json", "plan-again.json", "new.zarr"
BEING_WRITTEN = "*.partial"  # what zarr calls a chunk until it is written


@dataclass(frozen=True)
class Shard:
    """A part of the work: number `number` of `count`, from 1."""

    number: int = 1
    count: int = 1

    def __str__(self) -> str:
        return f"{self.number}-of-{self.count}"

    @classmethod
    def read(cls, text: str) -> "Shard":
        """Return the shard that a text such as "3/8" names.

        Raises:
            GraphdownError: it names none.
        """
        matched = re.fullmatch(r"(\d+)/(\d+)", text)
        if matched is None or not 1 <= int(matched[1]) <= int(matched[2]):
            raise GraphdownError(
                f"--shard: {text!r} is no shard; give I/N with I from 1 to N, as in 3/8."
            )
        return cls(int(matched[1]), int(matched[2]))


@dataclass(frozen=True)
class Plan:
    """What a store is to be.

    Attributes:
        settings: what it is made by, see `graphdown.downscaling.fingerprint`.
        shards: number of parts of the work.
        fields: names of the fields.
        days: of each member.
        length: days in a chunk.
        members: of the driving model; None if there is no dimension of them.
        outline: CRC-32 of each file of the store without a value of the fields.
    """

    settings: dict[str, str]
    shards: int
    fields: list[str]
    days: int
    length: int
    members: int | None
    outline: dict[str, int] = field(default_factory=dict)

    @classmethod
    def read(cls, file: Path) -> "Plan | None":
        """Return the plan that a file holds whole, None if there is none."""
        try:
            kept = json.loads(file.read_text(encoding="utf-8"))
            plan = cls(**kept["plan"])
            return plan if kept["sum"] == plan._sum() else None
        except (OSError, ValueError, TypeError, KeyError):
            return None

    def keep(self, folder: Path) -> None:
        """Write it to a folder, twice, since without it all that was made is lost."""
        text = json.dumps({"plan": asdict(self), "sum": self._sum()}, indent=1)
        for name in (PLAN, AGAIN):
            write_durably(folder / name, text)

    def _sum(self) -> int:
        return zlib.crc32(json.dumps(asdict(self)).encode())

    @property
    def rows(self) -> int:
        """Rows of chunks of each member."""
        return ceil(self.days / self.length)

    def rows_of(self, shard: Shard) -> range:
        """Return the rows of chunks of a shard, counted member by member."""
        every = self.rows * (self.members or 1)
        first, end = (k * every // shard.count for k in (shard.number - 1, shard.number))
        return range(first, end)

    def stretches(self, shard: Shard, done: int = 0) -> Iterator["Stretch"]:
        """Yield the days of a shard after the rows that are done, a stretch for each member."""
        left = self.rows_of(shard)[done:]
        for member in range(self.members or 1):
            start = member * self.rows
            first, end = max(left.start, start), min(left.stop, start + self.rows)
            if first < end:
                days = [(row - start) * self.length for row in (first, end)]
                yield Stretch(member, days[0], min(days[1], self.days))


@dataclass(frozen=True)
class Stretch:
    """Days of one member of the driving model that follow each other.

    Attributes:
        member: number of the member.
        first, end: the days, whole chunks of them or up to the last day.
    """

    member: int
    first: int
    end: int

    @property
    def days(self) -> int:
        """How many they are."""
        return self.end - self.first


@dataclass
class Journal:
    """How far a shard is.

    Attributes:
        file: where that is kept.
        done: rows of chunks that are on the disk.
        used: hash of the source points in use, by the number of the member.
        sums: CRC-32 of the files of each of those rows.
    """

    file: Path
    done: int = 0
    used: dict[str, str] = field(default_factory=dict)
    sums: list[int] = field(default_factory=list)

    @classmethod
    def read(cls, file: Path) -> "Journal":
        """Return what a file keeps; without one, or with a damaged one, nothing is done."""
        try:
            kept = json.loads(file.read_text(encoding="utf-8"))
            sums = [int(number) for number in kept["sums"]]
            return cls(file, min(max(0, int(kept["done"])), len(sums)), dict(kept["used"]), sums)
        except (OSError, ValueError, KeyError, TypeError):
            return cls(file)

    def keep(self) -> None:
        """Write it to its file."""
        self.sums = self.sums[: self.done]
        kept = {"done": self.done, "used": self.used, "sums": self.sums}
        write_durably(self.file, json.dumps(kept))


@dataclass(frozen=True)
class Unfinished:
    """The folder of a store that is being made.

    Attributes:
        path: the name that the store is to bear.
        plan: what it is to be.
    """

    path: Path
    plan: Plan

    @property
    def folder(self) -> Path:
        """The folder."""
        return part_of(self.path)

    @cached_property
    def arrays(self) -> dict[Any, Any]:
        """The arrays of the fields by name."""
        arrays, _ = opened_zarr(self.folder / STORE)
        return {name: arrays[name] for name in self.plan.fields}

    @contextmanager
    def held(self, shard: Shard) -> Iterator[Journal]:
        """Keep other processes from making a shard meanwhile; give how far it is.

        Raises:
            GraphdownError: another process makes it.
        """
        what = f"the unfinished output {str(self.folder)!r}"
        what += f" (shard {shard})" if shard.count > 1 else ""
        with locked(self.folder / f"{shard}.lock", what):
            yield Journal.read(self.folder / f"{shard}.json")

    @property
    def damaged(self) -> list[str]:
        """Files beside the fields' values that are not as they were written."""
        store = self.folder / STORE
        return [name for name, kept in self.plan.outline.items() if _sum_of([store / name]) != kept]

    def mended(self, whole: Callable[[], xr.Dataset]) -> "Unfinished":
        """Return this with damaged files of the outline written anew.

        Args:
            whole: returns the dataset to be, as for `begin`.
        """
        damaged = self.damaged
        if not damaged and all(Plan.read(self.folder / name) for name in (PLAN, AGAIN)):
            return self
        with locked(self.folder / "outline.lock", f"the unfinished output {str(self.folder)!r}"):
            new = Path(tempfile.mkdtemp(prefix="outline.", dir=self.folder))
            try:
                new_zarr(new / STORE, whole())
                sums = {name: _sum_of([new / STORE / name]) for name in damaged}
                sync_below(new)
                for name in damaged:
                    (self.folder / STORE / name).parent.mkdir(parents=True, exist_ok=True)
                    (new / STORE / name).replace(self.folder / STORE / name)
            finally:
                shutil.rmtree(new, ignore_errors=True)
            plan = replace(self.plan, outline={**self.plan.outline, **sums})
            plan.keep(self.folder)
        return Unfinished(self.path, plan)

    def rows(self, stretch: Stretch) -> Rows:
        """Return what takes the days of a stretch."""
        at = () if self.plan.members is None else (stretch.member,)
        chunks = {name: array.chunks[len(at) :] for name, array in self.arrays.items()}
        return Rows(self.arrays, nullcontext(), chunks, stretch.first, at)

    def count(self, journal: Journal, stretch: Stretch, before: int, rows: Rows) -> None:
        """Count the rows of a stretch that were written, once they are on the disk.

        Args:
            journal: of the shard.
            stretch: that is being made.
            before: rows of the shard that were done before the stretch.
            rows: what wrote them.
        """
        written = min(rows.written.values())
        whole = (written - stretch.first) // self.plan.length
        whole += written == stretch.end and written % self.plan.length > 0
        if before + whole <= journal.done:
            return
        start = stretch.member * self.plan.rows + stretch.first // self.plan.length
        sums = journal.sums[: journal.done]
        for row in range(start + journal.done - before, start + whole):
            sync(path for paths in self._chunks(row).values() for path in paths)
            sums.append(self._sum(row))
        journal.sums = sums
        sync(self.folder / STORE / name for name in self.plan.fields)
        journal.done = before + whole
        journal.keep()

    def finish(self) -> None:
        """Give the store its name, if it is whole; all of its shards are to be held.

        Raises:
            GraphdownError: shards or chunks are absent, or shards do not fit each other.
        """
        shards = [Shard(k + 1, self.plan.shards) for k in range(self.plan.shards)]
        journals = [Journal.read(self.folder / f"{shard}.json") for shard in shards]
        made = list(zip(shards, journals, strict=True))
        short = [s.number for s, j in made if j.done < len(self.plan.rows_of(s))]
        if short:
            raise GraphdownError(
                f"{str(self.path)!r} lacks {_listed(short)} of {len(shards)} shards; make them "
                "with --shard, then give --merge again."
            )
        self._check_sources(journals)
        self._check_chunks(made)
        damaged = self.damaged
        if damaged:
            raise GraphdownError(
                f"{str(self.folder / STORE)!r} was damaged meanwhile in {damaged[0]!r}; the same "
                "command as before mends it."
            )
        for abandoned in (self.folder / STORE).rglob(BEING_WRITTEN):
            abandoned.unlink()
        take_place(self.folder / STORE, self.path, aside=self.folder / "old")
        sync([self.path.parent])
        clear_away(self.path)

    def _check_sources(self, journals: list[Journal]) -> None:
        for member in {member for journal in journals for member in journal.used}:
            if len({j.used[member] for j in journals if member in j.used}) > 1:
                raise GraphdownError(
                    f"The shards of {str(self.path)!r} used other source points, since the inputs "
                    "have values at a point on some days only; fill or leave out those points, "
                    f"remove {str(self.folder)!r} and start again."
                )

    def _check_chunks(self, made: list[tuple[Shard, Journal]]) -> None:
        for shard, journal in made:
            if not self.proven(shard, journal):
                raise GraphdownError(
                    f"{str(self.folder / STORE)!r} lacks chunks that were written, or they are "
                    "damaged; the same command as before makes them again."
                )

    def proven(self, shard: Shard, journal: Journal) -> bool:
        """Tell whether all that is counted is as it was written; else count up to there only."""
        for number, row in enumerate(self.plan.rows_of(shard)[: journal.done]):
            if self._sum(row) != journal.sums[number]:
                journal.done = number
                journal.keep()
                return False
        return True

    def _sum(self, row: int) -> int:
        """Return the CRC-32 of the files of a row of chunks."""
        return _sum_of(path for paths in self._chunks(row).values() for path in paths)

    def _chunks(self, row: int) -> dict[str, list[Path]]:
        """Return the files of a row of chunks, by field."""
        member, own = divmod(row, self.plan.rows)
        fixed = [own] if self.plan.members is None else [member, own]
        out = {}
        for name, array in self.arrays.items():
            counts = [ceil(n / c) for n, c in zip(array.shape, array.chunks, strict=True)]
            places = itertools.product(*map(range, counts[len(fixed) :]))
            keys = (array.metadata.encode_chunk_key((*fixed, *place)) for place in places)
            out[name] = [self.folder / STORE / name / key for key in keys]
        return out


def part_of(path: Path) -> Path:
    """Return the folder in which an output is made."""
    return path.with_name(f"{path.name}.part")


def begun(path: Path) -> Unfinished | None:
    """Return what was begun of an output; None if there is nothing that can be gone on with."""
    plan = Plan.read(part_of(path) / PLAN) or Plan.read(part_of(path) / AGAIN)
    if plan is None or not (part_of(path) / STORE).is_dir():
        return None
    return Unfinished(path, plan)


def begin(
    path: Path, whole: xr.Dataset, settings: dict[str, str], shards: int
) -> Unfinished | None:
    """Make the folder of a new store; None if another process made one at the same time.

    Args:
        path: the name that the store is to bear.
        whole: the dataset to be, see `graphdown.output.chunk_buffer.outline`.
        settings: what it is made by.
        shards: number of parts of the work.

    Raises:
        GraphdownError: something else bears the folder's name.
        OSError: it cannot be written.
    """
    if (part_of(path) / PLAN).is_file() and not (part_of(path) / STORE).exists():
        discard(part_of(path))
    new = Path(tempfile.mkdtemp(prefix=_hidden(path), dir=path.parent))
    try:
        chunks = new_zarr(new / STORE, whole)
        (length,) = {sizes[0] for sizes in chunks.values()}
        members = whole.sizes.get(DRIVING_MEMBER)
        fields = [str(name) for name in chunks]
        outline = _sums(new / STORE)
        plan = Plan(settings, shards, fields, whole.sizes["time"], length, members, outline)
        plan.keep(new)
        sync_below(new)
        new.rename(part_of(path))
    except OSError as error:
        if error.errno not in (errno.ENOTEMPTY, errno.EEXIST, errno.ENOTDIR):
            raise
        if part_of(path).exists() and begun(path) is None:
            raise GraphdownError(
                f"{str(part_of(path))!r} is in the way and nothing to go on with; remove it."
            ) from None
        return None
    finally:
        shutil.rmtree(new, ignore_errors=True)
    sync([path.parent])
    return Unfinished(path, plan)


def _sums(store: Path) -> dict[str, int]:
    files = [path for path in sorted(store.rglob("*")) if path.is_file()]
    return {path.relative_to(store).as_posix(): _sum_of([path]) for path in files}


def _sum_of(paths: Iterable[Path]) -> int:
    """Return the CRC-32 of files, one after the other; of those that are absent, nothing."""
    total = 0
    for path in paths:
        with suppress(FileNotFoundError):
            total = zlib.crc32(path.read_bytes(), total)
    return total


def discard(folder: Path) -> None:
    """Remove a folder such that it is there as a whole or not at all."""
    hidden = Path(tempfile.mkdtemp(prefix=f".{folder.name}.", dir=folder.parent))
    try:
        folder.rename(hidden / "old")
    finally:
        shutil.rmtree(hidden, ignore_errors=True)


def clear_away(path: Path) -> None:
    """Remove what killed processes left beside a finished output."""
    if (part_of(path) / PLAN).is_file() and not (part_of(path) / STORE).exists():
        discard(part_of(path))
    for left in path.parent.glob(f"{glob.escape(_hidden(path))}*"):
        shutil.rmtree(left, ignore_errors=True)


def _hidden(path: Path) -> str:
    return f".{part_of(path).name}."


def _listed(numbers: list[int]) -> str:
    shown = ", ".join(map(str, numbers[:10]))
    return f"{len(numbers)} ({shown}{', ...' * (len(numbers) > 10)})"
