"""Tables of scores and the definitions of the measures."""

from collections.abc import Sequence
from itertools import groupby
from typing import TYPE_CHECKING

from graphdown.evaluation.cases import best_methods
from graphdown.evaluation.measures import MEASURES, Measure
from graphdown.evaluation.table import column, format_value, headings, plain_units, shown_columns
from graphdown.reports import html
from graphdown.reports.html import TableCell

if TYPE_CHECKING:
    import pandas as pd


def seen_tag(seen: bool) -> str:
    """Return the label that says whether the source grid was trained on."""
    if seen:
        return '<span class="tag">source grid trained on</span>'
    return '<span class="tag unseen">source grid never trained on</span>'


def score_table(scores: "pd.DataFrame", measures: Sequence[str]) -> str:
    """Return one case's scores: methods as rows, the best of each column marked."""
    columns = shown_columns(scores, measures)
    tops, labels = zip(*headings(scores, columns), strict=True)
    sizes = [len(list(own)) for _, own in groupby(columns, key=lambda column: column[0])]
    groups = list(zip(filter(None, tops), sizes, strict=True))
    values = {key: column(scores, *key) for key in columns}
    best = {key: best_methods(values[key], key[1]) for key in columns}
    rows = [
        (method, [TableCell(format_value(values[k][method]), method in best[k]) for k in columns])
        for method in map(str, scores["method"].unique())
    ]
    explained = [
        (label, MEASURES[name].definition) for label, (_, name) in zip(labels, columns, strict=True)
    ]
    return html.table(groups, explained, rows)


def all_scores(scores: "pd.DataFrame") -> str:
    """Return every measure of one case, a table for each group of measures."""
    groups = dict.fromkeys(m.group for m in MEASURES.values())
    parts = []
    for group in groups:
        names = [m.name for m in MEASURES.values() if m.group == group]
        if shown_columns(scores, names):
            parts.append(html.heading(group.capitalize()) + score_table(scores, names))
    return html.details("All measures of this case", "".join(parts))


def definitions(names: Sequence[str]) -> str:
    """Return the list of measures with their definitions."""
    introduction = html.paragraph(
        "x is the truth and y the prediction, both daily. A value missing in either is left out of "
        "both. Units are those of the variable unless given; a signal of precipitation is in %.",
        "note",
    )
    measures = [MEASURES[name] for name in names]
    return introduction + html.explained({own.label: _definition(own) for own in measures})


def _definition(own: Measure) -> str:
    if own.fixed_units in (None, "1"):
        return own.definition
    return f"{own.definition} [{plain_units(str(own.fixed_units))}]"
