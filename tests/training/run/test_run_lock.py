"""A run's folder is one process's alone."""

import pytest

from graphdown.errors import ExperimentError, GraphdownError
from graphdown.training.run.lock import LOCK, run_lock


def test_a_folder_is_held_meanwhile_and_nothing_is_left_afterwards(tmp_path):
    with pytest.raises(KeyError), run_lock(tmp_path / "run"):
        assert (tmp_path / "run" / LOCK).exists()
        message = "The run '.*run' is in use by process"
        with pytest.raises(GraphdownError, match=message), run_lock(tmp_path / "run"):
            pass
        raise KeyError
    assert list((tmp_path / "run").iterdir()) == []
    with run_lock(tmp_path / "run"):
        pass


def test_a_folder_that_cannot_be_written_to_is_told(tmp_path):
    (tmp_path / "file").write_text("")
    message = "cannot be written to .*Not a directory.; choose"
    with pytest.raises(ExperimentError, match=message), run_lock(tmp_path / "file" / "run"):
        pass
