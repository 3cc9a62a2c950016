"""Maps of the climate-change signal."""

import numpy as np

from graphdown.evaluation.measures import MEASURES
from graphdown.evaluation.report.summary import variable_name
from graphdown.evaluation.report.view import CaseView
from graphdown.evaluation.table import format_value, value_with_units
from graphdown.reports.colours import change_scale, error_scale
from graphdown.reports.html import MapGroup, MapRow, Picture


def signal_maps(view: CaseView) -> list[MapRow]:
    """Return maps of the climate-change signal; nothing where the case has no reference."""
    if view.case.reference is None:
        return []
    return [row for v in view.variables for row in (_change_row(view, v), _error_row(view, v))]


def _change_row(view: CaseView, variable: str) -> MapRow:
    units = _units(view, variable)
    truth = view.map_values(view.lead, "signal_truth_map", variable)
    change = view.map_values(view.lead, "signal_prediction_map", variable)
    scale = change_scale(variable, [truth, change], units)
    mean = _signed(view.score(view.lead, "signal_truth_mean", variable), units)
    pictures = [
        Picture(view.canvas.png(truth, scale), "Truth", mean, "true change"),
        Picture(view.canvas.png(change, scale), "Prediction", view.lead, "prediction"),
    ]
    return MapRow(f"Change of {variable_name(variable)}", [MapGroup(pictures, scale)])


def _error_row(view: CaseView, variable: str) -> MapRow:
    units = _units(view, variable)
    errors = {
        method: view.map_values(method, "signal_prediction_map", variable)
        - view.map_values(method, "signal_truth_map", variable)
        for method in view.results
    }
    scale = error_scale(variable, errors.values(), units)
    pictures = [
        Picture(
            view.canvas.png(error, scale),
            f"Error of {method}",
            _signed(view.score(method, "signal_mean_bias", variable), units),
            f"error of the change of {method}",
        )
        for method, error in errors.items()
    ]
    return MapRow("", [MapGroup(pictures, scale)])


def _units(view: CaseView, variable: str) -> str:
    return MEASURES["signal_bias"].units_for(variable, view.units[variable])


def _signed(value: float, units: str) -> str:
    size = format_value(abs(value))
    bare = not np.isfinite(value) or float(size) == 0
    sign = "" if bare else "+" if value > 0 else "\N{MINUS SIGN}"
    return f"{sign}{value_with_units(abs(value), units)}"
