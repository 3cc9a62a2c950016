"""Progress in a log: a line a minute, with the work's name where a command has several."""

import logging

from graphdown.runtime import progress
from graphdown.runtime.progress import Progress


def test_a_log_gets_a_line_a_minute_with_the_work_and_the_time_left(monkeypatch, caplog):
    clock = [0.0]
    monkeypatch.setattr(progress.time, "monotonic", lambda: clock[0])
    with caplog.at_level(logging.INFO), Progress(1000, 100, "packing the target") as days:
        for _ in range(5):
            clock[0] += 25.0
            days.add(50)
    (line,) = [record.message for record in caplog.records]
    assert line == "packing the target: 250 of 1,000 days, 2 days a second, 6 min left"
