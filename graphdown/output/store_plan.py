"""Plan of a store that is written in several starts: its size, and the work in shards and rows.

The work is cut into rows of chunks: all the chunks of a stretch of days of one member of the
driving model. A shard consists of rows that follow each other, so no two processes write one chunk.
"""

import json
import re
import zlib
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from math import ceil
from pathlib import Path

from graphdown.errors import GraphdownError
from graphdown.runtime.atomic import write_durably

PLAN, COPY = "plan.json", "plan-copy.json"


@dataclass(frozen=True)
class Shard:
    """A part of the work: number `number` of `count`, from 1."""

    number: int = 1
    count: int = 1

    def __str__(self) -> str:
        return f"{self.number}-of-{self.count}"

    @classmethod
    def parse(cls, text: str) -> "Shard":
        """Shard that a text such as "3/8" names.

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
        """Number of days."""
        return self.end - self.first


@dataclass(frozen=True)
class StorePlan:
    """Size of a store, and everything else that its shards have in common.

    Attributes:
        fingerprint: of the output, see `graphdown.downscaling.fingerprint`.
        shards: number of parts of the work.
        fields: names of the fields.
        days: of each member.
        length: days in a chunk.
        members: of the driving model; None if there is no dimension of them.
        outline: CRC-32 of each file of the store without a value of the fields.
    """

    fingerprint: dict[str, str]
    shards: int
    fields: list[str]
    days: int
    length: int
    members: int | None
    outline: dict[str, int] = field(default_factory=dict)

    @classmethod
    def read(cls, file: Path) -> "StorePlan | None":
        """Plan in a file, None if there is no whole one."""
        try:
            stored = json.loads(file.read_text(encoding="utf-8"))
            plan = cls(**stored["plan"])
            return plan if stored["sum"] == plan._sum() else None
        except (OSError, ValueError, TypeError, KeyError):
            return None

    def write(self, folder: Path) -> None:
        """Write the plan to a folder, twice, since the whole output depends on it."""
        text = json.dumps({"plan": asdict(self), "sum": self._sum()}, indent=1)
        for name in (PLAN, COPY):
            write_durably(folder / name, text)

    def _sum(self) -> int:
        return zlib.crc32(json.dumps(asdict(self)).encode())

    @property
    def rows(self) -> int:
        """Rows of chunks of each member."""
        return ceil(self.days / self.length)

    def rows_of(self, shard: Shard) -> range:
        """Rows of chunks of a shard, counted member by member."""
        total = self.rows * (self.members or 1)
        first, end = (k * total // shard.count for k in (shard.number - 1, shard.number))
        return range(first, end)

    def stretches(self, shard: Shard, done: int = 0) -> Iterator[Stretch]:
        """Days of a shard after the rows that are done, a stretch for each member."""
        left = self.rows_of(shard)[done:]
        for member in range(self.members or 1):
            start = member * self.rows
            first, end = max(left.start, start), min(left.stop, start + self.rows)
            if first < end:
                days = [(row - start) * self.length for row in (first, end)]
                yield Stretch(member, days[0], min(days[1], self.days))

    def days_of(self, shard: Shard, done: int = 0) -> int:
        """Number of days of a shard after the rows that are done."""
        return sum(stretch.days for stretch in self.stretches(shard, done))
