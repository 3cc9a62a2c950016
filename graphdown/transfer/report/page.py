"""The page of a study: one file that opens from disk."""

from typing import Any

import numpy as np

from graphdown.evaluation.report.score_tables import definitions
from graphdown.reports import html
from graphdown.reports.html import HtmlTable
from graphdown.transfer.findings import compared_values, findings
from graphdown.transfer.outcome import Outcome
from graphdown.transfer.plan import years_text
from graphdown.transfer.report.maps import signal_maps
from graphdown.transfer.report.score_tables import interval_table, strategy_labels
from graphdown.transfer.report.study_blocks import block_section
from graphdown.transfer.select import SHOWN
from graphdown.transfer.spec import Strategy

TEMPLATES = ("graphdown.transfer.report", "graphdown.evaluation.report")


def write_page(outcome: Outcome) -> None:
    """Write the page of a study's outcome, with pictures inside."""
    study = outcome.study
    blocks = [
        block_section(f"block-{n}", outcome, title, block)
        for n, (title, block) in enumerate(study.blocks.items(), 1)
    ]
    values: dict[str, Any] = {
        "findings": findings(outcome),
        "periods": study.experiment_of(next(iter(study.strategies))).periods,
        "blocks": blocks,
        "gaps": _gaps(outcome),
        "signals": signal_maps(outcome),
        "strategies": {name: _described(spec) for name, spec in study.strategies.items()},
        "all_cells": _all_cells(outcome),
        "compared": compared_values(outcome.scores),
        "measures": definitions([*SHOWN, "mean_bias", "perkins"]),
        "sections": {
            **{block.identifier: block.title for block in blocks},
            "gap": "Generalisation gap",
            "signal": "Maps of the climate-change signal",
            "strategies": "Strategies",
            "scores": "All cells",
            "measures": "What is measured",
        },
    }
    html.write_page(outcome.page, "study.html", TEMPLATES, study.name, values)


def _gaps(outcome: Outcome) -> dict[str, HtmlTable]:
    blocks = outcome.groups.dropna(subset=["gap"]).groupby("block", sort=False)
    return {
        str(title): interval_table(rows, strategy_labels(rows), "gap", best=False)
        for title, rows in blocks
    }


def _described(strategy: Strategy) -> str:
    parts = [strategy.text] if strategy.text else []
    parts += [f"Baseline {strategy.baseline}."] if strategy.baseline else []
    if strategy.start or strategy.run:
        trainable = strategy.finetune.trainable
        parts.append(f"Starts from {strategy.start or strategy.run}. Trains {trainable}.")
    parts += [f"{key}: {value}." for key, value in strategy.set.items()]
    return " ".join(parts) or "The experiment as it is."


def _all_cells(outcome: Outcome) -> dict[str, HtmlTable]:
    tables = {}
    for title, rows in outcome.scores.groupby("block", sort=False):
        years = rows["years"].map(lambda n: "" if np.isnan(n) else f", {years_text(n)}")
        tuned = rows["tune"].map(lambda names: f" → {names}" if names else "")
        labels = rows["strategy"] + ": " + rows["train"] + tuned + years + " on " + rows["source"]
        tables[str(title)] = interval_table(rows, labels, best=False)
    return tables
