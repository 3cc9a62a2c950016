"""What is compiled is kept where the user wants it, and never changes a result."""

import errno
import fcntl
import os
import subprocess
import sys
import time
import zlib

import pytest

from graphdown.runtime import compilation_cache

CODE = """
import jax, numpy as np
from graphdown.runtime import compilation_cache
compilation_cache.MOST_BYTES = LIMIT
counts = {"hits": 0, "misses": 0}
def count(event, **_):
    kind = event.rsplit("cache_", 1)[-1]
    counts[kind] = counts.get(kind, 0) + 1
jax.monitoring.register_event_listener(count)
compilation_cache.keep_compiled()
made = jax.jit(lambda x: FUNCTION @ x)(np.arange(9.0, dtype="f4").reshape(3, 3))
print(counts["hits"], counts["misses"], np.asarray(made).tobytes().hex())
"""


def compiled(limit=compilation_cache.MOST_BYTES, function="jax.numpy.sin(x)", **environment):
    """Return the hits and misses of another process, and what it computed."""
    own = {k: v for k, v in os.environ.items() if k not in ("GRAPHDOWN_CACHE", "XDG_CACHE_HOME")}
    code = CODE.replace("LIMIT", str(limit)).replace("FUNCTION", function)
    command = [sys.executable, "-W", "ignore", "-c", code]
    done = subprocess.run(command, env=own | environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    hits, misses, made = done.stdout.split()
    return int(hits), int(misses), made


@pytest.mark.slow
def test_the_next_process_takes_what_was_compiled_and_damaged_entries_are_made_anew(tmp_path):
    home = {"HOME": str(tmp_path)}
    plain = compiled(GRAPHDOWN_CACHE="", **home)
    assert plain[:2] == (0, 0) and not any(tmp_path.iterdir())
    first = compiled(**home)
    entries = list((tmp_path / ".cache" / "graphdown").rglob(f"*{compilation_cache.ENTRY}"))
    assert first == (0, len(entries), plain[2]) and entries
    assert compiled(**home) == (len(entries), 0, plain[2])
    for entry in entries:
        entry.write_bytes(entry.read_bytes()[:-20])
    assert compiled(**home) == (0, len(entries), plain[2])
    assert compiled(**home) == (len(entries), 0, plain[2])


@pytest.mark.slow
def test_the_entries_not_used_for_longest_make_room_for_others(tmp_path):
    home = {"HOME": str(tmp_path)}
    compiled(**home)
    folder = next((tmp_path / ".cache" / "graphdown").rglob(f"*{compilation_cache.ENTRY}")).parent
    sizes = [path.stat().st_size for path in folder.glob(f"*{compilation_cache.ENTRY}")]
    old = entry(folder, "old", 200)
    old.write_bytes(zlib.compress(os.urandom(max(sizes))))
    limit = max(sizes) + old.stat().st_size
    compiled(limit, **home)
    assert old.exists()
    other = "jax.numpy.cos(x)"
    assert compiled(limit, other, **home)[1] > 0
    left = [path.stat().st_size for path in folder.glob(f"*{compilation_cache.ENTRY}")]
    assert not old.exists() and sum(left) <= limit


@pytest.mark.slow
def test_the_folder_is_the_users_choice(tmp_path):
    own, of_jax = tmp_path / "own", tmp_path / "jax"
    compiled(GRAPHDOWN_CACHE=str(own), XDG_CACHE_HOME=str(tmp_path / "xdg"), HOME=str(tmp_path))
    assert [path.name for path in tmp_path.iterdir()] == ["own"]
    assert list(own.rglob(f"*{compilation_cache.ENTRY}"))
    compiled(JAX_COMPILATION_CACHE_DIR=str(of_jax), XDG_CACHE_HOME=str(tmp_path / "xdg"))
    assert not (tmp_path / "xdg").exists()
    compiled(XDG_CACHE_HOME=str(tmp_path / "xdg"))
    assert list((tmp_path / "xdg" / "graphdown").rglob(f"*{compilation_cache.ENTRY}"))


@pytest.mark.slow
def test_a_folder_that_cannot_be_made_is_done_without(tmp_path):
    (tmp_path / "file").touch()
    assert compiled(GRAPHDOWN_CACHE=str(tmp_path / "file"))[:2] == (0, 0)


def entry(folder, name, written, used=True):
    path = folder / f"{name}{compilation_cache.ENTRY}"
    path.write_bytes(zlib.compress(os.urandom(100)))
    os.utime(path, (written, written))
    if used:
        (folder / f"{name}{compilation_cache.USED}").write_bytes(bytes(8))
    return path


def test_entries_that_are_half_written_are_removed_and_nothing_else(tmp_path):
    whole, half = entry(tmp_path, "whole", 200), entry(tmp_path, "half", 400)
    half.write_bytes(half.read_bytes()[:50])
    unused = entry(tmp_path, "unused", 100, used=False)
    other = tmp_path / "notes.txt"
    other.write_bytes(b"x" * 9000)
    compilation_cache.remove_damaged(tmp_path)
    left = {path.name for path in tmp_path.iterdir()}
    assert left == {whole.name, "whole-atime", other.name, compilation_cache.CHECKED}
    assert not half.exists() and not unused.exists()


def test_entries_are_unpacked_once(tmp_path, monkeypatch):
    looked, real = [], compilation_cache._unpacks
    monkeypatch.setattr(
        compilation_cache, "_unpacks", lambda found: looked.append(1) or real(found)
    )
    hour, now = 3600.0, time.time()
    for number in range(3):
        entry(tmp_path, f"old{number}", now - hour)
    compilation_cache.remove_damaged(tmp_path)
    assert len(looked) == 3
    late = entry(tmp_path, "late", now)
    late.write_bytes(late.read_bytes()[:50])
    compilation_cache.remove_damaged(tmp_path)
    assert len(looked) == 4 and not late.exists()
    compilation_cache.remove_damaged(tmp_path)
    assert len(looked) == 4


def test_a_folder_without_locks_is_used_without_a_limit(tmp_path, monkeypatch):
    def without(*_):
        raise OSError(errno.ENOLCK, "No locks available")

    assert compilation_cache._repaired(tmp_path) == compilation_cache.MOST_BYTES
    monkeypatch.setattr(fcntl, "flock", without)
    assert compilation_cache._repaired(tmp_path) == compilation_cache.UNLIMITED


def test_nothing_changes_where_no_cache_is_wanted(monkeypatch):
    monkeypatch.setenv(compilation_cache.FOLDER, "")
    monkeypatch.setattr(compilation_cache.jax.config, "update", lambda *_: pytest.fail("changed"))
    compilation_cache.keep_compiled()
