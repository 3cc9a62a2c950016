"""Maps of the climate-change signal of a few cells."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import xarray as xr

from graphdown.evaluation.measures import MEASURES
from graphdown.evaluation.report.summary import variable_name
from graphdown.evaluation.table import plain_units, value_with_units
from graphdown.reports.colours import change_scale, error_scale
from graphdown.reports.html import MapGroup, MapRow, Picture
from graphdown.reports.maps import Frame, MapCanvas
from graphdown.transfer.outcome import Outcome
from graphdown.transfer.plan import Cell
from meshes import Grid

MOST_STRATEGIES, A_ROW = 8, 4
FIELDS = ["signal_prediction_map", "signal_truth_map", "signal_rmse"]


@dataclass(frozen=True)
class SignalMaps:
    """Maps of a block's largest training set and its first unseen source.

    Attributes:
        block: title of the block.
        source: the source applied to.
        train: the sources learned from.
        rows: the maps.
    """

    block: str
    source: str
    train: str
    rows: list[MapRow]


def signal_maps(outcome: Outcome) -> list[SignalMaps]:
    """Return maps of each block that was applied to a source that it did not learn from."""
    found = []
    for title in outcome.study.blocks:
        chosen = _comparable([cell for cell in outcome.cells if cell.block == title])
        if chosen is not None:
            source, cells = chosen
            rows = list(_rows(outcome, source, cells))
            found.append(SignalMaps(title, source, " + ".join(cells[0].train), rows))
    return found


def _comparable(cells: list[Cell]) -> tuple[str, list[Cell]] | None:
    """Return a source and cells of one training set that lacks it, one for a strategy."""
    largest = max(len(cell.train) for cell in cells)
    for cell in cells:
        if len(cell.train) == largest and cell.unseen:
            source = cell.unseen[0]
            alike = {
                c.strategy: c
                for c in reversed(cells)
                if (c.train, c.years) == (cell.train, cell.years) and source in c.unseen
            }
            return source, list(reversed(alike.values()))[:MOST_STRATEGIES]
    return None


def _rows(outcome: Outcome, source: str, cells: list[Cell]) -> Iterator[MapRow]:
    means = {cell.strategy: _mean_over_seeds(outcome, source, cell) for cell in cells}
    grid = Grid.from_dataset(outcome.results[cells[0].task][0][["signal_truth_map"]])
    canvas = MapCanvas(Frame.around(grid), grid)
    for variable in map(str, next(iter(means.values()))["variable"].values):
        fields = {name: mean.sel(variable=variable) for name, mean in means.items()}
        yield _truth_row(canvas, variable, next(iter(fields.values())))
        yield _error_row(canvas, variable, fields)


def _mean_over_seeds(outcome: Outcome, source: str, cell: Cell) -> xr.Dataset:
    runs = [run.sel(source=source)[FIELDS] for run in outcome.results[cell.task]]
    joined = xr.concat(runs, "seed", join="exact", coords="minimal", compat="override")
    return joined.mean("seed")


def _truth_row(canvas: MapCanvas, variable: str, fields: xr.Dataset) -> MapRow:
    truth = canvas.grid.values(fields["signal_truth_map"])
    scale = change_scale(variable, [truth], _units(fields, variable))
    picture = Picture(canvas.png(truth, scale), "Truth", "", f"true change of {variable}")
    return MapRow(f"Change of {variable_name(variable)}", [MapGroup([picture], scale)])


def _error_row(canvas: MapCanvas, variable: str, fields: dict[str, xr.Dataset]) -> MapRow:
    errors = {name: _error(canvas, field) for name, field in fields.items()}
    units = _units(next(iter(fields.values())), variable)
    scale = error_scale(variable, errors.values(), units)
    pictures = [
        Picture(
            canvas.png(error, scale),
            name,
            value_with_units(float(fields[name]["signal_rmse"]), units),
            f"error of the change of {variable} by {name}",
        )
        for name, error in errors.items()
    ]
    parts = (pictures[n : n + A_ROW] for n in range(0, len(pictures), A_ROW))
    return MapRow("", [MapGroup(part, scale) for part in parts])


def _error(canvas: MapCanvas, fields: xr.Dataset) -> np.ndarray:
    return canvas.grid.values(fields["signal_prediction_map"] - fields["signal_truth_map"])


def _units(fields: xr.Dataset, variable: str) -> str:
    units = plain_units(str(fields["units"].item()))
    return MEASURES["signal_rmse"].units_for(variable, units)
