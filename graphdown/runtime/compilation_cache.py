"""Compiled programs, kept in the user's cache folder so that the next process starts at once.

The folder is $GRAPHDOWN_CACHE if that is set (empty: nothing is kept), else graphdown below
$XDG_CACHE_HOME or ~/.cache. A cache that JAX is configured for otherwise, as by
JAX_COMPILATION_CACHE_DIR, is left as it is. JAX finds an entry by a hash of the program, of its own
version and the options, so a new version of anything compiles anew, and an entry never changes a
result. JAX also removes the entries that were not used for longest when there are too many.
"""

import hashlib
import os
import platform
import time
import zlib
from pathlib import Path

import jax
from filelock import FileLock, Timeout

FOLDER = "GRAPHDOWN_CACHE"
MOST_BYTES = 256 * 2**20
UNLIMITED = -1
ENTRY, USED = "-cache", "-atime"  # endings of JAX's files: an entry, and when it was last used
LOCK, LOCK_S = ".lockfile", 10.0  # JAX's own
CHECKED = "checked"  # its time is that of the last look at the entries
CLOCKS_DIFFER = 60.0  # seconds, of machines that share a folder
ZLIB = b"\x78"  # first byte of an entry packed by zlib; JAX uses another packer if there is one


def keep_compiled() -> None:
    """Let JAX reuse what an earlier process compiled, and keep what this one compiles.

    It works only before anything is compiled, and does nothing if the folder cannot be written to.
    """
    if jax.config.values["jax_compilation_cache_dir"] or os.environ.get(FOLDER) == "":
        return
    try:
        folder = _folder() / "compiled" / _processor()
        folder.mkdir(parents=True, exist_ok=True)
    except (OSError, RuntimeError):  # no home, or none that can be written to
        return
    if not os.access(folder, os.W_OK):
        return
    jax.config.update("jax_compilation_cache_dir", str(folder))
    jax.config.update("jax_compilation_cache_max_size", _repaired(folder))
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.0)
    jax.config.update("jax_persistent_cache_min_entry_size_bytes", -1)


def _repaired(folder: Path) -> int:
    """Remove damaged entries, and return the greatest size of the cache in bytes.

    To limit the size, JAX locks the folder at each use; without locks there can be no limit.
    """
    try:
        with FileLock(folder / LOCK, timeout=LOCK_S, fallback_to_soft=False):
            remove_damaged(folder)
    except Timeout:  # another process is at it
        pass
    except OSError:
        return UNLIMITED
    return MOST_BYTES


def remove_damaged(folder: Path) -> None:
    """Remove entries that a killed process left half-written.

    JAX compiles anew in place of an entry that it cannot read, but never replaces it, and fails to
    write further ones if the time of the last use is absent. To unpack all entries would take
    seconds, so only those are unpacked that were written since the last call.
    """
    mark, now = folder / CHECKED, time.time()
    since = mark.stat().st_mtime - CLOCKS_DIFFER if mark.exists() else 0.0
    for entry in folder.glob(f"*{ENTRY}"):
        used = entry.with_name(entry.name.removesuffix(ENTRY) + USED)
        whole = used.is_file() and used.stat().st_size > 0
        if whole and entry.stat().st_mtime >= since:
            whole = _unpacks(entry.read_bytes())
        if not whole:
            entry.unlink(missing_ok=True)
            used.unlink(missing_ok=True)
    mark.touch()
    os.utime(mark, (now, now))


def _folder() -> Path:
    chosen = os.environ.get(FOLDER)
    usual = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(chosen) if chosen else Path(usual) / "graphdown"


def _processor() -> str:
    """Name for the kind of processor, since code for one may crash on another.

    Machines that share a home folder are often of several kinds.
    """
    kind = f"{platform.machine()} {platform.processor()}"
    description = Path("/proc/cpuinfo")
    if description.is_file():
        lines = description.read_text(encoding="utf-8", errors="replace").splitlines()
        kind += "".join(sorted({x for x in lines if x.startswith(("flags", "Features"))}))
    return hashlib.sha256(kind.encode()).hexdigest()[:12]


def _unpacks(entry: bytes) -> bool:
    """Whether an entry is whole, as far as its packing shows."""
    if not entry.startswith(ZLIB):
        return bool(entry)
    try:
        zlib.decompress(entry)
    except zlib.error:
        return False
    return True
