"""Sections of the study page, one for each block of the study."""

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from graphdown.reports.charts import method_colours
from graphdown.reports.html import ChartRow, HtmlTable, Picture
from graphdown.transfer.findings import verdicts
from graphdown.transfer.outcome import Outcome
from graphdown.transfer.report.charts import curve_chart, heat_map, interval_chart
from graphdown.transfer.report.score_tables import adaptation_cells, interval_table, strategy_labels
from graphdown.transfer.select import (
    fine_tuned,
    most_sources,
    of_block,
    of_measure,
    panels_of,
    unseen_rows,
)
from graphdown.transfer.spec import Block

if TYPE_CHECKING:
    import pandas as pd

MOST_ROWS = 16
UNSEEN, SEEN = "sources not learned from", "sources learned from"
GROUP_COLOURS = {UNSEEN: "#d55e00", SEEN: "#0b5cad"}


@dataclass(frozen=True)
class Unseen:
    """Scores of a block on sources that were not learned from.

    Attributes:
        scores: a row for each strategy.
        first: name of the strategy that the others are compared with.
        differences: to that one; None where nothing can be compared.
        verdicts: sentences.
    """

    scores: HtmlTable
    first: str
    differences: HtmlTable | None
    verdicts: list[str]


@dataclass(frozen=True)
class BlockSection:
    """What the page shows of one block.

    Attributes:
        identifier: of the section.
        title, text, shows: those of the block.
        colours: of the charts' lines, if they have a key.
        charts: pictures; of a matrix with many rows, the first row alone is shown at once.
        unseen: scores on sources not learned from, if there are any.
        adaptation: gain and forgetting by years, if there are any.
    """

    identifier: str
    title: str
    text: str
    shows: str
    charts: list[ChartRow]
    colours: dict[str, str] = field(default_factory=dict)
    unseen: Unseen | None = None
    adaptation: HtmlTable | None = None


def block_section(identifier: str, outcome: Outcome, title: str, block: Block) -> BlockSection:
    """Return the section of a block: its charts and the tables below them."""
    about = identifier, title, block.text, block.shows
    if block.shows == "curves":
        tuned = fine_tuned(outcome.adaptation, title)
        return BlockSection(
            *about,
            charts=_curves(outcome, title),
            colours=_strategy_colours(outcome, title),
            adaptation=adaptation_cells(tuned) if len(tuned) else None,
        )
    unseen = _unseen(outcome, title)
    if block.shows == "matrix":
        return BlockSection(*about, charts=_matrices(outcome, title), unseen=unseen)
    return BlockSection(
        *about, charts=[_bars(outcome, title)], colours=GROUP_COLOURS, unseen=unseen
    )


def _matrices(outcome: Outcome, title: str) -> list[ChartRow]:
    """Heat maps of all strategies together, or of each where there are many rows."""
    scores = of_block(outcome.scores, title)
    strategies = list(scores["strategy"].unique())
    if len(strategies) * scores["train"].nunique() <= MOST_ROWS:
        return [ChartRow("", [_matrix(scores, *panel) for panel in panels_of(scores)])]
    parts = {name: scores[scores["strategy"] == name] for name in strategies}
    return [
        ChartRow(name, [_matrix(part, *panel) for panel in panels_of(part)])
        for name, part in parts.items()
    ]


def _matrix(scores: "pd.DataFrame", variable: str, measure: str, label: str) -> Picture:
    table = of_measure(scores, variable, measure).copy()
    learned = table["train"] + table["tune"].map(lambda tune: f" → {tune}" if tune else "")
    single = scores["strategy"].nunique() == 1
    table["row"] = learned if single else table["strategy"] + ": " + learned
    rows, columns = list(table["row"].unique()), list(table["source"].unique())
    values, seen = (
        table.pivot(index="row", columns="source", values=column).loc[rows, columns]
        for column in ("value", "seen")
    )
    content = heat_map(values.to_numpy(float), seen.fillna(False).to_numpy(bool), rows, columns)
    alt = f"{measure} of {variable} by what was trained on and applied to"
    return Picture(content, f"{variable}: {label}", "", alt)


def _strategy_colours(outcome: Outcome, title: str) -> dict[str, str]:
    strategies = list(of_block(outcome.groups, title)["strategy"].unique())
    return method_colours(strategies, strategies[-1])


def _curves(outcome: Outcome, title: str) -> list[ChartRow]:
    groups = of_block(outcome.groups, title)
    colours = _strategy_colours(outcome, title)
    new, first = (groups[groups["group"] == group] for group in ("new", "first"))
    charts = []
    for heading, rows, dashed in (
        ("On the new source", new, first[first["years"] == 0]),
        ("On the sources learned from first (forgetting)", first, first[:0]),
    ):
        pictures = [_curve(rows, dashed, panel, colours) for panel in panels_of(rows)]
        charts += [ChartRow(heading, pictures)] if pictures else []
    return charts


def _curve(
    rows: "pd.DataFrame",
    dashed: "pd.DataFrame",
    panel: tuple[str, str, str],
    colours: dict[str, str],
) -> Picture:
    variable, measure, label = panel
    columns = ["years", "value", "low", "high"]
    curves = {
        str(strategy): part[columns].to_numpy(float)
        for strategy, part in of_measure(rows, variable, measure).groupby("strategy", sort=False)
    }
    before = of_measure(dashed, variable, measure)["value"]
    level = float(before.iloc[0]) if len(before) else None
    alt = f"{measure} of {variable} over years of data"
    return Picture(curve_chart(curves, colours, label, level), f"{variable}: {label}", "", alt)


def _bars(outcome: Outcome, title: str) -> ChartRow:
    groups = most_sources(of_block(outcome.groups, title))
    return ChartRow("", [_bar_chart(groups, *panel) for panel in panels_of(groups)])


def _bar_chart(groups: "pd.DataFrame", variable: str, measure: str, label: str) -> Picture:
    rows = of_measure(groups, variable, measure)
    names = list(rows["strategy"].unique())
    intervals = {
        words: part.set_index("strategy")[["value", "low", "high"]].reindex(names).to_numpy()
        for words, group in ((UNSEEN, "unseen"), (SEEN, "learned"))
        if len(part := rows[rows["group"] == group])
    }
    content = interval_chart(names, intervals, GROUP_COLOURS, label)
    alt = f"{measure} of {variable} by strategy, with intervals"
    return Picture(content, f"{variable}: {label}", "", alt)


def _unseen(outcome: Outcome, title: str) -> Unseen | None:
    rows = unseen_rows(outcome, title)
    if not len(rows):
        return None
    rows = rows.assign(label=strategy_labels(rows))
    compared = rows.dropna(subset=["difference"])
    first = str(rows["strategy"].iloc[0])
    scores = interval_table(rows, rows["label"])
    if not len(compared):
        return Unseen(scores, first, None, [])
    differences = interval_table(compared, compared["label"], "difference", best=False)
    return Unseen(scores, first, differences, verdicts(rows))
