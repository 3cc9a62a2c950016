"""Maps of single days: coarse input, prediction, truth and errors."""

import numpy as np

from graphdown.evaluation.reduce import area_mean
from graphdown.evaluation.report.days_shown import date_text, days_to_show
from graphdown.evaluation.report.summary import variable_name
from graphdown.evaluation.report.view import CaseView
from graphdown.evaluation.table import value_with_units
from graphdown.reports.colours import ColourScale, error_scale, field_scale
from graphdown.reports.html import MapGroup, MapRow, Picture


def day_maps(view: CaseView) -> list[MapRow]:
    """Return maps of chosen days: coarse input, prediction, truth and errors."""
    truth = view.case.compared.truth
    means = {v: area_mean(view.grid.values(truth[v]), view.grid.area) for v in view.variables}
    rows = []
    for name, index, variables in days_to_show(means):
        time = truth["time"].values[index]
        for v in variables:
            title = f"{name}, {date_text(time)}: {variable_name(v)}"
            rows.append(MapRow(title, _groups(view, v, time)))
    return rows


def _groups(view: CaseView, variable: str, time: object) -> list[MapGroup]:
    case, units = view.case.compared, view.units[variable]
    methods = [m for m in (view.lead, view.rival) if m is not None]
    truth = view.grid.values(case.truth[variable].sel(time=time))
    fields = {m: view.grid.values(case.predictions[m][variable].sel(time=time)) for m in methods}
    scale = field_scale(variable, [truth, fields[view.lead]], units)
    pictures = [
        *_coarse_picture(view, variable, time, scale),
        Picture(view.canvas.png(fields[view.lead], scale), "Prediction", view.lead, "prediction"),
        Picture(view.canvas.png(truth, scale), "Truth", "", "truth"),
    ]
    errors = {m: field - truth for m, field in fields.items()}
    return [MapGroup(pictures, scale), _error_group(view, errors, variable)]


def _error_group(view: CaseView, errors: dict[str, np.ndarray], variable: str) -> MapGroup:
    units = view.units[variable]
    scale = error_scale(variable, errors.values(), units)
    pictures = [
        Picture(
            view.canvas.png(error, scale),
            f"Error of {method}",
            f"RMSE {value_with_units(_rmse(error, view), units)}",
            f"error of {method}",
        )
        for method, error in errors.items()
    ]
    return MapGroup(pictures, scale)


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
