"""Quantile-quantile charts and power spectra of all methods."""

import numpy as np

from graphdown.evaluation.report.summary import variable_title
from graphdown.evaluation.report.view import CaseView
from graphdown.reports import charts, html
from graphdown.reports.html import Picture


def distribution_section(view: CaseView) -> str:
    """Return quantile-quantile charts of all methods."""
    colours = charts.method_colours(list(view.results), view.lead)
    return "".join(
        [
            html.heading("Distributions"),
            html.paragraph(
                "Quantiles are taken per cell over time, then averaged over the area. Left: on "
                "the dashed line the prediction has the truth's distribution. Right: the same as "
                "a difference; its ends are the rare extremes.",
                "note",
            ),
            html.colour_key(colours, "truth"),
            html.charts([p for v in view.variables for p in _quantile_pictures(view, v, colours)]),
        ]
    )


def spectrum_section(view: CaseView) -> str:
    """Return power spectra of all methods; nothing where no complete 2-D field exists."""
    colours = charts.method_colours(list(view.results), view.lead)
    pictures = [p for v in view.variables for p in _spectrum_pictures(view, v, colours)]
    if not pictures:
        return ""
    return "".join(
        [
            html.heading("Spatial detail"),
            html.paragraph(
                "How much variability each length scale holds (power spectrum by cosine "
                "transform, radially averaged, time mean). Right: below 0 dB a field is too "
                "smooth, above too rough. The dotted line is twice the coarse input's spacing: "
                "beyond it the input holds nothing and all detail is the method's own.",
                "note",
            ),
            html.colour_key(colours, "truth"),
            html.charts(pictures),
        ]
    )


def _quantile_pictures(view: CaseView, v: str, colours: dict[str, str]) -> list[Picture]:
    own = {m: r.sel(variable=v) for m, r in view.results.items()}
    truth = own[view.lead]["qq_truth"].values
    levels = own[view.lead]["quantile"].values
    predictions = {m: r["qq_prediction"].values for m, r in own.items()}
    name, units = variable_title(v), view.units[v]
    return [
        Picture(
            charts.quantile_chart(truth, predictions, colours, units),
            f"{name}: quantiles",
            "",
            f"quantile-quantile chart of {v}",
        ),
        Picture(
            charts.quantile_difference_chart(levels, truth, predictions, colours, units),
            f"{name}: error of the quantiles",
            "",
            f"error of the quantiles of {v}",
        ),
    ]


def _spectrum_pictures(view: CaseView, v: str, colours: dict[str, str]) -> list[Picture]:
    own = {m: r.sel(variable=v) for m, r in view.results.items()}
    if "spectrum_truth" not in own[view.lead]:
        return []
    wavelength = own[view.lead]["wavelength"].values
    truth = own[view.lead]["spectrum_truth"].values
    if not np.isfinite(truth).all():
        return []
    predictions = {m: r["spectrum_prediction"].values for m, r in own.items()}
    spacing = view.coarse_spacing_km()
    limit = None if spacing is None else 2 * spacing
    name = variable_title(v)
    return [
        Picture(
            charts.spectrum_chart(wavelength, truth, predictions, colours, view.units[v], limit),
            f"{name}: power spectrum",
            "",
            f"power spectrum of {v}",
        ),
        Picture(
            charts.spectrum_ratio_chart(wavelength, truth, predictions, colours, limit),
            f"{name}: power against the truth",
            "",
            f"ratio of power spectra of {v}",
        ),
    ]
