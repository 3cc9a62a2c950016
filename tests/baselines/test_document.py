"""docs/baselines.md names every baseline, and tests that there are."""

import fnmatch
import re
from pathlib import Path

from graphdown.baselines import NETWORKS, QUICK, STATISTICAL

HERE = Path(__file__).parent


def test_each_baseline_has_its_row_and_the_tests_named_exist():
    text = (HERE.parent.parent / "docs" / "baselines.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| ([^|]+) \|", text, re.MULTILINE)
    assert rows[1:] == [*QUICK, *STATISTICAL, *NETWORKS]
    named = re.findall(r"`(test_\w+\.py)(?:::(\w+\*?))?`", text)
    assert len(named) > 15
    for file, test in named:
        functions = re.findall(
            r"^def (\w+)", next(HERE.rglob(file)).read_text("utf-8"), re.MULTILINE
        )
        assert not test or fnmatch.filter(functions, test), (file, test)
