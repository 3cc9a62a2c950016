"""Studies done by several processes: what they share, and how they end."""

import os
import signal
import subprocess
import sys
import time
from contextlib import ExitStack
from pathlib import Path

import jax
import pandas as pd
import pytest
import yaml

from graphdown.errors import DataError, ExperimentError
from graphdown.runtime.locks import locked
from graphdown.transfer import scheduler
from graphdown.transfer.scheduler import StudyScheduler
from graphdown.transfer.spec import parse_study
from graphdown.transfer.study import transfer

WORLD = {
    "name": "several",
    "seeds": 2,
    "draws": 20,
    "experiment": {
        "predictors": ["tas", "pr"],
        "targets": ["tas", "pr"],
        "data": {
            "world": {"rcm": "rcm-1", "years": 3, "size": 12},
            "sources": [{"name": n, "view": f"gcm-{n.lower()}"} for n in "ABD"],
        },
        "periods": {
            "train": ["1981", "1981"],
            "validation": ["1982", "1982"],
            "test": ["1983", "1983"],
        },
        "graph": {"mesh_level": 4, "encode_radius_km": 400},
        "model": {"channels": 8, "rounds": 1, "target_channels": 8},
        "training": {"steps": 20, "validate_every": 10, "batch_size": 4},
    },
    "strategies": {
        "bilinear": {"baseline": "bilinear"},
        "mean bias": {"baseline": "mean bias"},
        "network": {},
        "full": {"start": "network"},
    },
    "blocks": {
        "out": {
            "strategies": ["bilinear", "mean bias"],
            "train": [["A"], ["A", "B"]],
            "apply": ["A", "D"],
        }
    },
}
FEW = {
    "few": {
        "strategies": ["full"],
        "train": [["A"]],
        "tune": ["D"],
        "years": [0, 1],
        "apply": ["A", "D"],
    }
}


def study(folder, **changes):
    return parse_study({**WORLD, "output": str(folder), **changes}, "the test")


def test_two_processes_find_what_one_does_and_say_what_they_do(tmp_path, capfd):
    one = transfer(study(tmp_path / "one"))
    capfd.readouterr()
    two = transfer(study(tmp_path / "two"), jobs=2)
    pd.testing.assert_frame_equal(two.scores, one.scores)
    said = capfd.readouterr().out
    assert "4 runs, 0 of them done" in said and "[4/4]" in said
    assert {p.name for p in (tmp_path / "two").glob("*.log")} == {"process0.log", "process1.log"}
    assert not list((tmp_path / "two" / "runs").rglob("*.lock"))
    with pytest.raises(ExperimentError, match="'jobs' must be at least 1"):
        transfer(study(tmp_path / "two"), jobs=0)


def test_what_another_process_holds_is_left_to_it_and_taken_over_when_it_ends(
    tmp_path, capsys, monkeypatch
):
    work = StudyScheduler(study(tmp_path))
    first = work.left[0]
    first.folder.parent.mkdir(parents=True)
    with ExitStack() as other:
        other.enter_context(locked(first.folder.with_suffix(".lock"), "it"))
        while work.do_next():
            pass
        assert [run.key for run in work.left] == [first.key]
        monkeypatch.setattr(scheduler.time, "sleep", lambda seconds: other.close())
        work.finish()
    assert not work.left
    told = capsys.readouterr().out.splitlines()
    assert "Waiting for the runs of other processes (1 of 4 runs left) ..." in told
    assert first.task.label in told[-1]


def test_what_was_compiled_is_freed_after_each_run(tmp_path):
    double = jax.jit(lambda x: 2 * x)
    double(1.0)
    work = StudyScheduler(study(tmp_path))
    assert double._cache_size() == 1
    work.do_next()
    assert double._cache_size() == 0


def test_a_start_comes_before_what_goes_on_from_it(tmp_path):
    work = StudyScheduler(study(tmp_path, blocks=FEW, seeds=1))
    start, tuned = work.left
    assert tuned.start.key == start.key
    start.folder.parent.mkdir(parents=True)
    with locked(start.folder.with_suffix(".lock"), "it"):
        assert not work.do_next()  # neither the one that is held nor the one that needs it


def test_what_a_process_could_not_do_is_told_by_the_first_one(tmp_path):
    absent = {"files": [str(tmp_path / "absent.nc")]}
    data = {"target": absent, "sources": [{"name": n, **absent} for n in "ABD"]}
    experiment = {**WORLD["experiment"], "data": data}
    with pytest.raises(DataError, match=r"absent\.nc"):
        transfer(study(tmp_path / "study", experiment=experiment), jobs=2)


NETWORKS = {"networks": {"strategies": ["network"], "train": [["A"]], "apply": ["A"]}}
COMMAND = [sys.executable, "-m", "graphdown", "transfer", "study.yaml", "--jobs", "2"]


def workers(parent: int) -> list[int]:
    """Return the processes that do runs for another one; Linux only."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            fields = (folder / "stat").read_text().rpartition(")")[2].split()
            command = (folder / "cmdline").read_bytes()
        except OSError:
            continue
        if int(fields[1]) == parent and b"spawn_main" in command:
            found.append(int(folder.name))
    return found


def gone(process: int) -> bool:
    path = Path(f"/proc/{process}/stat")
    try:
        return path.read_text().rpartition(")")[2].split()[0] == "Z"
    except OSError:
        return True


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="looks at processes in /proc")
@pytest.mark.parametrize("how", ["parent stopped", "parent killed", "worker killed"])
def test_a_study_that_is_killed_leaves_no_process_behind_and_goes_on(tmp_path, how):
    raw = {**WORLD, "output": "out", "blocks": NETWORKS}
    (tmp_path / "study.yaml").write_text(yaml.safe_dump(raw), encoding="utf-8")
    with (tmp_path / "said").open("w") as said:
        parent = subprocess.Popen(COMMAND, cwd=tmp_path, stdout=said, stderr=said)
    try:
        until = time.monotonic() + 120
        while not list((tmp_path / "out").glob("runs/network/*/seed*/checkpoints/*")):
            assert parent.poll() is None and time.monotonic() < until
            time.sleep(0.1)
        own = workers(parent.pid)
        assert len(own) == 2
        if how == "worker killed":
            os.kill(own[0], signal.SIGKILL)
        else:
            parent.send_signal(signal.SIGTERM if how == "parent stopped" else signal.SIGKILL)
        status = parent.wait(60)
        assert status == {"parent stopped": 143, "parent killed": -9, "worker killed": 2}[how]
        until = time.monotonic() + 60
        while not all(map(gone, own)):
            assert time.monotonic() < until
            time.sleep(0.1)
    finally:
        parent.kill()
    text = (tmp_path / "said").read_text()
    assert "Traceback" not in text
    if how == "worker killed":
        assert "A process of the study ended with status -9" in text
    if how != "parent killed":
        return
    alone = [*COMMAND[:-1], "1"]
    done = subprocess.run(alone, cwd=tmp_path, capture_output=True, text=True, check=True)
    assert "The page: out/report/index.html" in done.stdout
    assert not list((tmp_path / "out" / "runs").rglob("*.lock"))
