"""Rows of a study's tables that belong together, and the measures that pictures show."""

from typing import TYPE_CHECKING

from graphdown.evaluation.measures import MEASURES
from graphdown.evaluation.table import plain_units
from graphdown.transfer.outcome import Outcome

if TYPE_CHECKING:
    import pandas as pd

SHOWN = ("rmse", "bias", "wasserstein1", "signal_rmse")


def unseen_rows(outcome: Outcome, title: str) -> "pd.DataFrame":
    """Return a block's rows of `group_table` on sources that were not learned from."""
    rows = of_block(outcome.groups, title)
    return rows[rows["group"] == "unseen"]


def most_sources(rows: "pd.DataFrame") -> "pd.DataFrame":
    """Return the rows of `group_table` that were trained on most sources."""
    return rows[rows["trained_on"] == rows["trained_on"].max()]


def fine_tuned(adaptation: "pd.DataFrame", title: str) -> "pd.DataFrame":
    """Return a block's rows of `adaptation_table` with a number of years above 0."""
    rows = of_block(adaptation, title)
    return rows[rows["years"] > 0] if len(rows) else rows


def of_block(table: "pd.DataFrame", title: str) -> "pd.DataFrame":
    """Return a block's rows of any table, which may be empty."""
    return table[table["block"] == title] if len(table) else table


def of_measure(table: "pd.DataFrame", variable: str, measure: str) -> "pd.DataFrame":
    """Return the rows of one variable and measure."""
    return table[(table["variable"] == variable) & (table["measure"] == measure)]


def panels_of(table: "pd.DataFrame") -> list[tuple[str, str, str]]:
    """Return each variable and measure that pictures show, and the label of its axis."""
    panels = []
    for variable in table["variable"].unique():
        for measure in SHOWN:
            rows = of_measure(table, variable, measure)
            if len(rows):
                units = plain_units(str(rows["units"].iloc[0]))
                panels.append((str(variable), measure, f"{MEASURES[measure].label} [{units}]"))
    return panels
