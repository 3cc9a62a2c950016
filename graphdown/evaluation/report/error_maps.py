"""Maps of bias and RMSE."""

from collections.abc import Mapping

import numpy as np

from graphdown.evaluation.measures import MEASURES
from graphdown.evaluation.report.summary import variable_name
from graphdown.evaluation.report.view import CaseView
from graphdown.evaluation.table import value_with_units
from graphdown.reports import html
from graphdown.reports.colours import ColourScale, error_scale, magnitude_scale
from graphdown.reports.html import Picture


def error_maps_section(view: CaseView) -> str:
    """Return maps of bias and RMSE of every method."""
    parts = [
        html.heading("Where the errors are"),
        html.paragraph(
            "Bias is the time mean of prediction minus truth, RMSE the size of the daily error. "
            "The number under each name is the area mean of the map (of |bias|). One colour scale "
            "for all methods; values beyond its ends take the end's colour.",
            "note",
        ),
    ]
    for v in view.variables:
        for name in ("bias", "rmse"):
            maps = {m: view.map_values(m, f"{name}_map", v) for m in view.results}
            units = view.units[v]
            scale = (
                error_scale(v, maps.values(), units)
                if name == "bias"
                else magnitude_scale(maps.values(), units)
            )
            label = MEASURES[name].label
            title = f"{label[0].upper()}{label[1:]} of {variable_name(v)}"
            parts.append(html.subheading(title))
            parts.append(html.row([_method_maps(view, maps, scale, name, v)]))
    return "".join(parts)


def _method_maps(
    view: CaseView, maps: Mapping[str, np.ndarray], scale: ColourScale, name: str, variable: str
) -> str:
    pictures = [
        Picture(
            view.canvas.png(values, scale),
            method,
            value_with_units(view.score(method, name, variable), scale.units),
            f"{MEASURES[name].label} of {method}",
        )
        for method, values in maps.items()
    ]
    return html.map_group(pictures, scale)
