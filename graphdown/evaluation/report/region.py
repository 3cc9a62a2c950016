"""Location of the target grid, its terrain and coast."""

from dataclasses import dataclass

import numpy as np
import xarray as xr

from graphdown.evaluation.report.view import CaseView
from graphdown.reports.colours import ColourScale, nice_limit
from graphdown.reports.html import MapGroup, MapRow, Picture


@dataclass(frozen=True)
class Region:
    """The target grid in words, and a map of its heights.

    Attributes:
        size: cells along its dimensions.
        spacing: mean distance of cells.
        west, east, south, north: its limits.
        heights: map of `orog`; None without it.
    """

    size: str
    spacing: str
    west: str
    east: str
    south: str
    north: str
    heights: MapRow | None

    @classmethod
    def of(cls, view: CaseView, statics: xr.Dataset) -> "Region":
        """Return the region of a case's target grid, from its fixed fields."""
        grid = view.grid
        west, east = (_degrees(v, "EW") for v in _longitude_span(grid.lon))
        south, north = (_degrees(v, "NS") for v in (grid.lat.min(), grid.lat.max()))
        return cls(
            size=" x ".join(str(n) for n in grid.shape),
            spacing=f"{grid.spacing_km:.0f} km",
            west=west,
            east=east,
            south=south,
            north=north,
            heights=_heights(view, statics) if "orog" in statics else None,
        )


def _heights(view: CaseView, statics: xr.Dataset) -> MapRow:
    height = view.grid.values(statics["orog"])
    scale = ColourScale("YlOrBr", 0.0, nice_limit(float(np.nanmax(height))), "m")
    picture = Picture(view.canvas.png(height, scale), "Height", "", "height of the target grid")
    return MapRow("", [MapGroup([picture], scale)])


def _longitude_span(lon: np.ndarray) -> tuple[float, float]:
    """Return the western and eastern end of longitudes [N], across the date line if shorter."""
    ordered = np.sort(lon)
    gaps = np.append(np.diff(ordered), ordered[0] + 360 - ordered[-1])
    widest = int(np.argmax(gaps))
    return float(ordered[(widest + 1) % len(ordered)]), float(ordered[widest])


def _degrees(value: float, letters: str) -> str:
    return f"{abs(value):.1f}\N{DEGREE SIGN} {letters[0] if value >= 0 else letters[1]}"
