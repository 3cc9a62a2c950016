"""Tables of scores and the definitions of the measures."""

from collections.abc import Sequence
from itertools import groupby
from typing import TYPE_CHECKING

from graphdown.evaluation.cases import best_methods
from graphdown.evaluation.measures import MEASURES, Measure
from graphdown.evaluation.table import (
    FLOOR,
    column,
    floors,
    format_value,
    headings,
    method_labels,
    plain_units,
    shown_columns,
)
from graphdown.reports.html import HtmlTable, TableCell

if TYPE_CHECKING:
    import pandas as pd


def score_table(scores: "pd.DataFrame", measures: Sequence[str]) -> HtmlTable:
    """Return one case's scores: methods as rows, the best of each column marked."""
    columns = shown_columns(scores, measures)
    tops, labels = zip(*headings(scores, columns), strict=True)
    sizes = [len(list(group)) for _, group in groupby(columns, key=lambda column: column[0])]
    groups = list(zip(filter(None, tops), sizes, strict=True))
    values = {key: column(scores, *key) for key in columns}
    best = {key: best_methods(values[key], key[1]) for key in columns}
    rows = [
        (label, [TableCell(format_value(values[k][method]), method in best[k]) for k in columns])
        for method, label in method_labels(scores).items()
    ]
    of_columns = floors(scores, columns)
    if of_columns:
        rows.append((FLOOR, [TableCell(text, False) for text in of_columns]))
    explained = [
        (label, MEASURES[name].definition) for label, (_, name) in zip(labels, columns, strict=True)
    ]
    return HtmlTable(groups, explained, rows)


def all_scores(scores: "pd.DataFrame") -> dict[str, HtmlTable]:
    """Return every measure of one case, a table for each group of measures."""
    tables = {}
    for group in dict.fromkeys(m.group for m in MEASURES.values()):
        names = [m.name for m in MEASURES.values() if m.group == group]
        if shown_columns(scores, names):
            tables[group.capitalize()] = score_table(scores, names)
    return tables


def definitions(names: Sequence[str]) -> dict[str, str]:
    """Return the definitions of measures by their labels."""
    return {MEASURES[name].label: _definition(MEASURES[name]) for name in names}


def _definition(described: Measure) -> str:
    if described.fixed_units in (None, "1"):
        return described.definition
    return f"{described.definition} [{plain_units(str(described.fixed_units))}]"
