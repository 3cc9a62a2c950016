"""The page of a study: one file that opens from disk."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from graphdown.evaluation.measures import MEASURES
from graphdown.evaluation.report.score_tables import definitions
from graphdown.evaluation.table import format_value
from graphdown.reports import html
from graphdown.reports.charts import method_colours
from graphdown.reports.html import Picture, TableCell
from graphdown.transfer.findings import findings, verdicts
from graphdown.transfer.plan import years_text
from graphdown.transfer.report.charts import curve_chart, heat_map, interval_chart
from graphdown.transfer.report.maps import signal_maps
from graphdown.transfer.select import SHOWN, of_block, of_measure, panels_of, unseen_rows
from graphdown.transfer.spec import Block

if TYPE_CHECKING:
    import pandas as pd

    from graphdown.transfer.outcome import Outcome

MOST_ROWS = 16
UNSEEN, SEEN = "sources not learned from", "sources learned from"
GROUP_COLOURS = {UNSEEN: "#d55e00", SEEN: "#0b5cad"}
READ = {
    "matrix": (
        "How to read it: a row is what was trained on, a column what the result was applied to, a "
        "number the score (mean over the seeds; light is good). Blue frames are sources that were "
        "learned from. A row whose numbers stay as light outside of the frames generalises; a "
        "column that is dark in every row is a hard source."
    ),
    "curves": (
        "How to read it: each line is a strategy, and its points say how good it is on the new "
        "source with so many years of it; bars are 95 % intervals. The dashed line is the score on "
        "the sources that the first training learned from, before fine-tuning: a line that reaches "
        "it has closed the generalisation gap. At 0 years all fine-tuned strategies are the "
        "network that they start from. The second row shows the price: the score on those first "
        "sources after fine-tuning. A line that rises forgets."
    ),
    "bars": (
        "How to read it: points are scores (lower is better), lines 95 % intervals; orange are "
        "sources that were not learned from, blue those that were. The distance between the two is "
        "the generalisation gap. Strategies whose lines overlap widely cannot be told apart here; "
        "differences of two strategies on one source are better known than each of them, since "
        "both meet the same days."
    ),
}
INTERVALS = (
    "Intervals hold what the days and the seeds leave open: months of the test period (years, if "
    "there are ten or more) are drawn with replacement, prediction and truth together, and in each "
    "draw as many seeds as there are (block bootstrap, Carlstein 1986, Kunsch 1989; 2.5 % to "
    "97.5 % of the draws, moved so that their mean is the estimate). They do not hold that another "
    "set of models or another region might order the strategies otherwise."
)


def write_page(outcome: "Outcome") -> None:
    """Write the page of a study's outcome, with pictures inside."""
    study = outcome.study
    sections = [
        (f"block-{n}", title, _block(outcome, title, block))
        for n, (title, block) in enumerate(study.blocks.items(), 1)
    ]
    sections += [
        ("gap", "Generalisation gap", _gap(outcome)),
        ("signal", "Maps of the climate-change signal", signal_maps(outcome)),
        ("strategies", "Strategies", _strategies(outcome)),
        ("scores", "All cells", _all_cells(outcome)),
        ("measures", "What is measured", definitions([*SHOWN, "mean_bias", "perkins"])),
    ]
    first = study.experiment_of(next(iter(study.strategies)))
    periods = first.periods
    introduction = "".join(
        [
            *(html.paragraph(text, "lead") for text in findings(outcome)),
            html.paragraph(
                f"Trained on {' to '.join(periods.train)}, stopped and tuned on "
                f"{' to '.join(periods.validation)}, scored on {' to '.join(periods.test)}; the "
                "change signal is scored period minus tuning period.",
                "note",
            ),
            html.paragraph(INTERVALS, "note"),
        ]
    )
    outcome.page.parent.mkdir(parents=True, exist_ok=True)
    outcome.page.write_text(html.document(study.name, introduction, sections), encoding="utf-8")


def _block(outcome: "Outcome", title: str, block: Block) -> str:
    draw = {"matrix": _matrices, "curves": _curves, "bars": _bars}[block.shows]
    parts = [html.paragraph(block.text)] if block.text else []
    parts += [html.paragraph(READ[block.shows], "note"), draw(outcome, title)]
    if block.shows == "curves":
        parts.append(_adaptation(outcome, title))
    else:
        parts.append(_unseen(outcome, title))
    return "".join(parts)


def _matrices(outcome: "Outcome", title: str) -> str:
    own = of_block(outcome.scores, title)
    strategies = list(own["strategy"].unique())
    many = len(strategies) * own["train"].nunique() > MOST_ROWS
    groups = [[name] for name in strategies] if many else [strategies]
    parts = []
    for number, names in enumerate(groups):
        rows = own[own["strategy"].isin(names)]
        body = html.charts([_matrix(rows, *panel) for panel in panels_of(rows)])
        name = names[0] if many else ""
        shown = html.subheading(name) + body if name else body
        parts.append(shown if number == 0 else html.details(name, body))
    return "".join(parts)


def _matrix(own: "pd.DataFrame", variable: str, measure: str, label: str) -> Picture:
    one = own["strategy"].nunique() == 1
    table = of_measure(own, variable, measure).copy()
    learned = table["train"] + table["tune"].map(lambda tune: f" → {tune}" if tune else "")
    table["row"] = learned if one else table["strategy"] + ": " + learned
    rows, columns = list(table["row"].unique()), list(table["source"].unique())
    values, seen = (
        table.pivot(index="row", columns="source", values=column).loc[rows, columns]
        for column in ("value", "seen")
    )
    content = heat_map(values.to_numpy(float), seen.fillna(False).to_numpy(bool), rows, columns)
    alt = f"{measure} of {variable} by what was trained on and applied to"
    return Picture(content, f"{variable}: {label}", "", alt)


def _curves(outcome: "Outcome", title: str) -> str:
    own = of_block(outcome.groups, title)
    strategies = list(own["strategy"].unique())
    colours = method_colours(strategies, strategies[-1])
    new, first = (own[own["group"] == group] for group in ("new", "first"))
    parts = [html.colour_key(colours, "the sources learned from first, before fine-tuning")]
    for heading, rows, dashed in (
        ("On the new source", new, first[first["years"] == 0]),
        ("On the sources learned from first (forgetting)", first, first[:0]),
    ):
        pictures = [_curve(rows, dashed, panel, colours) for panel in panels_of(rows)]
        parts += [html.subheading(heading), html.charts(pictures)] if pictures else []
    return "".join(parts)


def _curve(
    rows: "pd.DataFrame",
    dashed: "pd.DataFrame",
    panel: tuple[str, str, str],
    colours: dict[str, str],
) -> Picture:
    variable, measure, label = panel
    columns = ["years", "value", "low", "high"]
    curves = {
        str(strategy): own[columns].to_numpy(float)
        for strategy, own in of_measure(rows, variable, measure).groupby("strategy", sort=False)
    }
    before = of_measure(dashed, variable, measure)["value"]
    level = float(before.iloc[0]) if len(before) else None
    alt = f"{measure} of {variable} over years of data"
    return Picture(curve_chart(curves, colours, label, level), f"{variable}: {label}", "", alt)


def _bars(outcome: "Outcome", title: str) -> str:
    own = of_block(outcome.groups, title)
    own = own[own["trained_on"] == own["trained_on"].max()]
    pictures = []
    for variable, measure, label in panels_of(own):
        rows = of_measure(own, variable, measure)
        names = list(rows["strategy"].unique())
        groups = {
            words: part.set_index("strategy")[["value", "low", "high"]].reindex(names).to_numpy()
            for words, group in ((UNSEEN, "unseen"), (SEEN, "learned"))
            if len(part := rows[rows["group"] == group])
        }
        content = interval_chart(names, groups, GROUP_COLOURS, label)
        alt = f"{measure} of {variable} by strategy, with intervals"
        pictures.append(Picture(content, f"{variable}: {label}", "", alt))
    return html.colour_key(GROUP_COLOURS) + html.charts(pictures)


def interval_text(value: float, low: float, high: float) -> str:
    """Return a number with its interval, as in "0.512 [0.490, 0.531]"."""
    ends = f" [{format_value(low)}, {format_value(high)}]" if np.isfinite(low) else ""
    return f"{format_value(value)}{ends}"


def wide_table(
    table: "pd.DataFrame", labels: "pd.Series", prefix: str = "", best: bool = True
) -> str:
    """Return rows of scores as an HTML table: a column for each variable and measure shown.

    Args:
        table: rows with variable, measure, units and the value's columns.
        labels: name of the row that each belongs to.
        prefix: of the value's columns, as "gap".
        best: whether to mark the lowest of each column.
    """
    value = prefix or "value"
    ends = [f"{prefix}_{end}" if prefix else end for end in ("low", "high")]
    table = table.assign(label=list(labels)).dropna(subset=[value])
    panels = panels_of(table)
    sizes = {v: sum(panel[0] == v for panel in panels) for v, _, _ in panels}
    columns = []
    names = list(dict.fromkeys(table["label"]))
    for variable, measure, _ in panels:
        own = of_measure(table, variable, measure).set_index("label").reindex(names)
        lowest = own[value].min() if best else None
        columns.append(
            [TableCell(interval_text(v, *e), v == lowest) for v, e in _rows_of(own, value, ends)]
        )
    heads = [(label, MEASURES[measure].definition) for _, measure, label in panels]
    rows = [(name, [column[n] for column in columns]) for n, name in enumerate(names)]
    return html.table(list(sizes.items()), heads, rows)


def _rows_of(
    own: "pd.DataFrame", value: str, ends: Sequence[str]
) -> list[tuple[float, tuple[float, float]]]:
    pairs = zip(own[ends[0]], own[ends[1]], strict=True)
    return list(zip(own[value], pairs, strict=True))


def _unseen(outcome: "Outcome", title: str) -> str:
    own = unseen_rows(outcome, title)
    if not len(own):
        return ""
    several = own["trained_on"].nunique() > 1
    sizes = own["trained_on"].map(lambda n: f" (trained on {n})")
    own = own.assign(label=own["strategy"] + (sizes if several else ""))
    parts = [
        html.subheading("Mean over the sources that were not learned from"),
        wide_table(own, own["label"]),
    ]
    compared = own.dropna(subset=["difference"])
    if len(compared):
        first = own["strategy"].iloc[0]
        parts += [
            html.subheading(f"The same, minus {first}"),
            html.paragraph(
                f"Above 0: worse than {first}. Both on the same days and sources, so that these "
                "intervals, unlike those above, tell whether two strategies differ: they do where "
                "an interval does not hold 0.",
                "note",
            ),
            wide_table(compared, compared["label"], "difference", best=False),
            *map(html.paragraph, verdicts(own)),
        ]
    return "".join(parts)


def _adaptation(outcome: "Outcome", title: str) -> str:
    own = of_block(outcome.adaptation, title)
    own = own[own["years"] > 0] if len(own) else own
    if not len(own):
        return ""
    panels = panels_of(own)
    names = list(dict.fromkeys(zip(own["strategy"], own["years"], strict=True)))
    rows: dict[tuple[str, float], list[TableCell]] = {name: [] for name in names}
    for variable, measure, _ in panels:
        table = of_measure(own, variable, measure).set_index(["strategy", "years"])
        for name in names:
            row = table.loc[name]
            share, lost = row["closed"], row["forgetting_percent"]
            closed = f"{100 * share:.0f} %" if np.isfinite(share) else "no gap"
            rows[name].append(TableCell(f"{closed}, {lost:+.1f} %"))
    sizes = {v: sum(panel[0] == v for panel in panels) for v, _, _ in panels}
    heads = [(label, MEASURES[measure].definition) for _, measure, label in panels]
    body = [
        (f"{strategy}, {years_text(years)}", cells) for (strategy, years), cells in rows.items()
    ]
    return (
        html.subheading("Share of the gap closed, and forgetting")
        + html.paragraph(
            "First the share of the generalisation gap (the network before fine-tuning, on the new "
            "source minus on its own sources) that fine-tuning closed; 100 % means as good as on "
            "the sources learned from first. Then by how much the score on those became worse "
            "(minus: better). Where there was no gap, there is no share.",
            "note",
        )
        + html.table(list(sizes.items()), heads, body)
    )


def _gap(outcome: "Outcome") -> str:
    text = html.paragraph(
        "Score on sources that were not learned from minus the mean score on those that were, by "
        "distance from perfect; 0 means that a method is as good on a model it never saw. A method "
        "without skill has no gap: read it beside the scores.",
        "note",
    )
    parts = [text]
    for title, own in outcome.groups.dropna(subset=["gap"]).groupby("block", sort=False):
        several = own["trained_on"].nunique() > 1
        sizes = own["trained_on"].map(lambda n: f" (trained on {n})")
        labels = own["strategy"] + (sizes if several else "")
        parts += [html.subheading(str(title)), wide_table(own, labels, "gap", best=False)]
    return "".join(parts)


def _strategies(outcome: "Outcome") -> str:
    texts = {}
    for name, own in outcome.study.strategies.items():
        parts = [own.text] if own.text else []
        parts += [f"Baseline {own.baseline}."] if own.baseline else []
        parts += [f"Goes on from {own.start or own.run}."] if own.start or own.run else []
        if own.start or own.run:
            parts.append(f"Moves {own.finetune.trainable}.")
        parts += [f"{key}: {value}." for key, value in own.set.items()]
        texts[name] = " ".join(parts) or "The experiment as it is."
    return html.explained(texts)


def _all_cells(outcome: "Outcome") -> str:
    parts = []
    for title, own in outcome.scores.groupby("block", sort=False):
        years = own["years"].map(lambda n: "" if np.isnan(n) else f", {years_text(n)}")
        tuned = own["tune"].map(lambda names: f" → {names}" if names else "")
        labels = own["strategy"] + ": " + own["train"] + tuned + years + " on " + own["source"]
        parts.append(html.details(str(title), wide_table(own, labels, best=False)))
    return "".join(parts)
