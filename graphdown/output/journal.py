"""Journal of a shard: the rows of chunks that are on the disk, and their checksums."""

import json
import zlib
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from graphdown.runtime.atomic import write_durably


@dataclass
class Journal:
    """Progress of a shard.

    Attributes:
        file: that holds it.
        done: number of rows of chunks that are on the disk.
        used: hash of the source points in use, by the number of the member.
        sums: CRC-32 of the files of each of those rows.
    """

    file: Path
    done: int = 0
    used: dict[str, str] = field(default_factory=dict)
    sums: list[int] = field(default_factory=list)

    @classmethod
    def read(cls, file: Path) -> "Journal":
        """Journal in a file; without a file, or with a damaged one, nothing is done."""
        try:
            stored = json.loads(file.read_text(encoding="utf-8"))
            sums = [int(number) for number in stored["sums"]]
            done = min(max(0, int(stored["done"])), len(sums))
            return cls(file, done, dict(stored["used"]), sums)
        except (OSError, ValueError, KeyError, TypeError):
            return cls(file)

    def write(self) -> None:
        """Write the journal to its file."""
        self.sums = self.sums[: self.done]
        stored = {"done": self.done, "used": self.used, "sums": self.sums}
        write_durably(self.file, json.dumps(stored))


def files_checksum(paths: Iterable[Path]) -> int:
    """CRC-32 of files, one after the other; those that are absent count for nothing."""
    total = 0
    for path in paths:
        with suppress(FileNotFoundError):
            total = zlib.crc32(path.read_bytes(), total)
    return total
