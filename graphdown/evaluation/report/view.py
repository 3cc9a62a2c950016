"""One case as the pictures of the report need it."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import xarray as xr

from graphdown.evaluation.cases import Case
from graphdown.evaluation.table import plain_units
from graphdown.reports.charts import method_colours
from graphdown.reports.maps import Frame, MapCanvas
from meshes.grids.grid import Grid


@dataclass(frozen=True, eq=False)
class CaseView:
    """A case with its methods, grid and colours, from which pictures are drawn.

    Attributes:
        case: the case.
        lead, rival: the method in the pictures and the best of the others, None without one.
        statics: fixed fields of the target grid; `sftlf` draws the coast.
    """

    case: Case
    lead: str
    rival: str | None
    statics: xr.Dataset | None

    @cached_property
    def results(self) -> dict[str, xr.Dataset]:
        """The evaluations by method."""
        return self.case.evaluations

    @cached_property
    def colours(self) -> dict[str, str]:
        """Colours of lines by method."""
        return method_colours(list(self.results), self.lead)

    @property
    def variables(self) -> list[str]:
        """The variables that were scored for every method."""
        return self.case.variables

    @cached_property
    def units(self) -> dict[str, str]:
        """Units by variable, as people write them."""
        return {v: plain_units(str(self.case.truth[v].attrs["units"])) for v in self.variables}

    @property
    def grid(self) -> Grid:
        """The target grid."""
        return self.case.grid

    @cached_property
    def canvas(self) -> MapCanvas:
        """Canvas for fields of the target grid."""
        frame = Frame.around(self.grid)
        coast = None
        if self.statics is not None and "sftlf" in self.statics:
            coast = frame.contour(self.grid, self.grid.values(self.statics["sftlf"]), 0.5)
        return MapCanvas(frame, self.grid, coast=coast)

    def coarse_canvas(self, variable: str) -> MapCanvas:
        """Return the canvas for the coarse input: its cells inside the target's outline."""
        grid = Grid.from_dataset(self.case.coarse[[variable]])
        return MapCanvas(self.canvas.frame, grid, self.canvas.cells >= 0, self.canvas.coast)

    def coarse_spacing_km(self) -> float | None:
        """Return the spacing of the coarse input in km, None where it lacks the variables."""
        name = next((v for v in self.variables if v in self.case.coarse), None)
        return None if name is None else Grid.from_dataset(self.case.coarse[[name]]).spacing_km

    def map_values(self, method: str, name: str, variable: str) -> np.ndarray:
        """Return a map of the method's evaluation as values [N]."""
        return self.grid.values(self.results[method][name].sel(variable=variable))

    def score(self, method: str, name: str, variable: str) -> float:
        """Return a measure of the method."""
        return float(self.results[method][name].sel(variable=variable))
