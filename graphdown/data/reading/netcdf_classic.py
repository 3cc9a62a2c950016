"""The size that a classic netCDF file should have, from its header.

netCDF's library reads zeros beyond the end of a classic file that was cut off; rain of zero looks
like data, so the size is checked before anything is read.
"""

import math
import struct
from typing import BinaryIO

CLASSIC, OFFSET, DATA = b"CDF\x01", b"CDF\x02", b"CDF\x05"
STARTS = (CLASSIC, OFFSET, DATA)
SIZES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 4, 6: 8, 7: 1, 8: 2, 9: 4, 10: 8, 11: 8}


def expected_size(file: BinaryIO) -> int:
    """Smallest size in bytes that holds all values; 0 if the header does not give it.

    Args:
        file: open at the start; classic, 64-bit offset or 64-bit data (CDF-5) format.

    Raises:
        struct.error: the header itself is cut off.
    """
    reader = _Header(file)
    return reader.expected_size()


class _Header:
    """Reads a header's fields one after another.

    Counts and lengths have 4 bytes, 8 in the 64-bit data format; tags and types have 4.
    """

    def __init__(self, file: BinaryIO) -> None:
        self.file = file
        start = file.read(4)
        self.offset_format = ">i" if start == CLASSIC else ">q"
        self.count_format = ">Q" if start == DATA else ">I"

    def expected_size(self) -> int:
        records = self._count()
        lengths = [self._dimension() for _ in range(self._list_length())]
        self._skip_attributes()
        variables = [self._variable(lengths) for _ in range(self._list_length())]
        if records == 256 ** struct.calcsize(self.count_format) - 1:
            return 0  # unknown: the file was still being written
        per_record = [size for recorded, size, _ in variables if recorded]
        # One record variable alone is stored without padding.
        padded = per_record if len(per_record) == 1 else [-(-size // 4) * 4 for size in per_record]
        ends = [0]
        for recorded, size, begin in variables:
            if recorded and not records:
                continue
            ends.append(begin + size + (sum(padded) * (records - 1) if recorded else 0))
        return max(ends)

    def _variable(self, lengths: list[int]) -> tuple[bool, int, int]:
        """Whether a variable has records, its size (of one record), and its first byte."""
        self._skip_text()
        sizes = [lengths[self._count()] for _ in range(self._count())]
        self._skip_attributes()
        kind = self._code()
        self._count()
        begin = self._unpack(self.offset_format)
        recorded = bool(sizes) and sizes[0] == 0
        return recorded, math.prod(sizes[recorded:]) * SIZES[kind], begin

    def _dimension(self) -> int:
        self._skip_text()
        return self._count()

    def _list_length(self) -> int:
        self._code()
        return self._count()

    def _skip_attributes(self) -> None:
        for _ in range(self._list_length()):
            self._skip_text()
            size = SIZES[self._code()]
            self._skip(size * self._count())

    def _skip_text(self) -> None:
        self._skip(self._count())

    def _skip(self, size: int) -> None:
        self.file.seek(-(-size // 4) * 4, 1)

    def _code(self) -> int:
        return self._unpack(">I")

    def _count(self) -> int:
        return self._unpack(self.count_format)

    def _unpack(self, form: str) -> int:
        return int(struct.unpack(form, self.file.read(struct.calcsize(form)))[0])
