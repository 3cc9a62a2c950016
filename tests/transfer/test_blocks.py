"""Sections of the study page from the hand-made scores of the tables' tests."""

from types import SimpleNamespace

import pytest

from graphdown.transfer.report.study_blocks import SEEN, UNSEEN, block_section
from graphdown.transfer.spec import Block
from graphdown.transfer.tables import adaptation_table, group_table, score_table

from .test_tables import APPLY, CELLS, RESULTS

TRAIN = (("A", "B"),)


@pytest.fixture(scope="module")
def outcome():
    tables = {"scores": score_table, "groups": group_table, "adaptation": adaptation_table}
    return SimpleNamespace(**{name: make(CELLS, RESULTS) for name, make in tables.items()})


def test_curves_have_a_row_for_new_and_first_sources_and_a_table_of_the_gap(outcome):
    block = Block(("full",), TRAIN, APPLY, tune=("D",), years=(0, 3), shows="curves")
    section = block_section("block-1", outcome, "few", block)
    assert [row.title for row in section.charts] == [
        "On the new source",
        "On the sources learned from first (forgetting)",
    ]
    assert [len(row.pictures) for row in section.charts] == [1, 1]
    assert list(section.colours) == ["full"] and section.unseen is None
    ((name, cells),) = section.adaptation.rows
    # The gap of 2.6 shrinks by 1.6; the mean on A and B rises from 1.6 by 0.1.
    assert (name, [cell.text for cell in cells]) == ("full, 3 years", ["62 %, +6.2 %"])


@pytest.mark.parametrize("shows", ["bars", "matrix"])
def test_other_blocks_have_a_table_of_unseen_sources(outcome, shows):
    section = block_section(
        "block-1", outcome, "out", Block(("network",), TRAIN, APPLY, shows=shows)
    )
    (row,) = section.charts
    assert len(row.pictures) == 1 and section.adaptation is None
    assert set(section.colours) == ({UNSEEN, SEEN} if shows == "bars" else set())
    ((name, (cell,)),) = section.unseen.scores.rows
    assert name == "network" and cell.best and cell.text.startswith("4.200 [")
    assert section.unseen.differences is None and section.unseen.verdicts == []
