"""Summary of the scores in a few sentences."""

from typing import TYPE_CHECKING

from graphdown.evaluation.measures import MEASURES
from graphdown.evaluation.table import column, units_of, value_with_units
from graphdown.variables.catalogue import describe

if TYPE_CHECKING:
    import pandas as pd


def variable_name(variable: str) -> str:
    """Name of a variable within a sentence; its CMIP name where the catalogue lacks it."""
    return describe(variable).phrase


def variable_title(variable: str) -> str:
    """Name of a variable as a heading."""
    return describe(variable).long_name or variable


def summarise(scores: "pd.DataFrame") -> list[str]:
    """Return a sentence per case: the method with the lowest RMSE of each variable."""
    sentences = []
    for seen, where in ((True, "trained on"), (False, "never trained on")):
        part = scores[scores["seen"] == seen]
        for case, rows in part.groupby("case", sort=False):
            parts = [_ranking(rows, str(v)) for v in rows["variable"].unique()]
            sentences.append(f"On {case} ({where}): {'; '.join(parts)}.")
    return sentences


def _ranking(scores: "pd.DataFrame", variable: str) -> str:
    values = column(scores, variable, "rmse").dropna()
    order = values.map(MEASURES["rmse"].distance).sort_values(kind="stable").index
    units = units_of(scores, variable, "rmse")
    first = f"{order[0]} has the lowest RMSE of {variable_name(variable)}"
    first += f", {value_with_units(values[order[0]], units)}"
    if len(order) == 1:
        return first
    gain = 100 * (1 - values[order[0]] / values[order[1]]) if values[order[1]] > 0 else 0.0
    second = value_with_units(values[order[1]], units)
    return f"{first}, {gain:.0f} % below {order[1]} ({second})"
