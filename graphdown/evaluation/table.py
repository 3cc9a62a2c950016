"""The closing table as plain text, for the terminal."""

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from graphdown.evaluation.cases import best_methods
from graphdown.evaluation.measures import MEASURES

if TYPE_CHECKING:
    import pandas as pd

GAP = "  "
FLOOR = "floor (chance)"
LACKING = "\N{DAGGER}"  # marks a method that lacks values of the truth
LEAST_WITH_DECIMALS = 1e-3
MEASURES_SHOWN = ("rmse", "bias", "p98_bias", "wasserstein1")


def format_table(scores: "pd.DataFrame", measures: Sequence[str] = MEASURES_SHOWN) -> str:
    """Return one block per case: methods as rows, measures of each variable as columns.

    Args:
        scores: tidy table of `score_cases`.
        measures: names of the measures to show.

    Raises:
        ValueError: an unknown measure, or a table without rows.
    """
    measures = [MEASURES[name].name for name in measures]
    if scores.empty:
        raise ValueError("The table of scores has no rows; score at least one case.")
    blocks = [_block(rows, measures) for _, rows in scores.groupby("case", sort=False)]
    return "\n\n".join([*blocks, "* best of the column (closest to a perfect value)"])


def case_title(scores: "pd.DataFrame") -> str:
    """Return the heading of a case from its rows: its name and whether it was trained on."""
    first = scores.iloc[0]
    return f"{first['case']} ({'trained on' if first['seen'] else 'never trained on'})"


def method_labels(scores: "pd.DataFrame") -> dict[str, str]:
    """Return the methods of one case with their labels, a mark after those that lack values."""
    lacking = _lacking(scores)["method"].unique()
    names = map(str, scores["method"].unique())
    return {name: f"{name} {LACKING}" if name in lacking else name for name in names}


def comparison_notes(scores: "pd.DataFrame") -> list[str]:
    """Return how many values the methods of one case are compared on, and who lacks some."""
    used = scores[scores["measure"] == "used"].groupby("variable", sort=False)["value"].max()
    if used.empty:
        return []
    counts = ", ".join(f"{int(count):,} of {variable}" for variable, count in used.items())
    notes = [f"Compared on the values that all methods and the truth have: {counts}."]
    for method, rows in _lacking(scores).groupby("method", sort=False):
        lacks = zip(rows["value"], rows["variable"], strict=True)
        counts = ", ".join(f"{int(count):,} of {variable}" for count, variable in lacks)
        notes.append(f"{LACKING} {method} lacks values that the truth has: {counts}.")
    return notes


def _lacking(scores: "pd.DataFrame") -> "pd.DataFrame":
    return scores[(scores["measure"] == "lacking") & (scores["value"] > 0)]


def shown_columns(scores: "pd.DataFrame", measures: Sequence[str]) -> list[tuple[str, str]]:
    """Return the (variable, measure) pairs of one case that have a value."""
    present = set(zip(scores["variable"], scores["measure"], strict=True))
    variables = scores["variable"].unique()
    return [(v, m) for v in variables for m in measures if (v, m) in present]


def column(scores: "pd.DataFrame", variable: str, measure_name: str) -> "pd.Series":
    """Return one case's values by method, in the order of its methods; NaN where absent."""
    rows = scores[(scores["variable"] == variable) & (scores["measure"] == measure_name)]
    return rows.set_index("method")["value"].reindex(scores["method"].unique())


def units_of(scores: "pd.DataFrame", variable: str, measure_name: str) -> str:
    """Return the units of a measure of a variable in one case's rows, as people write them."""
    rows = scores[(scores["variable"] == variable) & (scores["measure"] == measure_name)]
    return plain_units(str(rows["units"].iloc[0]))


def format_value(value: float) -> str:
    """Return a number with three decimals below 10, fewer above, "-" where it is missing.

    Below 0.001 it has two significant digits, as errors of specific humidity need.
    """
    if not np.isfinite(value):
        return "-"
    if 0 < abs(value) < LEAST_WITH_DECIMALS:
        return f"{value:.2g}"
    decimals = 3 if abs(value) < 10 else 2 if abs(value) < 100 else 1 if abs(value) < 1e4 else 0
    return f"{value:.{decimals}f}"


def value_with_units(value: float, units: str) -> str:
    """Return a number as of `format_value` with its units, if it has any."""
    return format_value(value) if units == "1" else f"{format_value(value)} {units}"


def headings(scores: "pd.DataFrame", columns: Sequence[tuple[str, str]]) -> list[tuple[str, str]]:
    """Return the two heading lines of each column: variable with its units, and the measure.

    The variable heads the first of its columns, with that column's units; a measure in other
    units has them in its own heading.
    """
    lines = []
    first: dict[str, str] = {}
    for variable, name in columns:
        units = units_of(scores, variable, name)
        suffix = "" if units == "1" else f" [{units}]"
        group = "" if variable in first else f"{variable}{suffix}"
        measure_units = "" if units == first.setdefault(variable, units) else suffix
        lines.append((group, f"{MEASURES[name].label}{measure_units}"))
    return lines


def plain_units(units: str) -> str:
    """Return units as people write them: "mm/day" for "mm day-1"."""
    return re.sub(r" ([a-z]+)-1\b", r"/\1", units)


def _block(scores: "pd.DataFrame", measures: Sequence[str]) -> str:
    columns = shown_columns(scores, measures)
    groups, labels = zip(*headings(scores, columns), strict=True)
    texts = [["", *method_labels(scores).values()]]
    for (variable, name), label in zip(columns, labels, strict=True):
        values = column(scores, variable, name)
        best = best_methods(values, name)
        cells = [f"{format_value(v)}{'*' if m in best else ' '}" for m, v in values.items()]
        texts.append([f"{label} ", *cells])
    of_columns = floors(scores, columns)
    if of_columns:
        texts[0].append(FLOOR)
        for text, floor in zip(texts[1:], of_columns, strict=True):
            text.append(f"{floor} ")
    padded = [_pad(text, left=n == 0) for n, text in enumerate(texts)]
    lines = [GAP.join(line).rstrip() for line in zip(*padded, strict=True)]
    notes = comparison_notes(scores)
    return "\n".join([case_title(scores), _group_line(groups, padded), *lines, *notes])


def floors(scores: "pd.DataFrame", columns: Sequence[tuple[str, str]]) -> list[str]:
    """Return the floor of each column as text, as a distance where a perfect score is not 0.

    Args:
        scores: one case's rows, see `graphdown.evaluation.floor.with_floors`.
        columns: (variable, measure) pairs.
    """
    known = scores.get("floor")
    if known is None or not np.isfinite(known).any():
        return []
    texts = []
    for variable, name in columns:
        rows = (scores["variable"] == variable) & (scores["measure"] == name)
        sign = "" if MEASURES[name].perfect == 0 else "\N{PLUS-MINUS SIGN}"
        value = float(known[rows].iloc[0])
        texts.append(f"{sign if np.isfinite(value) else ''}{format_value(value)}")
    return texts


def _pad(texts: list[str], left: bool) -> list[str]:
    width = max(map(len, texts))
    return [text.ljust(width) if left else text.rjust(width) for text in texts]


def _group_line(groups: Sequence[str], padded: Sequence[list[str]]) -> str:
    """Return the line of variables, each beginning where the first heading below it begins."""
    line = ""
    start = len(padded[0][0]) + len(GAP)
    for group, column_texts in zip(groups, padded[1:], strict=True):
        heading = column_texts[0]
        if group:
            line = line.ljust(start + len(heading) - len(heading.lstrip())) + group
        start += len(heading) + len(GAP)
    return line
