"""What JAX compiled is kept in the user's cache folder, so that the next process starts at once.

The folder is $GRAPHDOWN_CACHE if that is set (empty: nothing is kept), else graphdown below
$XDG_CACHE_HOME or ~/.cache. A cache that JAX itself was told of, as by JAX_COMPILATION_CACHE_DIR,
is left as it is. JAX finds an entry by a hash of the program, of its own version and the options,
so a new version of anything compiles anew, and an entry never changes a result.
"""

import hashlib
import os
import platform
import time
import zlib
from pathlib import Path

import jax

FOLDER = "GRAPHDOWN_CACHE"
MOST_BYTES = 256 * 2**20
ENTRIES = "*-cache"
CHECKED = "checked"  # its time is that of the last look at the entries
CLOCKS_DIFFER = 60.0  # seconds, of machines that share a folder
ZLIB = b"\x78"  # the first byte of what zlib packed; JAX takes another packer where it finds one


def keep_compiled() -> None:
    """Let JAX take from the cache what it holds and keep there what is compiled from now on.

    It works only before anything is compiled, and does nothing where the folder cannot be written
    to. Damaged entries are removed, and beyond 256 MiB those that were not used for longest.
    """
    if jax.config.values["jax_compilation_cache_dir"] or os.environ.get(FOLDER) == "":
        return
    try:
        folder = _folder() / "compiled" / _processor()
        folder.mkdir(parents=True, exist_ok=True)
        tidy(folder)
    except (OSError, RuntimeError):  # no home, or none that can be written to
        return
    if not os.access(folder, os.W_OK):
        return
    jax.config.update("jax_compilation_cache_dir", str(folder))
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.0)
    jax.config.update("jax_persistent_cache_min_entry_size_bytes", -1)


def tidy(folder: Path) -> None:
    """Remove damaged entries, which JAX ignores and never replaces, and more than MOST_BYTES.

    To unpack all of them would take seconds: only those written since the last time are looked at.
    """
    mark, now, left = folder / CHECKED, time.time(), MOST_BYTES
    since = mark.stat().st_mtime - CLOCKS_DIFFER if mark.exists() else 0.0
    found = ((path, path.stat()) for path in folder.glob(ENTRIES))
    for path, stat in sorted(found, key=lambda e: -max(e[1].st_atime, e[1].st_mtime)):
        left -= stat.st_size
        if left < 0 or (stat.st_mtime >= since and not _whole(path.read_bytes())):
            path.unlink(missing_ok=True)
    mark.touch()
    os.utime(mark, (now, now))


def _folder() -> Path:
    own = os.environ.get(FOLDER)
    usual = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(own) if own else Path(usual) / "graphdown"


def _processor() -> str:
    """Return a name for the kind of processor: code for one may crash on another.

    Machines that share a home folder are often of several kinds.
    """
    kind = f"{platform.machine()} {platform.processor()}"
    about = Path("/proc/cpuinfo")
    if about.is_file():
        lines = about.read_text(encoding="utf-8", errors="replace").splitlines()
        kind += "".join(sorted({x for x in lines if x.startswith(("flags", "Features"))}))
    return hashlib.sha256(kind.encode()).hexdigest()[:12]


def _whole(entry: bytes) -> bool:
    """Tell whether an entry unpacks: a process that is killed may leave half of one."""
    if not entry.startswith(ZLIB):
        return bool(entry)
    try:
        zlib.decompress(entry)
    except zlib.error:
        return False
    return True
