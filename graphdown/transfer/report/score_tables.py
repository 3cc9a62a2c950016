"""Tables of scores with their intervals, a column for each variable and measure shown."""

from typing import TYPE_CHECKING

import numpy as np

from graphdown.evaluation.measures import MEASURES
from graphdown.evaluation.table import format_value
from graphdown.reports.html import HtmlTable, TableCell
from graphdown.transfer.plan import years_text
from graphdown.transfer.select import of_measure, panels_of

if TYPE_CHECKING:
    import pandas as pd


def interval_text(value: float, low: float, high: float) -> str:
    """Return a number with its interval, as in "0.512 [0.490, 0.531]"."""
    ends = f" [{format_value(low)}, {format_value(high)}]" if np.isfinite(low) else ""
    return f"{format_value(value)}{ends}"


def interval_table(
    rows: "pd.DataFrame", labels: "pd.Series", value: str = "value", best: bool = True
) -> HtmlTable:
    """Return scores with their intervals.

    Args:
        rows: with the columns variable, measure, units, the value's and its ends'.
        labels: name of the table's row that each belongs to.
        value: "value", "gap" or "difference".
        best: whether to mark the lowest of each column.
    """
    prefix = "" if value == "value" else f"{value}_"
    columns = [value, f"{prefix}low", f"{prefix}high"]
    rows = rows.assign(label=list(labels)).dropna(subset=[value])
    names = list(dict.fromkeys(rows["label"]))
    cells: list[list[TableCell]] = []
    for variable, measure, _ in panels_of(rows):
        part = of_measure(rows, variable, measure).set_index("label").reindex(names)[columns]
        lowest = part[value].min() if best else None
        numbers = part.itertuples(index=False)
        cells.append([TableCell(interval_text(*row), row[0] == lowest) for row in numbers])
    return _table(rows, {name: [column[n] for column in cells] for n, name in enumerate(names)})


def strategy_labels(rows: "pd.DataFrame") -> "pd.Series":
    """Strategy of each row, with the size of the training set where there are several."""
    if rows["trained_on"].nunique() == 1:
        return rows["strategy"]
    return rows["strategy"] + rows["trained_on"].map(lambda n: f" (trained on {n})")


def adaptation_cells(rows: "pd.DataFrame") -> HtmlTable:
    """Return the share of the gap that fine-tuning closed, and forgetting, by strategy and years.

    Args:
        rows: of `adaptation_table`.
    """
    names = list(dict.fromkeys(zip(rows["strategy"], rows["years"], strict=True)))
    cells: dict[str, list[TableCell]] = {}
    for variable, measure, _ in panels_of(rows):
        part = of_measure(rows, variable, measure).set_index(["strategy", "years"])
        for strategy, years in names:
            row = part.loc[(strategy, years)]
            share, forgetting = row["closed"], row["forgetting_percent"]
            closed = f"{100 * share:.0f} %" if np.isfinite(share) else "no gap"
            text = f"{closed}, {forgetting:+.1f} %"
            cells.setdefault(f"{strategy}, {years_text(years)}", []).append(TableCell(text))
    return _table(rows, cells)


def _table(rows: "pd.DataFrame", cells: dict[str, list[TableCell]]) -> HtmlTable:
    panels = panels_of(rows)
    sizes = {v: sum(panel[0] == v for panel in panels) for v, _, _ in panels}
    headings = [(label, MEASURES[measure].definition) for _, measure, label in panels]
    return HtmlTable(list(sizes.items()), headings, list(cells.items()))
