"""write_report(): the whole evaluation as one page that opens from disk."""

from collections.abc import Sequence
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import xarray as xr

from graphdown.evaluation.cases import Case, mean_rank
from graphdown.evaluation.measures import MEASURES
from graphdown.evaluation.report.curves import distribution_section, spectrum_section
from graphdown.evaluation.report.day_maps import days_section
from graphdown.evaluation.report.days_shown import date_text
from graphdown.evaluation.report.error_maps import error_maps_section
from graphdown.evaluation.report.region import region_section
from graphdown.evaluation.report.score_tables import (
    all_scores,
    definitions,
    score_table,
    seen_tag,
)
from graphdown.evaluation.report.signal_maps import signal_section
from graphdown.evaluation.report.summary import summarise
from graphdown.evaluation.report.view import CaseView
from graphdown.evaluation.table import MEASURES_SHOWN
from graphdown.reports import charts, html
from graphdown.reports.html import Picture

if TYPE_CHECKING:
    import pandas as pd

CURVE_WORDS = ("loss", "rmse", "mae", "crps")


def write_report(
    folder: str | PathLike[str],
    title: str,
    cases: Sequence[Case],
    scores: "pd.DataFrame",
    statics: xr.Dataset | None = None,
    training: str | PathLike[str] | None = None,
    notes: Sequence[str] = (),
    lead: str | None = None,
) -> Path:
    """Write folder/index.html, one self-contained page with tables and pictures.

    Args:
        folder: created where it does not exist.
        title: heading of the page.
        cases: what was scored.
        scores: result of `score_cases` for these cases.
        statics: fixed fields of the target grid; the 0.5 contour of `sftlf` is the coast.
        training: path of a metrics.csv with one row per logged step.
        notes: sentences shown under the summary.
        lead: the method in the pictures; by default the best by mean rank in RMSE.

    Returns:
        The path of the page.

    Raises:
        ValueError: no case, an unknown lead, or a metrics file without curves.
    """
    if not cases:
        raise ValueError("A report needs at least one case.")
    unscored = [case.name for case in cases if case.name not in set(scores["case"])]
    if unscored:
        raise ValueError(f"The scores lack the cases {unscored}; pass score_cases(cases).")
    methods = [m for m in cases[0].predictions if all(m in c.predictions for c in cases)]
    ranking = [str(m) for m in mean_rank(scores, methods, "rmse").index]
    if lead is not None and lead not in methods:
        raise ValueError(f"The lead {lead!r} is not a method of every case; choose from {methods}.")
    lead = lead or ranking[0]
    rival = next((m for m in ranking if m != lead), None)
    parts = [("scores", "Scores", _scores(cases, scores))]
    views = [CaseView(case, lead, rival, statics) for case in cases]
    if statics is not None:
        parts.append(("region", "Region", region_section(views[0], statics)))
    parts += [(f"case-{n}", view.case.name, _case(view)) for n, view in enumerate(views, 1)]
    if training is not None:
        parts.append(("training", "Training", _training(Path(training))))
    names = [m for m in MEASURES if m in set(scores["measure"])]
    parts.append(("measures", "What is measured", definitions(names)))
    introduction = "".join(
        [
            *(html.paragraph(text, "lead") for text in summarise(scores)),
            *(html.paragraph(text, "note") for text in notes),
        ]
    )
    path = Path(folder) / "index.html"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(html.document(title, introduction, parts), encoding="utf-8")
    return path


def _scores(cases: Sequence[Case], scores: "pd.DataFrame") -> str:
    parts = [
        html.paragraph(
            "Lower is better; the best of each column is marked. RMSE compares day by day; bias "
            "and P98 bias are area means of the absolute bias of the mean and of the 98th "
            "percentile; W1 is the distance between the distributions.",
            "note",
        )
    ]
    for case in cases:
        own = scores[scores["case"] == case.name]
        times = case.truth["time"].values
        period = f"{date_text(times[0])} to {date_text(times[-1])}, {len(times)} days"
        parts += [
            html.heading(case.name),
            f"<p>{seen_tag(case.seen)} {period}</p>",
            score_table(own, MEASURES_SHOWN),
            all_scores(own),
        ]
    return "".join(parts)


def _case(view: CaseView) -> str:
    return "".join(
        [
            f"<p>{seen_tag(view.case.seen)}</p>",
            days_section(view),
            error_maps_section(view),
            distribution_section(view),
            spectrum_section(view),
            signal_section(view),
        ]
    )


def _training(path: Path) -> str:
    curves, step = training_curves(path)
    kinds = {w: {n: c for n, c in curves.items() if w in n.lower()} for w in CURVE_WORDS}
    pictures = [
        Picture(charts.training_chart(own, step, kind), kind, "", f"{kind} during training")
        for kind, own in kinds.items()
        if own
    ]
    return html.paragraph("Each value as it was logged.", "note") + html.charts(pictures)


def training_curves(path: Path) -> tuple[dict[str, tuple[np.ndarray, np.ndarray]], str]:
    """Return the curves (x, y) of a metrics file by column name, and the name of x.

    x is the column "step", or the first one; curves are the columns whose name holds "loss",
    "rmse", "mae" or "crps". Rows without a value are left out, so that validation may be logged
    seldom.

    Raises:
        ValueError: no such column holds a number.
    """
    import pandas as pd

    log = pd.read_csv(path)
    step = "step" if "step" in log else str(log.columns[0])
    curves = {}
    for name in map(str, log.columns):
        if name != step and any(word in name.lower() for word in CURVE_WORDS):
            rows = pd.DataFrame({"x": log[step], "y": pd.to_numeric(log[name])}).dropna()
            if len(rows):
                curves[name] = (rows["x"].to_numpy(), rows["y"].to_numpy())
    if not curves:
        raise ValueError(
            f"{path} holds no training curve: its columns are {list(log.columns)}, expected one "
            "whose name holds 'loss', 'rmse', 'mae' or 'crps'."
        )
    return curves, step
