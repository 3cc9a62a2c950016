"""Maps of the climate-change signal."""

import numpy as np

from graphdown.evaluation.measures import MEASURES
from graphdown.evaluation.report.summary import variable_name
from graphdown.evaluation.report.view import CaseView
from graphdown.evaluation.table import format_value, value_with_units
from graphdown.reports import html
from graphdown.reports.colours import change_scale, error_scale
from graphdown.reports.html import Picture


def signal_section(view: CaseView) -> str:
    """Return maps of the climate-change signal; nothing where the case has no reference."""
    if view.case.reference is None:
        return ""
    parts = [
        html.heading("Climate-change signal"),
        html.paragraph(
            "Change of the time mean from the historical to the test period, for precipitation in "
            "% of the historical mean. Errors are the predicted minus the true change; the number "
            "is the area mean of the error with its sign.",
            "note",
        ),
    ]
    for v in view.variables:
        units = MEASURES["signal_bias"].units_for(v, view.units[v])
        truth = view.map_values(view.lead, "signal_truth_map", v)
        changes = {m: view.map_values(m, "signal_prediction_map", v) for m in view.results}
        scale = change_scale(v, [truth, changes[view.lead]], units)
        errors = {m: c - view.map_values(m, "signal_truth_map", v) for m, c in changes.items()}
        mean = view.score(view.lead, "signal_truth_mean", v)
        shown = [
            Picture(view.canvas.png(truth, scale), "Truth", _signed(mean, units), "true change"),
            Picture(
                view.canvas.png(changes[view.lead], scale), "Prediction", view.lead, "prediction"
            ),
        ]
        differences = error_scale(v, errors.values(), units)
        parts += [
            html.subheading(f"Change of {variable_name(v)}"),
            html.row([html.map_group(shown, scale)]),
            html.row(
                [
                    html.map_group(
                        [
                            Picture(
                                view.canvas.png(e, differences),
                                f"Error of {m}",
                                _signed(view.score(m, "signal_mean_bias", v), units),
                                f"error of the change of {m}",
                            )
                            for m, e in errors.items()
                        ],
                        differences,
                    )
                ]
            ),
        ]
    return "".join(parts)


def _signed(value: float, units: str) -> str:
    size = format_value(abs(value))
    bare = not np.isfinite(value) or float(size) == 0
    sign = "" if bare else "+" if value > 0 else "\N{MINUS SIGN}"
    return f"{sign}{value_with_units(abs(value), units)}"
