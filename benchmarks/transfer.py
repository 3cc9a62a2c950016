"""Do a transfer study and put its tables and a picture among the results.

Example: python benchmarks/transfer.py configs/transfer_ensemble.yaml

Runs are continued or reused if they exist. Writes benchmarks/results/<name of the study's file>.md,
.json and .png; with --quick the name ends in _quick.
"""

import argparse
import json
from pathlib import Path

import numpy as np
import pandas as pd
from results_table import RESULTS, machine, markdown_table, write_text

from graphdown.evaluation.measures import MEASURES
from graphdown.evaluation.table import plain_units
from graphdown.runtime.compilation_cache import keep_compiled
from graphdown.transfer.findings import findings, verdicts
from graphdown.transfer.outcome import Outcome
from graphdown.transfer.report.score_tables import interval_text
from graphdown.transfer.select import SHOWN
from graphdown.transfer.spec import load_study
from graphdown.transfer.study import transfer


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("study", type=Path)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--seeds", type=int)
    parser.add_argument("--jobs", type=int, default=1)
    options = parser.parse_args()
    keep_compiled()
    seeds = [] if options.seeds is None else [f"seeds={options.seeds}"]
    outcome = transfer(load_study(options.study, seeds, options.quick), jobs=options.jobs)
    words = [str(options.study), *(["--quick"] if options.quick else [])]
    words += [] if options.seeds is None else ["--seeds", str(options.seeds)]
    words += [] if options.jobs == 1 else ["--jobs", str(options.jobs)]
    command = f"python benchmarks/transfer.py {' '.join(words)}"
    name = options.study.stem + ("_quick" if options.quick else "")
    lines = text(outcome, command, options.jobs)
    write_text(f"{name}.md", lines)
    tables = {"groups": outcome.groups, "adaptation": outcome.adaptation}
    record = {"command": command, "machine": machine(), "seconds": seconds(outcome)}
    record |= {n: rows_of(t[t["measure"].isin(SHOWN)]) for n, t in tables.items() if len(t)}
    write_text(f"{name}.json", [json.dumps(record)])
    picture(outcome, RESULTS / f"{name}.png")
    print("\n".join(lines))


def rows_of(own: pd.DataFrame) -> list[dict]:
    """Return the rows of a table, with few digits."""
    return json.loads(own.to_json(orient="records", double_precision=4))


def seconds(outcome: Outcome) -> float:
    """Return what all runs took together; loading the data is not counted."""
    kinds = ("learning_seconds", "scoring_seconds")
    return sum(run.attrs[k] for runs in outcome.results.values() for run in runs for k in kinds)


def text(outcome: Outcome, command: str, jobs: int) -> list[str]:
    study = outcome.study
    periods = study.experiment_of(next(iter(study.strategies))).periods
    runs = sum(len(own) for own in outcome.results.values())
    lines = [
        f"# {study.name}",
        "",
        f"Command: `{command}`. Machine: {machine()}. {runs} runs, "
        f"together {seconds(outcome) / 60:.0f} minutes, {jobs} at a time.",
        "",
        f"Trained on {' to '.join(periods.train)}, scored on {' to '.join(periods.test)}; the "
        f"signal is the change from {' to '.join(periods.validation)}. Means over {study.seeds} "
        "seeds (methods without random numbers: one) and over cells, with 95 % intervals over "
        "months and seeds.",
        "",
        *(f"- {sentence}" for sentence in findings(outcome)),
    ]
    for title, block in study.blocks.items():
        lines += ["", f"## {title}", "", block.text]
        own = outcome.groups[outcome.groups["block"] == title]
        unseen = own[own["group"] == "unseen"]
        if len(unseen):
            lines += ["", "Sources not learned from:", "", *table(unseen, "value")]
            compared = unseen.dropna(subset=["difference"])
            if len(compared):
                first = unseen["strategy"].iloc[0]
                lines += ["", f"The same, minus {first}, on the same days:", ""]
                lines += table(compared, "difference")
                lines += ["", *(f"- {sentence}" for sentence in verdicts(unseen))]
            lines += ["", "Generalisation gap:", "", *table(unseen, "gap")]
        changes = outcome.adaptation
        changes = changes[changes["block"] == title] if len(changes) else changes
        if len(changes):
            lines += ["", "Fine-tuned:", "", *adapted(changes)]
    return lines


def columns_of(own: pd.DataFrame) -> list[tuple[str, str, str]]:
    units = own.drop_duplicates(["variable", "measure"]).set_index(["variable", "measure"])["units"]
    return [
        (v, m, f"{v} {MEASURES[m].label} [{plain_units(units[v, m])}]")
        for v in own["variable"].unique()
        for m in SHOWN
        if (v, m) in units
    ]


def table(own: pd.DataFrame, value: str) -> list[str]:
    low, high = ("low", "high") if value == "value" else (f"{value}_low", f"{value}_high")
    heads, rows = columns_of(own), []
    for (strategy, size), part in own.groupby(["strategy", "trained_on"], sort=False):
        by = part.set_index(["variable", "measure"])
        cells = [interval_text(*by.loc[(v, m), [value, low, high]]) for v, m, _ in heads]
        rows.append([strategy, str(size), *cells])
    return markdown_table(["strategy", "trained on", *(label for _, _, label in heads)], rows)


def adapted(own: pd.DataFrame) -> list[str]:
    heads, rows = columns_of(own), []
    for (strategy, train, years), part in own.groupby(
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
        own = groups[groups["block"] == block]
        new = own[own["group"] == "new"]
        unseen = own[own["group"] == "unseen"]
        if len(new):
            for strategy, part in new.groupby("strategy", sort=False):
                axis.plot(part["years"], part["value"], "o-", label=strategy)
            axis.set(xlabel="years of the new source", ylabel=f"RMSE of {variable}")
            axis.legend(fontsize=7, loc="center left", bbox_to_anchor=(1.0, 0.5))
        else:
            labels = unseen["strategy"] + " (" + unseen["trained_on"].astype(str) + ")"
            place = np.arange(len(unseen))[::-1]
            axis.hlines(place, unseen["low"], unseen["high"])
            axis.plot(unseen["value"], place, "o")
            axis.set_yticks(place, labels, fontsize=7)
            axis.set_xlabel(f"RMSE of {variable}, unseen sources")
        axis.set_title(block, fontsize=9)
        axis.grid(alpha=0.3)
    figure.savefig(path, dpi=100)
    plt.close(figure)


if __name__ == "__main__":
    main()
