"""Memory that this machine lets a process have."""

import os
from pathlib import Path

LIMITS = (Path("/sys/fs/cgroup/memory.max"), Path("/sys/fs/cgroup/memory/memory.limit_in_bytes"))


def machine_memory() -> int:
    """Bytes of memory of the machine, or of the share that a scheduler grants."""
    whole = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    return min([whole, *(limit for limit in map(_limit, LIMITS) if limit)])


def size_in_words(size: float) -> str:
    """Size in bytes in words, as in "3.2 GiB"."""
    return f"{size / 2**30:.3g} GiB" if size >= 2**30 else f"{size / 2**20:.3g} MiB"


def _limit(path: Path) -> int:
    """Limit that a file of the control groups has, 0 for none."""
    try:
        return int(path.read_text(encoding="ascii"))
    except (OSError, ValueError):
        return 0
