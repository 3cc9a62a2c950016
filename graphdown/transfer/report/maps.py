"""Maps of the climate-change signal of a few cells."""

from typing import TYPE_CHECKING

import xarray as xr

from graphdown.evaluation.measures import MEASURES
from graphdown.evaluation.report.summary import variable_name
from graphdown.evaluation.table import format_value, plain_units
from graphdown.reports import html
from graphdown.reports.colours import change_scale, error_scale
from graphdown.reports.html import Picture
from graphdown.reports.maps import Frame, MapCanvas
from graphdown.transfer.plan import Cell
from meshes import Grid

if TYPE_CHECKING:
    from graphdown.transfer.outcome import Outcome

MOST_STRATEGIES = 8
TEXT = (
    "The change of the time mean from the tuning to the test period, for precipitation in % of the "
    "former: the truth, and each strategy's error, mean over its seeds; under each name the RMSE "
    "of the map. Everything is on a source that the strategy did not learn from. A uniform colour "
    "is a wrong mean change, structure is a wrong pattern; noise of the weather is in both."
)


def signal_maps(outcome: "Outcome") -> str:
    """Return maps of each block's largest train-on set and its first unseen source."""
    parts = [html.paragraph(TEXT, "note")]
    for title in outcome.study.blocks:
        chosen = _comparable([cell for cell in outcome.cells if cell.block == title])
        if chosen is not None:
            source, train, compared = chosen
            heading = html.heading(f"{title}: {source}, trained on {' + '.join(train)}")
            body = heading + _maps(outcome, source, compared)
            parts.append(body if len(parts) == 1 else html.details(title, body))
    return "".join(parts)


def _comparable(cells: list[Cell]) -> tuple[str, tuple[str, ...], list[Cell]] | None:
    """Return a source, a train-on set that lacks it, and that set's cells, one for a strategy."""
    largest = max(len(cell.train) for cell in cells)
    for cell in cells:
        if len(cell.train) == largest and cell.unseen:
            alike = {
                c.strategy: c
                for c in reversed(cells)
                if (c.train, c.years) == (cell.train, cell.years) and cell.unseen[0] in c.unseen
            }
            return cell.unseen[0], cell.train, list(reversed(alike.values()))[:MOST_STRATEGIES]
    return None


def _maps(outcome: "Outcome", source: str, cells: list[Cell]) -> str:
    means = {
        cell.strategy: xr.concat(
            [
                run.sel(source=source)[["signal_prediction_map", "signal_truth_map", "signal_rmse"]]
                for run in outcome.results[cell.task]
            ],
            "seed",
            join="exact",
            coords="minimal",
            compat="override",
        ).mean("seed")
        for cell in cells
    }
    first = outcome.results[cells[0].task][0]
    grid = Grid.from_dataset(first[["signal_truth_map"]])
    canvas = MapCanvas(Frame.around(grid), grid)
    parts = []
    for variable in map(str, first["variable"].values):
        units = MEASURES["signal_rmse"].units_for(
            variable, plain_units(str(first["units"].sel(variable=variable).item()))
        )
        own = {name: fields.sel(variable=variable) for name, fields in means.items()}
        truth = grid.values(next(iter(own.values()))["signal_truth_map"])
        errors = {
            name: grid.values(fields["signal_prediction_map"] - fields["signal_truth_map"])
            for name, fields in own.items()
        }
        scale, differences = (
            change_scale(variable, [truth], units),
            error_scale(variable, errors.values(), units),
        )
        shown = Picture(canvas.png(truth, scale), "Truth", "", f"true change of {variable}")
        wrong = [
            Picture(
                canvas.png(error, differences),
                name,
                f"{format_value(float(own[name]['signal_rmse']))} {units}",
                f"error of the change of {variable} by {name}",
            )
            for name, error in errors.items()
        ]
        parts += [
            html.subheading(f"Change of {variable_name(variable)}"),
            html.row([html.map_group([shown], scale)]),
            html.row(
                [html.map_group(wrong[n : n + 4], differences) for n in range(0, len(wrong), 4)]
            ),
        ]
    return "".join(parts)
