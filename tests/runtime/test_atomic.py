"""Under a final name is the old file or folder, or all of the new one."""

import errno
import os
from pathlib import Path

import pytest

from graphdown.runtime import atomic
from graphdown.runtime.atomic import atomic_file, atomic_folder, beside, write_durably


def fill(folder, text):
    (folder / "inner").mkdir(parents=True)
    (folder / "inner" / "a.txt").write_text(text)


def text_in(folder):
    return (folder / "inner" / "a.txt").read_text()


def test_a_file_is_replaced_when_it_is_complete(tmp_path):
    path = tmp_path / "a.csv"
    write_durably(path, "old\r\n")
    with atomic_file(path) as new:
        new.write_text("new")
        assert path.read_bytes() == b"old\r\n"
    assert path.read_text() == "new" and os.listdir(tmp_path) == ["a.csv"]


def test_a_folder_is_replaced_when_it_is_complete(tmp_path):
    for text in ("old", "new"):
        with atomic_folder(tmp_path / "a") as new:
            fill(new, text)
            assert text == "old" or text_in(tmp_path / "a") == "old"
    assert text_in(tmp_path / "a") == "new" and os.listdir(tmp_path) == ["a"]


@pytest.mark.parametrize("error", [OSError(errno.ENOSPC, "full"), KeyboardInterrupt()])
def test_a_block_that_fails_leaves_what_was_there_and_nothing_else(tmp_path, error):
    write_durably(tmp_path / "file", "old")
    fill(tmp_path / "folder", "old")
    with pytest.raises(type(error)), atomic_file(tmp_path / "file") as new:
        new.write_text("half")
        raise error
    with pytest.raises(type(error)), atomic_folder(tmp_path / "folder") as new:
        fill(new, "half")
        raise error
    assert (tmp_path / "file").read_text() == text_in(tmp_path / "folder") == "old"
    assert sorted(os.listdir(tmp_path)) == ["file", "folder"]


def test_contents_are_on_the_disk_before_the_name_and_the_name_before_the_end(
    tmp_path, monkeypatch
):
    steps, real = [], {name: getattr(Path, name) for name in ("rename", "replace")}
    monkeypatch.setattr(atomic, "sync", lambda paths: steps.append({p.name for p in paths}))
    for name, move in real.items():
        monkeypatch.setattr(
            Path, name, lambda self, to, move=move: (steps.append("moved"), move(self, to))[1]
        )
    with atomic_folder(tmp_path / "a") as new:
        fill(new, "text")
    assert steps == [{".a.new", "inner", "a.txt"}, "moved", {tmp_path.name}]
    steps.clear()
    write_durably(tmp_path / "b", "text")
    assert steps == [{".b.new"}, "moved", {tmp_path.name}]


def test_leftovers_of_killed_processes_are_used_or_removed(tmp_path):
    path = tmp_path / "a"
    fill(beside(path, "old"), "old")  # killed between the two renames
    fill(beside(path, "new"), "half")
    with pytest.raises(KeyError), atomic_folder(path) as new:
        assert not new.exists() and text_in(path) == "old"
        raise KeyError
    assert text_in(path) == "old" and os.listdir(tmp_path) == ["a"]
    fill(beside(path, "old"), "older")  # killed after them
    with atomic_folder(path) as new:
        fill(new, "new")
    assert text_in(path) == "new" and os.listdir(tmp_path) == ["a"]
