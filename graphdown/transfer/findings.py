"""Findings of a study, in sentences."""

from typing import TYPE_CHECKING

from graphdown.evaluation.measures import MEASURES
from graphdown.evaluation.report.summary import variable_name
from graphdown.evaluation.table import LACKING, format_value, plain_units, value_with_units
from graphdown.transfer.outcome import Outcome
from graphdown.transfer.plan import years_text
from graphdown.transfer.select import (
    fine_tuned,
    most_sources,
    of_measure,
    panels_of,
    unseen_rows,
)

if TYPE_CHECKING:
    import pandas as pd


def findings(outcome: Outcome) -> list[str]:
    """Return sentences for each block: the best strategy on sources that were not learned from."""
    return [
        sentence
        for title in outcome.study.blocks
        for sentence in (_best_unseen(outcome, title), _best_adapted(outcome, title))
        if sentence
    ]


def _best_unseen(outcome: Outcome, title: str) -> str:
    unseen = unseen_rows(outcome, title)
    if not len(unseen):
        return ""
    unseen = most_sources(unseen)
    parts = []
    for variable in unseen["variable"].unique():
        for measure in ("rmse", "signal_rmse"):
            rows = of_measure(unseen, variable, measure).sort_values("value", kind="stable")
            if len(rows) > 1:
                best, second = rows.iloc[0], rows.iloc[1]
                parts.append(
                    f"{MEASURES[measure].label} of {variable_name(variable)} {best['strategy']} "
                    f"{_number(best)}, before {second['strategy']} {_number(second)}"
                )
    return f"{title}, lowest on sources not learned from: {'; '.join(parts)}." if parts else ""


def _best_adapted(outcome: Outcome, title: str) -> str:
    adapted = fine_tuned(outcome.adaptation, title)
    if not len(adapted):
        return ""
    adapted = adapted[adapted["years"] == adapted["years"].max()]
    parts = []
    for variable in adapted["variable"].unique():
        rows = of_measure(adapted, variable, "rmse").sort_values("after", kind="stable")
        best = rows.iloc[0]
        parts.append(
            f"RMSE of {variable_name(variable)} changes from {format_value(best['before'])} to "
            f"{_number(best, 'after')} with {best['strategy']} "
            f"({best['forgetting_percent']:+.1f} % on the first sources)"
        )
    years = years_text(adapted["years"].iloc[0])
    return f"{title}, lowest after {years} of the new source: {'; '.join(parts)}."


def _number(row: "pd.Series", column: str = "value") -> str:
    return value_with_units(row[column], plain_units(str(row["units"])))


def compared_values(scores: "pd.DataFrame") -> list[str]:
    """Return how many values the strategies are compared on, and which have fewer.

    Args:
        scores: see `graphdown.transfer.tables.score_table`.
    """
    used = scores[scores["measure"] == "used"] if len(scores) else scores
    if used.empty:
        return []
    most = used.groupby(["source", "variable"], sort=False)["value"].transform("max")
    whole = used[used["value"] == most].drop_duplicates(["source", "variable"])
    parts = [
        f"{source} {', '.join(f'{int(n):,} of {v}' for v, n in rows[['variable', 'value']].values)}"
        for source, rows in whole.groupby("source", sort=False)
    ]
    fewer = used[used["value"] < most].drop_duplicates(["strategy", "source", "variable"])
    return [
        f"Values that all strategies and the truth have: {'; '.join(parts)}.",
        *(
            f"{LACKING} {strategy} on {source} is scored on {int(n):,} values of {variable} only."
            for strategy, source, variable, n in fewer[
                ["strategy", "source", "variable", "value"]
            ].values
        ),
    ]


def verdicts(unseen: "pd.DataFrame") -> list[str]:
    """Return sentences that compare strategies with a block's first one.

    Args:
        unseen: the block's rows of `group_table` on sources that were not learned from; those
            trained on most sources count.
    """
    rows = most_sources(unseen)
    first = rows["strategy"].iloc[0]
    rows = rows.dropna(subset=["difference_low"])
    sentences = []
    for variable, measure, label in panels_of(rows):
        part = of_measure(rows, variable, measure)
        sentences.append(f"{variable}, {label}: {comparison(part, part['strategy'], first)}.")
    return sentences


def comparison(rows: "pd.DataFrame", names: "pd.Series", first: str) -> str:
    """Return which names are better and worse than the first, by intervals of the difference.

    Args:
        rows: their differences from it, with the columns difference_low and difference_high.
        names: of the rows.
        first: the name that the differences refer to.
    """
    better, worse = rows["difference_high"] < 0, rows["difference_low"] > 0
    parts = [
        f"{words} {', '.join(names[which])}"
        for words, which in (
            (f"better than {first}:", better),
            ("worse:", worse),
            ("not distinguishable:", ~better & ~worse),
        )
        if which.any()
    ]
    return "; ".join(parts)
