"""The rows of metrics.csv."""

import pandas as pd

from graphdown.training.run.metrics import MetricsLog

ROWS = [{"step": str(step), "loss": f"{1 / step:.6g}"} for step in (10, 20, 30)]
TEXT = b"step,loss\r\n10,0.1\r\n20,0.05\r\n30,0.0333333\r\n"


def test_rows_follow_one_header(tmp_path):
    path = tmp_path / "metrics.csv"
    log = MetricsLog(path, ROWS[:1])
    assert list(pd.read_csv(path)["step"]) == [10]
    log.add(ROWS[1])
    log.add(ROWS[2])
    assert path.read_bytes() == TEXT


def test_whatever_the_file_held_only_the_rows_of_the_checkpoint_stay(tmp_path):
    path = tmp_path / "metrics.csv"
    path.write_bytes(TEXT[:-5] + b"\xff")
    MetricsLog(path, ROWS[:2])
    assert list(pd.read_csv(path)["step"]) == [10, 20]
    MetricsLog(path, [])
    assert not path.exists()


def test_a_column_that_earlier_rows_lack_is_empty_there(tmp_path):
    MetricsLog(tmp_path / "m.csv", ROWS[:1]).add({**ROWS[1], "skipped": "3"})
    assert (tmp_path / "m.csv").read_text() == "step,loss,skipped\n10,0.1,\n20,0.05,3\n"
