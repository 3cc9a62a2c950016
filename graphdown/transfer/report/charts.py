"""The pictures of a study: heat maps, learning curves, scores with their intervals."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from graphdown.evaluation.table import format_value
from graphdown.reports.charts import Chart

FRAME = "#0b5cad"
POINT, ROW = 4.5, 0.3


def heat_map(
    values: np.ndarray, seen: np.ndarray, rows: Sequence[str], columns: Sequence[str]
) -> bytes:
    """Return a matrix train-on x apply-to as SVG.

    Args:
        values: scores [rows, columns], low ones are good; NaN where there is none.
        seen: bool [rows, columns], framed: the source was learned from.
        rows: what was trained on.
        columns: what it was applied to.
    """
    from matplotlib.patches import Rectangle

    chart = Chart("", "")
    chart.figure.set_size_inches(5.6, 0.6 + ROW * len(rows))
    axes = chart.axes
    axes.grid(visible=False)
    image = axes.imshow(np.ma.masked_invalid(values), cmap="YlOrRd", aspect="auto")
    low, high = image.get_clim()
    dark = float(low or 0) + 0.6 * (float(high or 0) - float(low or 0))
    axes.set_xticks(range(len(columns)), columns)
    axes.set_yticks(range(len(rows)), rows)
    axes.tick_params(length=0, top=True, labeltop=True, bottom=False, labelbottom=False)
    axes.spines[:].set_visible(False)
    for (i, j), value in np.ndenumerate(values):
        if np.isfinite(value):
            colour = "white" if value > dark else "#1d232b"
            axes.text(j, i, format_value(value), ha="center", va="center", color=colour)
        if seen[i, j]:
            corner, size = (j - 0.46, i - 0.44), (0.92, 0.88)
            axes.add_patch(Rectangle(corner, *size, fill=False, edgecolor=FRAME, linewidth=1.8))
    return chart.svg()


def curve_chart(
    curves: Mapping[str, np.ndarray],
    colours: Mapping[str, str],
    ylabel: str,
    level: float | None = None,
) -> bytes:
    """Return scores over years of data as SVG, a line with intervals for each strategy.

    Args:
        curves: rows of years, score, low and high [points, 4] by strategy.
        colours: of the strategies.
        ylabel: the score and its units.
        level: a dashed line, such as the score on the source task; None for none.
    """
    chart = Chart("years of the new source", ylabel)
    if level is not None:
        chart.axes.axhline(level, color="#1a1a1a", linewidth=1, linestyle=(0, (4, 3)), zorder=2)
    shift = 0.05
    for number, (name, points) in enumerate(curves.items()):
        years, score, low, high = points.T
        x = years + shift * (number - (len(curves) - 1) / 2)
        known = np.isfinite(low)
        errors = np.abs(np.stack([score - low, high - score]))[:, known]
        chart.axes.plot(x, score, "o-", color=colours[name], markersize=POINT, linewidth=1.5)
        chart.axes.errorbar(
            x[known], score[known], errors, color=colours[name], linestyle="none", linewidth=1
        )
    ticks = sorted({float(year) for points in curves.values() for year in points[:, 0]})
    chart.axes.set_xticks(ticks, [f"{tick:g}" for tick in ticks])
    return chart.svg()


def interval_chart(
    rows: Sequence[str], groups: Mapping[str, np.ndarray], colours: Mapping[str, str], xlabel: str
) -> bytes:
    """Return scores with their intervals as SVG, a line for each strategy.

    Args:
        rows: names of the strategies, the first on top.
        groups: score, low and high [rows, 3] by group; NaN where there is none.
        colours: of the groups.
        xlabel: the score and its units.
    """
    chart = Chart(xlabel, "")
    chart.figure.set_size_inches(4.6, 0.9 + ROW * len(rows))
    place = np.arange(len(rows))[::-1]
    for number, (name, values) in enumerate(groups.items()):
        score, low, high = values.T
        y = place - 0.22 * (number - (len(groups) - 1) / 2)
        style: dict[str, Any] = {"color": colours[name], "linewidth": 1.6}
        chart.axes.hlines(y, low, high, **style)
        chart.axes.plot(score, y, "o", color=colours[name], markersize=POINT)
    chart.axes.set_yticks(place, rows)
    chart.axes.set_ylim(-0.6, len(rows) - 0.4)
    return chart.svg()
