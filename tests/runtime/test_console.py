import io
import logging
import sys

from tqdm import tqdm

from graphdown.runtime.console import notices_shown


def test_notices_are_plain_lines_once_above_a_progress_bar(monkeypatch):
    terminal, elsewhere = io.StringIO(), io.StringIO()
    of_a_library = logging.StreamHandler(elsewhere)
    logging.getLogger().addHandler(of_a_library)
    monkeypatch.setattr(sys, "stderr", terminal)
    logger = logging.getLogger("graphdown.data.reading.rules")
    before = logging.getLogger("graphdown").level
    with notices_shown():
        for _ in tqdm(range(2), file=terminal, mininterval=0.0, desc="train"):
            logger.info("%s days left out", 3)
            logger.debug("never shown")
        logger.warning("ends in the margin")
    assert elsewhere.getvalue() == ""
    logger.error("after")
    logging.getLogger().removeHandler(of_a_library)
    assert elsewhere.getvalue() == "after\n"
    assert logging.getLogger("graphdown").level == before
    text = terminal.getvalue()
    assert text.count("3 days left out\n") == 1 and text.count("ends in the margin\n") == 1
    assert "\r3 days left out\n" in text  # the bar was cleared first
    assert "never" not in text and "after" not in text.split("margin\n")[1]
