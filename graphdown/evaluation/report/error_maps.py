"""Maps of bias and RMSE."""

from collections.abc import Mapping

import numpy as np

from graphdown.evaluation.measures import MEASURES
from graphdown.evaluation.report.summary import variable_name
from graphdown.evaluation.report.view import CaseView
from graphdown.evaluation.table import value_with_units
from graphdown.reports.colours import ColourScale, error_scale, magnitude_scale
from graphdown.reports.html import MapGroup, MapRow, Picture


def error_maps(view: CaseView) -> list[MapRow]:
    """Return maps of bias and RMSE of every method, a row for each variable and measure."""
    return [_row(view, name, v) for v in view.variables for name in ("bias", "rmse")]


def _row(view: CaseView, name: str, variable: str) -> MapRow:
    maps = {m: view.map_values(m, f"{name}_map", variable) for m in view.results}
    units = view.units[variable]
    if name == "bias":
        scale = error_scale(variable, maps.values(), units)
    else:
        scale = magnitude_scale(maps.values(), units)
    label = MEASURES[name].label
    title = f"{label[0].upper()}{label[1:]} of {variable_name(variable)}"
    return MapRow(title, [_group(view, maps, scale, name, variable)])


def _group(
    view: CaseView, maps: Mapping[str, np.ndarray], scale: ColourScale, name: str, variable: str
) -> MapGroup:
    pictures = [
        Picture(
            view.canvas.png(values, scale),
            method,
            value_with_units(view.score(method, name, variable), scale.units),
            f"{MEASURES[name].label} of {method}",
        )
        for method, values in maps.items()
    ]
    return MapGroup(pictures, scale)
