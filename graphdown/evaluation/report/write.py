"""Writes the whole evaluation as one page that opens from disk."""

from collections.abc import Sequence
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any

import xarray as xr

from graphdown.evaluation.cases import Case, mean_rank
from graphdown.evaluation.days_shown import date_text
from graphdown.evaluation.measures import MEASURES
from graphdown.evaluation.report.curves import quantile_pictures, spectrum_pictures
from graphdown.evaluation.report.day_maps import day_maps
from graphdown.evaluation.report.error_maps import error_maps
from graphdown.evaluation.report.region import Region
from graphdown.evaluation.report.score_tables import all_scores, definitions, score_table
from graphdown.evaluation.report.signal_maps import signal_maps
from graphdown.evaluation.report.summary import summarise
from graphdown.evaluation.report.training_curves import training_charts
from graphdown.evaluation.report.view import CaseView
from graphdown.evaluation.table import MEASURES_SHOWN, comparison_notes
from graphdown.reports.html import ChartRow, HtmlTable, MapRow, write_page

if TYPE_CHECKING:
    import pandas as pd

TEMPLATES = "graphdown.evaluation.report"


@dataclass(frozen=True)
class CaseSection:
    """What the page shows of one case."""

    identifier: str
    name: str
    seen: bool
    period: str
    scores: HtmlTable
    compared: list[str]
    all_scores: dict[str, HtmlTable]
    colours: dict[str, str]
    days: list[MapRow]
    errors: list[MapRow]
    quantiles: ChartRow
    spectra: ChartRow
    signal: list[MapRow]


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
        cases: the scored cases.
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
    lead, rival = _methods_shown(cases, scores, lead)
    views = [CaseView(case, lead, rival, statics) for case in cases]
    names = [m for m in MEASURES if m in set(scores["measure"])]
    values: dict[str, Any] = {
        "summary": summarise(scores),
        "notes": notes,
        "cases": [_case_section(n, view, scores) for n, view in enumerate(views, 1)],
        "region": None if statics is None else Region.of(views[0], statics),
        "training": None if training is None else training_charts(training),
        "measures": definitions(names),
    }
    values["sections"] = {
        "scores": "Scores",
        **({} if values["region"] is None else {"region": "Region"}),
        **{case.identifier: case.name for case in values["cases"]},
        **({} if values["training"] is None else {"training": "Training"}),
        "measures": "What is measured",
    }
    path = Path(folder) / "index.html"
    write_page(path, "run.html", [TEMPLATES], title, values)
    return path


def _methods_shown(
    cases: Sequence[Case], scores: "pd.DataFrame", lead: str | None
) -> tuple[str, str | None]:
    """Return the method in the pictures and the best of the others, None if there is no other."""
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
    return lead, next((m for m in ranking if m != lead), None)


def _case_section(number: int, view: CaseView, scores: "pd.DataFrame") -> CaseSection:
    case = view.case
    times = case.truth["time"].values
    rows = scores[scores["case"] == case.name]
    return CaseSection(
        identifier=f"case-{number}",
        name=case.name,
        seen=case.seen,
        period=f"{date_text(times[0])} to {date_text(times[-1])}, {len(times)} days",
        scores=score_table(rows, MEASURES_SHOWN),
        compared=comparison_notes(rows),
        all_scores=all_scores(rows),
        colours=view.colours,
        days=day_maps(view),
        errors=error_maps(view),
        quantiles=ChartRow("", quantile_pictures(view)),
        spectra=ChartRow("", spectrum_pictures(view)),
        signal=signal_maps(view),
    )
