"""Run a transfer study and write its tables and a picture to the results.

Example: python benchmarks/transfer.py configs/transfer_ensemble.yaml

Runs are resumed or reused if they exist. Writes benchmarks/results/<name of the study's file>.md,
.json and .png; with --quick the name ends in _quick.
"""

import argparse
import json
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from common_arguments import benchmark_parser, parse
from results_table import markdown_table, page_head, write_results

from graphdown.evaluation.measures import MEASURES
from graphdown.evaluation.table import plain_units
from graphdown.runtime.compilation_cache import keep_compiled
from graphdown.transfer.findings import findings, verdicts
from graphdown.transfer.outcome import Outcome
from graphdown.transfer.report.score_tables import interval_text
from graphdown.transfer.select import SHOWN, of_block, unseen_rows
from graphdown.transfer.spec import load_study
from graphdown.transfer.study import transfer

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def main() -> None:
    parser = benchmark_parser(__doc__, "study", seeds=None, jobs=1, overrides=())
    parser.add_argument("--quick", action="store_true", help="the file's small version")
    options = parse(parser)
    keep_compiled()
    overrides = [*options.overrides]
    overrides += [] if options.seeds is None else [f"seeds={options.seeds}"]
    outcome = transfer(load_study(options.study, overrides, options.quick), jobs=options.jobs)
    name = options.study.stem + ("_quick" if options.quick else "")
    tables = {"groups": outcome.groups, "adaptation": outcome.adaptation}
    figures = {n: rows_of(t[t["measure"].isin(SHOWN)]) for n, t in tables.items() if len(t)}
    figures = {"seconds": seconds(outcome), **figures}
    write_results(options, name, page(outcome, options), figures, indent=None)
    picture(outcome, options.output / f"{name}.png")


def rows_of(table: pd.DataFrame) -> list[dict]:
    """Return the rows of a table, with few digits."""
    return json.loads(table.to_json(orient="records", double_precision=4))


def seconds(outcome: Outcome) -> float:
    """Return the seconds of all runs together, without loading the data."""
    kinds = ("learning_seconds", "scoring_seconds")
    return sum(run.attrs[k] for runs in outcome.results.values() for run in runs for k in kinds)


def page(outcome: Outcome, options: argparse.Namespace) -> list[str]:
    study = outcome.study
    periods = study.experiment_of(next(iter(study.strategies))).periods
    runs = sum(len(seeds) for seeds in outcome.results.values())
    minutes = f"{seconds(outcome) / 60:.0f} minutes"
    remark = f". {runs} runs, together {minutes}, {options.jobs} at a time"
    lines = [
        *page_head(study.name, options, remark),
        f"Trained on {' to '.join(periods.train)}, scored on {' to '.join(periods.test)}; the "
        f"signal is the change from {' to '.join(periods.validation)}. Means over {study.seeds} "
        "seeds (methods without random numbers: one) and over cells, with 95 % intervals over "
        "months and seeds.",
        "",
        *(f"- {sentence}" for sentence in findings(outcome)),
    ]
    for title, block in study.blocks.items():
        lines += ["", f"## {title}", "", block.text, *block_lines(outcome, title)]
    return lines


def block_lines(outcome: Outcome, title: str) -> Iterator[str]:
    unseen = unseen_rows(outcome, title)
    if len(unseen):
        yield from ["", "Sources not learned from:", "", *table(unseen, "value")]
        compared = unseen.dropna(subset=["difference"])
        if len(compared):
            first = unseen["strategy"].iloc[0]
            yield from ["", f"The same, minus {first}, on the same days:", ""]
            yield from table(compared, "difference")
            yield from ["", *(f"- {sentence}" for sentence in verdicts(unseen))]
        yield from ["", "Generalisation gap:", "", *table(unseen, "gap")]
    changes = of_block(outcome.adaptation, title)
    if len(changes):
        yield from ["", "Fine-tuned:", "", *adapted(changes)]


def columns_of(rows: pd.DataFrame) -> list[tuple[str, str, str]]:
    names = ["variable", "measure"]
    units = rows.drop_duplicates(names).set_index(names)["units"]
    return [
        (v, m, f"{v} {MEASURES[m].label} [{plain_units(units[v, m])}]")
        for v in rows["variable"].unique()
        for m in SHOWN
        if (v, m) in units
    ]


def table(scores: pd.DataFrame, value: str) -> list[str]:
    low, high = ("low", "high") if value == "value" else (f"{value}_low", f"{value}_high")
    heads, rows = columns_of(scores), []
    for (strategy, size), part in scores.groupby(["strategy", "trained_on"], sort=False):
        by = part.set_index(["variable", "measure"])
        cells = [interval_text(*by.loc[(v, m), [value, low, high]]) for v, m, _ in heads]
        rows.append([strategy, str(size), *cells])
    return markdown_table(["strategy", "trained on", *(label for _, _, label in heads)], rows)


def adapted(changes: pd.DataFrame) -> list[str]:
    heads, rows = columns_of(changes), []
    for (strategy, train, years), part in changes.groupby(
        ["strategy", "train", "years"], sort=False, dropna=False
    ):
        by = part.set_index(["variable", "measure"])
        cells = []
        for v, m, _ in heads:
            row = by.loc[(v, m)]
            share = f", {100 * row['closed']:.0f} % closed" if np.isfinite(row["closed"]) else ""
            cells.append(
                f"{row['before']:.3f} to {row['after']:.3f}{share}; "
                f"first sources {row['forgetting_percent']:+.1f} %"
            )
        rows.append([strategy, train, "all" if np.isnan(years) else f"{years:g}", *cells])
    return markdown_table(["strategy", "train", "years", *(label for _, _, label in heads)], rows)


def picture(outcome: Outcome, path: Path) -> None:
    """Draw RMSE of the first variable: of strategies on unseen sources, and over years."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    groups = outcome.groups[outcome.groups["measure"] == "rmse"]
    variable = groups["variable"].iloc[0]
    groups = groups[groups["variable"] == variable]
    blocks = list(groups["block"].unique())
    size = -(-len(blocks) // 3), min(3, len(blocks))
    inches = 4.6 * size[1], 3.4 * size[0]
    figure, axes = plt.subplots(*size, figsize=inches, squeeze=False, layout="constrained")
    for axis in axes.flat[len(blocks) :]:
        axis.set_axis_off()
    for axis, block in zip(axes.flat, blocks, strict=False):
        part = groups[groups["block"] == block]
        new, unseen = (part[part["group"] == group] for group in ("new", "unseen"))
        if len(new):
            draw_curves(axis, new, variable)
        else:
            draw_intervals(axis, unseen, variable)
        axis.set_title(block, fontsize=9)
        axis.grid(alpha=0.3)
    figure.savefig(path, dpi=100)
    plt.close(figure)


def draw_curves(axis: "Axes", new: pd.DataFrame, variable: str) -> None:
    for strategy, part in new.groupby("strategy", sort=False):
        axis.plot(part["years"], part["value"], "o-", label=strategy)
    axis.set(xlabel="years of the new source", ylabel=f"RMSE of {variable}")
    axis.legend(fontsize=7, loc="center left", bbox_to_anchor=(1.0, 0.5))


def draw_intervals(axis: "Axes", unseen: pd.DataFrame, variable: str) -> None:
    labels = unseen["strategy"] + " (" + unseen["trained_on"].astype(str) + ")"
    place = np.arange(len(unseen))[::-1]
    axis.hlines(place, unseen["low"], unseen["high"])
    axis.plot(unseen["value"], place, "o")
    axis.set_yticks(place, labels, fontsize=7)
    axis.set_xlabel(f"RMSE of {variable}, unseen sources")


if __name__ == "__main__":
    main()
