"""A run's folder is one process's alone."""

import json
import os
import platform
import subprocess
import sys
import time

import pytest

from graphdown.errors import ExperimentError
from graphdown.training.lock import LOCK, locked

HOLD = """
import sys, time
from pathlib import Path
from graphdown.training.lock import locked
with locked(Path(sys.argv[1])):
    print("held", flush=True)
    time.sleep(60)
"""


def test_a_lock_is_there_meanwhile_and_gone_afterwards(tmp_path):
    with pytest.raises(KeyError), locked(tmp_path / "run"):
        held = json.loads((tmp_path / "run" / LOCK).read_text())
        assert held["host"] == platform.node() and held["process"] == os.getpid()
        raise KeyError
    assert list((tmp_path / "run").iterdir()) == []
    with locked(tmp_path / "run"):
        pass


def test_a_living_process_keeps_others_out_and_a_killed_one_does_not(tmp_path):
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(tmp_path)], stdout=subprocess.PIPE, text=True
    )
    try:
        assert holder.stdout.readline() == "held\n"
        message = f"in use by process {holder.pid} on .* since 20"
        with pytest.raises(ExperimentError, match=message), locked(tmp_path):
            pass
        assert (tmp_path / LOCK).exists()
    finally:
        holder.kill()
        holder.wait()
        holder.stdout.close()
    with locked(tmp_path):
        assert json.loads((tmp_path / LOCK).read_text())["process"] == os.getpid()
    assert not (tmp_path / LOCK).exists()


def test_a_lock_of_another_host_is_left_to_the_user(tmp_path):
    text = json.dumps({"host": "elsewhere", "process": 7, "since": time.strftime("%F %T")})
    (tmp_path / LOCK).write_text(text)
    message = "process 7 on elsewhere .* gone, delete '.*lock'"
    with pytest.raises(ExperimentError, match=message), locked(tmp_path):
        pass
    assert (tmp_path / LOCK).read_text() == text


@pytest.mark.parametrize("content", ["", "{", "[1]", '{"host": 1}'])
def test_a_lock_that_was_not_written_to_its_end_is_taken_over(tmp_path, content):
    (tmp_path / LOCK).write_text(content)
    if content == '{"host": 1}':
        with pytest.raises(ExperimentError, match="in use"), locked(tmp_path):
            pass
        return
    with locked(tmp_path):
        pass


def test_where_nothing_can_be_locked_the_process_in_the_file_counts(tmp_path, monkeypatch):
    def unknown(*_):
        raise OSError(38, "Function not implemented")

    monkeypatch.setattr("fcntl.flock", unknown)
    own = {"host": platform.node(), "process": os.getppid(), "since": "2001-01-01"}
    (tmp_path / LOCK).write_text(json.dumps(own))
    with pytest.raises(ExperimentError, match=f"process {os.getppid()}"), locked(tmp_path):
        pass
    (tmp_path / LOCK).write_text(json.dumps({**own, "process": 2**22 + 1}))
    with locked(tmp_path):
        pass


def test_a_folder_that_cannot_be_written_to_is_told(tmp_path):
    (tmp_path / "file").write_text("")
    message = "cannot be written to .*Not a directory.; choose"
    with pytest.raises(ExperimentError, match=message), locked(tmp_path / "file" / "run"):
        pass
