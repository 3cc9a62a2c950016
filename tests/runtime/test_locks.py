import errno
import fcntl
import os
import signal
import subprocess
import sys

import pytest

from graphdown.errors import GraphdownError
from graphdown.runtime.locks import locked

HOLD = """
import sys
from pathlib import Path
from graphdown.runtime.locks import locked
with locked(Path(sys.argv[1]), "it"):
    print("held", flush=True)
    sys.stdin.read()
"""


def test_a_second_process_is_told_who_holds_the_lock_until_that_is_killed(tmp_path):
    file = tmp_path / "lock"
    other = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(file)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    with other:
        assert other.stdout.readline() == b"held\n"
        with (
            pytest.raises(GraphdownError, match=rf"^the run is in use by process {other.pid} on "),
            locked(file, "the run"),
        ):
            pass
        other.send_signal(signal.SIGKILL)
        other.wait()
    with locked(file, "the run"):
        assert file.read_text().startswith(f"process {os.getpid()} on ")


def test_a_lock_whose_file_was_removed_keeps_nobody_out(tmp_path):
    file = tmp_path / "lock"
    with locked(file, "it"):
        file.unlink()
        with locked(file, "it"):
            pass


def test_a_file_system_without_locks_is_noted(tmp_path, monkeypatch, caplog):
    def without(*_):
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(fcntl, "flock", without)
    with locked(tmp_path / "lock", "it"):
        pass
    assert "the file system has no locks" in caplog.text
