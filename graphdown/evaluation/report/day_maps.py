"""Maps of single days: coarse input, prediction, truth and errors."""

import numpy as np

from graphdown.evaluation.align import common_times
from graphdown.evaluation.reduce import area_mean
from graphdown.evaluation.report.days_shown import date_text, days_to_show
from graphdown.evaluation.report.summary import variable_name
from graphdown.evaluation.report.view import CaseView
from graphdown.evaluation.table import value_with_units
from graphdown.reports import html
from graphdown.reports.colours import ColourScale, error_scale, field_scale
from graphdown.reports.html import Picture


def days_section(view: CaseView) -> str:
    """Return maps of chosen days: coarse input, prediction, truth and errors."""
    case = view.case
    times = common_times(case.predictions[view.lead], case.truth)
    truth = case.truth.sel(time=times)
    means = {v: area_mean(view.grid.values(truth[v]), view.grid.area) for v in view.variables}
    parts = [
        html.heading("Single days"),
        html.paragraph(
            "Coarse input, prediction and truth share one colour scale. The input is drawn on its "
            "own cells; look for the valleys, coasts and rain bands it lacks. In the errors, "
            "white is right.",
            "note",
        ),
    ]
    for title, index, variables in days_to_show(means):
        for v in variables:
            text = f"{title}, {date_text(truth['time'].values[index])}: {variable_name(v)}"
            parts.append(html.subheading(text))
            parts.append(_day_row(view, v, truth["time"].values[index]))
    return "".join(parts)


def _day_row(view: CaseView, variable: str, time: object) -> str:
    case, units = view.case, view.units[variable]
    methods = [m for m in (view.lead, view.rival) if m is not None]
    truth = view.grid.values(case.truth[variable].sel(time=time))
    fields = {
        m: view.grid.values(case.predictions[m][variable].sel(time=time))
        for m in methods
        if time in case.predictions[m]["time"].values
    }
    scale = field_scale(variable, [truth, fields[view.lead]], units)
    pictures = [
        Picture(view.canvas.png(fields[view.lead], scale), "Prediction", view.lead, "prediction"),
        Picture(view.canvas.png(truth, scale), "Truth", "", "truth"),
    ]
    coarse = _coarse_picture(view, variable, time, scale)
    errors = {m: f - truth for m, f in fields.items()}
    differences = error_scale(variable, errors.values(), units)
    error_pictures = [
        Picture(
            view.canvas.png(e, differences),
            f"Error of {m}",
            f"RMSE {value_with_units(_rmse(e, view), units)}",
            f"error of {m}",
        )
        for m, e in errors.items()
    ]
    return html.row(
        [html.map_group([*coarse, *pictures], scale), html.map_group(error_pictures, differences)]
    )


def _rmse(error: np.ndarray, view: CaseView) -> float:
    return float(np.sqrt(area_mean(error**2, view.grid.area)))


def _coarse_picture(
    view: CaseView, variable: str, time: object, scale: ColourScale
) -> list[Picture]:
    coarse = view.case.coarse
    if variable not in coarse or time not in coarse["time"].values:
        return []
    canvas = view.coarse_canvas(variable)
    values = canvas.grid.values(coarse[variable].sel(time=time))
    detail = f"cells of {canvas.grid.spacing_km:.0f} km"
    return [Picture(canvas.png(values, scale), "Coarse input", detail, "coarse input")]
