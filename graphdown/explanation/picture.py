"""Picture of an explanation: maps of the saliency, its distance, and the predictors' shares."""

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import xarray as xr

from graphdown.explanation.explain import DISTANCE, PREDICTOR
from graphdown.reports.charts import LEAD_COLOUR, OTHER_COLOURS
from graphdown.runtime.atomic import atomic_file
from meshes import Grid
from meshes.geometry.sphere import lonlat_to_xyz, normalise, xyz_to_lonlat
from meshes.plot import map_km, plot_grid

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import SubFigure

MAPS, COLUMNS = 6, 3
DPI = 110
LEAST = 1e-4  # share that is shown
MARGIN = 1.5  # cells around those that count


def draw_explanation(explanation: xr.Dataset, path: Path) -> None:
    """Draw an explanation as a PNG.

    Args:
        explanation: as of `graphdown.explain`.
        path: of the picture.
    """
    from matplotlib.figure import Figure

    shares = explanation["saliency_by_distance"].sum(DISTANCE)
    order = [str(name) for name in explanation[PREDICTOR].values[np.argsort(-shares.values)]]
    colours = dict(zip(order, (LEAD_COLOUR, *OTHER_COLOURS) * len(order), strict=False))
    rows = -(-min(len(order), MAPS) // COLUMNS)
    figure = Figure(figsize=(10, 3.2 * (rows + 1)), layout="constrained")
    maps, curves = np.asarray(figure.subfigures(2, 1, height_ratios=(rows, 1)))
    _draw_maps(maps, rows, explanation, order[:MAPS])
    left, right = curves.subplots(1, 2)
    _draw_distances(left, explanation, colours)
    _draw_shares(right, explanation, order, colours)
    attrs = explanation.attrs
    figure.suptitle(
        f"{attrs['explained_variable']}, {attrs['explained_place']}, {attrs['explained_season']}"
    )
    with atomic_file(path) as new:
        figure.savefig(new, dpi=DPI, format="png")


def _draw_maps(figure: "SubFigure", rows: int, explanation: xr.Dataset, names: list[str]) -> None:
    """Draw aggregated saliency maps around the points, colours by the root of the share."""
    from matplotlib.cm import ScalarMappable
    from matplotlib.colors import PowerNorm

    field = explanation["aggregated_saliency"]
    grid = Grid.from_dataset(field.isel({PREDICTOR: 0}, drop=True).to_dataset())
    values = {name: grid.values(field.sel({PREDICTOR: name}, drop=True)) for name in names}
    colours = PowerNorm(0.5, 0.0, max(float(np.nanmax(v)) for v in values.values()))
    points = lonlat_to_xyz(explanation["point_lon"].values, explanation["point_lat"].values)
    lon, lat = xyz_to_lonlat(normalise(points.mean(axis=0)))
    centre = float(lon), float(lat)
    counted = np.any([np.nan_to_num(v) > 0 for v in values.values()], axis=0)
    shown = map_km(np.concatenate([points, grid.xyz[counted]]), centre)
    reach = np.abs(shown).max() + MARGIN * grid.spacing_km
    axes = figure.subplots(rows, COLUMNS, squeeze=False).ravel()
    for ax, name in zip(axes, names, strict=False):
        plot_grid(grid, values[name], ax, centre, cmap="YlOrRd", norm=colours)
        ax.plot(*map_km(points, centre).T, "k.", markersize=4)
        ax.set(title=name, xlim=(-reach, reach), ylim=(-reach, reach), xlabel="km", ylabel="km")
    for ax in axes[len(names) :]:
        ax.set_axis_off()
    bar = ScalarMappable(colours, "YlOrRd")
    figure.colorbar(bar, ax=list(axes), label="share in the saliency", shrink=0.8)


def _draw_distances(ax: "Axes", explanation: xr.Dataset, colours: dict[str, str]) -> None:
    curves = explanation["saliency_by_distance"]
    counted = np.flatnonzero(curves.max(PREDICTOR).values > LEAST)
    curves = curves.isel({DISTANCE: slice(counted.max(initial=0) + 2)})
    for name, colour in colours.items():
        values = curves.sel({PREDICTOR: name}).values
        ax.plot(curves[DISTANCE].values, values, color=colour, label=name, drawstyle="steps-mid")
    mean = explanation["dispersion"].values.mean()
    ax.axvline(mean, color="0.4", linestyle="--", label=f"dispersion, {mean:.0f} km")
    ax.set(xlabel="distance [km]", ylabel="share in the saliency", xlim=(0, None))
    ax.legend(frameon=False, fontsize=8)


def _draw_shares(
    ax: "Axes", explanation: xr.Dataset, order: list[str], colours: dict[str, str]
) -> None:
    attributions = explanation["integrated_gradients"]
    space = [dim for dim in attributions.dims if dim not in ("time", PREDICTOR)]
    sizes = abs(attributions.sum(space)).mean("time").sel({PREDICTOR: order}).values
    ax.barh(order, sizes, color=[colours[name] for name in order])
    ax.invert_yaxis()
    ax.set_xlabel(f"mean size of the attribution [{attributions.attrs['units']}]")
