"""Picture of one day: the GCM's field, the emulator's, the truth, and the difference."""

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import xarray as xr

from meshes import Grid
from meshes.grids.outline import continuous_lonlat, outline

if TYPE_CHECKING:
    from matplotlib.axes import Axes

TITLES = ("GCM", "graphdown", "truth", "graphdown less truth")
STYLES = {"tas": ("RdYlBu_r", "2 m temperature [K]"), "pr": ("YlGnBu", "precipitation [mm/day]")}
DIFFERENCES = "RdBu_r"


def draw_day(path: Path, coarse: xr.Dataset, fine: xr.Dataset, truth: xr.Dataset) -> str:
    """Draw temperature and precipitation on the month's wettest day; return its date.

    Args:
        path: of the PNG.
        coarse: the GCM's fields [time, *horizontal].
        fine, truth: on the target grid.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    wetness = truth["pr"].mean([d for d in truth["pr"].dims if d != "time"])
    day = int(np.argmax(wetness.values))
    date = str(truth["time"].values[day])[:10]
    figure = Figure(figsize=(13, 6.4), layout="constrained")
    FigureCanvasAgg(figure)
    figure.suptitle(f"{date}, a GCM that the emulator never saw, on its own grid")
    for axes, variable in zip(figure.subplots(2, 4), STYLES, strict=True):
        fields = [ds[[variable]].isel(time=day) for ds in (coarse, fine, truth)]
        fields.append(fields[1] - fields[2])
        _draw_row(axes, variable, fields)
    figure.savefig(path, dpi=110, metadata={"Software": None})
    return date


def _draw_row(axes: "np.ndarray", variable: str, fields: list[xr.Dataset]) -> None:
    """One variable: three maps with a common scale, and the difference with one of its own."""
    colours, label = STYLES[variable]
    grid = Grid.from_dataset(fields[2])
    values = [Grid.from_dataset(ds).values(ds[variable]) for ds in fields]
    low, high = np.nanquantile(np.concatenate(values[1:3]), (0.005, 0.995))
    most = float(np.nanquantile(np.abs(values[3]), 0.995))
    scales = [(colours, low, high)] * 3 + [(DIFFERENCES, -most, most)]
    drawn = [
        _draw_map(axis, Grid.from_dataset(ds), value, grid, scale)
        for axis, ds, value, scale in zip(axes, fields, values, scales, strict=True)
    ]
    for axis, title in zip(axes, TITLES, strict=True):
        axis.set_title(title)
    figure = axes[0].figure
    figure.colorbar(drawn[2], ax=list(axes[:3]), label=label, shrink=0.85, pad=0.01)
    figure.colorbar(drawn[3], ax=axes[3], label=label, shrink=0.85)


def _draw_map(
    axis: "Axes", grid: Grid, values: np.ndarray, window: Grid, scale: tuple[str, float, float]
) -> object:
    """Cells of a grid in the window of another one."""
    from matplotlib.collections import PolyCollection

    colours, low, high = scale
    cells, _ = continuous_lonlat(outline(grid))
    drawn = PolyCollection(list(cells), array=values, cmap=colours, edgecolors="face", lw=0.2)
    drawn.set_clim(low, high)
    axis.add_collection(drawn)
    around = continuous_lonlat(outline(window))[0].reshape(-1, 2)
    (west, south), (east, north) = around.min(axis=0), around.max(axis=0)
    axis.set(xlim=(west, east), ylim=(south, north), xticks=[], yticks=[])
    axis.set_aspect(1.0 / np.cos(np.radians((south + north) / 2)))
    return drawn
