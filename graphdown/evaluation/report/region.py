"""Where the target grid lies: its terrain and coast."""

import numpy as np
import xarray as xr

from graphdown.evaluation.report.view import CaseView
from graphdown.reports import html
from graphdown.reports.colours import ColourScale, nice_limit
from graphdown.reports.html import Picture


def region_section(view: CaseView, statics: xr.Dataset) -> str:
    """Return the target grid in words and, where `orog` is there, a map of its heights."""
    grid = view.grid
    west, east = (_degrees(v, "EW") for v in _longitude_span(grid.lon))
    south, north = (_degrees(v, "NS") for v in (grid.lat.min(), grid.lat.max()))
    size = " x ".join(str(n) for n in grid.shape)
    text = (
        f"Target grid: {size} cells of about {grid.spacing_km:.0f} km between {south} and "
        f"{north}, {west} and {east}. Every map is in an equal-area projection, north up; the "
        "line is the coast as the target grid sees it (land fraction 0.5)."
    )
    if "orog" not in statics:
        return html.paragraph(text)
    height = grid.values(statics["orog"])
    scale = ColourScale("YlOrBr", 0.0, nice_limit(float(np.nanmax(height))), "m")
    picture = Picture(view.canvas.png(height, scale), "Height", "", "height of the target grid")
    return html.paragraph(text) + html.row([html.map_group([picture], scale)])


def _longitude_span(lon: np.ndarray) -> tuple[float, float]:
    """Return the western and eastern end of longitudes [N], across the date line if shorter."""
    ordered = np.sort(lon)
    gaps = np.append(np.diff(ordered), ordered[0] + 360 - ordered[-1])
    widest = int(np.argmax(gaps))
    return float(ordered[(widest + 1) % len(ordered)]), float(ordered[widest])


def _degrees(value: float, letters: str) -> str:
    return f"{abs(value):.1f}\N{DEGREE SIGN} {letters[0] if value >= 0 else letters[1]}"
