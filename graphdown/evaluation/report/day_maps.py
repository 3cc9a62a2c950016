"""Maps of single days: coarse input, prediction, truth and errors."""

import numpy as np

from graphdown.evaluation.days_shown import ShownDay, date_text
from graphdown.evaluation.reduce import area_mean
from graphdown.evaluation.report.summary import variable_name
from graphdown.evaluation.report.view import CaseView
from graphdown.evaluation.table import value_with_units
from graphdown.reports.colours import ColourScale, error_scale, field_scale
from graphdown.reports.html import MapGroup, MapRow, Picture


def day_maps(view: CaseView) -> list[MapRow]:
    """Return maps of chosen days: coarse input, prediction, truth and errors."""
    return [
        MapRow(
            f"{day.name}, {date_text(day.time)}: {variable_name(variable)}",
            _groups(view, variable, day),
        )
        for day in view.case.shown
        for variable in day.variables
    ]


def _groups(view: CaseView, variable: str, day: ShownDay) -> list[MapGroup]:
    units = view.units[variable]
    methods = [m for m in (view.lead, view.rival) if m is not None]
    truth = day.truth[variable]
    fields = {method: day.predictions[method][variable] for method in methods}
    scale = field_scale(variable, [truth, fields[view.lead]], units)
    pictures = [
        *_coarse_picture(view, variable, day.time, scale),
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
