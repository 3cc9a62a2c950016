"""The rows of metrics.csv."""

import pandas as pd

from graphdown.training.metrics import MetricsLog

ROWS = [{"step": str(step), "loss": f"{1 / step:.6g}"} for step in (10, 20, 30)]


def filled(path):
    log = MetricsLog(path, 0)
    for row in ROWS:
        log.add(row)
    return log


def test_rows_follow_one_header(tmp_path):
    path = tmp_path / "metrics.csv"
    filled(path)
    assert path.read_bytes() == b"step,loss\r\n10,0.1\r\n20,0.05\r\n30,0.0333333\r\n"


def test_rows_after_the_step_resumed_at_are_dropped(tmp_path):
    path = tmp_path / "metrics.csv"
    filled(path)
    whole = path.read_bytes()
    log = MetricsLog(path, 20)
    assert list(pd.read_csv(path)["step"]) == [10, 20]
    log.add(ROWS[2])
    assert path.read_bytes() == whole
    MetricsLog(path, 30)
    assert path.read_bytes() == whole


def test_a_run_that_starts_anew_starts_an_empty_file(tmp_path):
    path = tmp_path / "metrics.csv"
    filled(path)
    log = MetricsLog(path, 0)
    assert not path.exists()
    log.add({"step": "5", "score": "2"})
    assert list(pd.read_csv(path)) == ["step", "score"]
