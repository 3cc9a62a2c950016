"""Quantile-quantile charts and power spectra of all methods."""

import numpy as np
import xarray as xr

from graphdown.evaluation.report.summary import variable_title
from graphdown.evaluation.report.view import CaseView
from graphdown.reports import charts
from graphdown.reports.html import Picture


def quantile_pictures(view: CaseView) -> list[Picture]:
    """Return quantile-quantile charts of all methods, two for each variable."""
    return [picture for v in view.variables for picture in _quantile_pair(view, v)]


def spectrum_pictures(view: CaseView) -> list[Picture]:
    """Return power spectra of all methods; nothing where there is no complete 2-D field."""
    return [picture for v in view.variables for picture in _spectrum_pair(view, v)]


def _quantile_pair(view: CaseView, v: str) -> list[Picture]:
    results = _of_variable(view, v)
    truth = results[view.lead]["qq_truth"].values
    levels = results[view.lead]["quantile"].values
    predictions = {m: r["qq_prediction"].values for m, r in results.items()}
    name, units = variable_title(v), view.units[v]
    return [
        Picture(
            charts.quantile_chart(truth, predictions, view.colours, units),
            f"{name}: quantiles",
            "",
            f"quantile-quantile chart of {v}",
        ),
        Picture(
            charts.quantile_difference_chart(levels, truth, predictions, view.colours, units),
            f"{name}: error of the quantiles",
            "",
            f"error of the quantiles of {v}",
        ),
    ]


def _spectrum_pair(view: CaseView, v: str) -> list[Picture]:
    results = _of_variable(view, v)
    lead = results[view.lead]
    if "spectrum_truth" not in lead or not np.isfinite(lead["spectrum_truth"]).all():
        return []
    wavelength, truth = lead["wavelength"].values, lead["spectrum_truth"].values
    predictions = {m: r["spectrum_prediction"].values for m, r in results.items()}
    spacing = view.coarse_spacing_km()
    limit = None if spacing is None else 2 * spacing
    name, units = variable_title(v), view.units[v]
    return [
        Picture(
            charts.spectrum_chart(wavelength, truth, predictions, view.colours, units, limit),
            f"{name}: power spectrum",
            "",
            f"power spectrum of {v}",
        ),
        Picture(
            charts.spectrum_ratio_chart(wavelength, truth, predictions, view.colours, limit),
            f"{name}: power against the truth",
            "",
            f"ratio of power spectra of {v}",
        ),
    ]


def _of_variable(view: CaseView, v: str) -> dict[str, xr.Dataset]:
    return {method: result.sel(variable=v) for method, result in view.results.items()}
