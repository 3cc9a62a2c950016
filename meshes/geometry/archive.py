"""Arrays of .npz files, read without pickle and with every size checked before it is used."""

import math
import zipfile
import zlib
from pathlib import Path

import numpy as np

LARGEST_FACTOR = 1100  # unpacked to packed bytes; zlib's deflate reaches 1032
ENDING = ".npy"


def read_arrays(path: str | Path) -> dict[str, np.ndarray]:
    """Return the arrays of an .npz file by name.

    Memory for an array is allocated only after its header has been checked against the number of
    bytes in the file.

    Raises:
        FileNotFoundError: there is no such file.
        OSError, EOFError, ValueError, KeyError, zipfile.BadZipFile: the file is damaged, or no
            .npz file.
    """
    try:
        return _read(path)
    except (zlib.error, RuntimeError) as error:  # the latter for what zipfile cannot unpack
        raise zipfile.BadZipFile(str(error)) from None


def _read(path: str | Path) -> dict[str, np.ndarray]:
    with open(path, "rb") as file, zipfile.ZipFile(file) as archive:
        members = archive.infolist()
        for member in members:
            _check(archive, member)
        if len({member.filename for member in members}) < len(members):
            raise ValueError("two arrays have one name")
        file.seek(0)
        with np.load(file, allow_pickle=False) as arrays:
            return {name: arrays[name] for name in arrays.files}


def _check(archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> None:
    """Refuse an array whose header does not agree with the number of bytes in the file."""
    if not member.filename.endswith(ENDING):
        raise ValueError(f"{member.filename!r} is no array")
    if member.file_size > LARGEST_FACTOR * member.compress_size:
        raise ValueError(f"{member.filename!r} cannot be as large as its entry in the archive says")
    with archive.open(member) as stream:
        version = np.lib.format.read_magic(stream)
        readers = {(1, 0): np.lib.format.read_array_header_1_0}
        readers[2, 0] = np.lib.format.read_array_header_2_0
        if version not in readers:
            raise ValueError(f"{member.filename!r} has an unknown version")
        shape, _, dtype = readers[version](stream)
        if dtype.hasobject:
            raise ValueError(f"{member.filename!r} holds objects, which are never loaded")
        expected = stream.tell() + math.prod(shape) * dtype.itemsize
    if min(shape, default=0) < 0 or expected != member.file_size:
        raise ValueError(f"{member.filename!r} does not have the size that its header says")
