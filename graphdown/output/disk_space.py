"""Room on the disk for an output."""

import shutil
from pathlib import Path

from graphdown.errors import GraphdownError
from graphdown.runtime.memory import size_in_words

COMPRESSED = 0.9  # bytes in a file for each byte of float32 fields, at most


def check_room(path: Path, fields: int) -> None:
    """Refuse fields that the disk has no room for.

    Args:
        path: the output.
        fields: bytes of the fields as float32.

    Raises:
        GraphdownError: there is too little room.
    """
    needed, free = COMPRESSED * fields, shutil.disk_usage(path.parent).free
    if needed > free:
        raise GraphdownError(
            f"{str(path)!r} needs about {size_in_words(needed)}, but its disk has "
            f"{size_in_words(free)} free; make room or choose another disk."
        )
