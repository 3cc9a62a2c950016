"""Which rows of a study's tables belong together, and what pictures show of them."""

from typing import TYPE_CHECKING

from graphdown.evaluation.measures import MEASURES
from graphdown.evaluation.table import plain_units

if TYPE_CHECKING:
    import pandas as pd

    from graphdown.transfer.outcome import Outcome

SHOWN = ("rmse", "bias", "wasserstein1", "signal_rmse")


def unseen_rows(outcome: "Outcome", title: str) -> "pd.DataFrame":
    """Return a block's rows of `group_table` on sources that were not learned from."""
    own = of_block(outcome.groups, title)
    return own[own["group"] == "unseen"]


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
            own = of_measure(table, variable, measure)
            if len(own):
                units = plain_units(str(own["units"].iloc[0]))
                panels.append((str(variable), measure, f"{MEASURES[measure].label} [{units}]"))
    return panels
