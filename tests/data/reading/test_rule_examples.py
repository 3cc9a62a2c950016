"""Every rule has an example, whose sentence is the one that the documentation shows."""

import pytest
import yaml

from graphdown.data.reading.rules import NOTICES, REFUSALS, REPAIRS

from .rule_examples import EXAMPLES, NOTICE, REFUSAL, REPAIR, STORED, sentence

SHOWN = yaml.safe_load(STORED.read_text(encoding="utf-8"))


def test_every_rule_has_an_example():
    assert set(REPAIR) == set(REPAIRS)
    assert set(NOTICE) == set(NOTICES)
    assert set(REFUSAL) == set(REFUSALS)
    assert set(SHOWN) == set(EXAMPLES)


@pytest.mark.parametrize("rule", EXAMPLES)
def test_the_documentation_shows_the_sentence(rule, tmp_path):
    now = {"input": EXAMPLES[rule].input, "sentence": sentence(rule, tmp_path)}
    assert SHOWN[rule] == now, "run `python -m tests.data.reading.rule_examples`"
