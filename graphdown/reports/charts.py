"""Line charts as SVG: quantile-quantile, spectra, training curves."""

from collections.abc import Mapping
from io import BytesIO
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from matplotlib.axes import Axes

LEAD_COLOUR = "#0b5cad"
OTHER_COLOURS = ("#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#8c6d31", "#7f7f7f")
TRUTH_COLOUR = "#1a1a1a"
PROBABILITY_TICKS = np.array([0.001, 0.02, 0.1, 0.3, 0.5, 0.7, 0.9, 0.98, 0.999])
STYLE: dict[Any, Any] = {
    "svg.fonttype": "none",
    "svg.hashsalt": "graphdown",
    "font.family": "sans-serif",
    "font.sans-serif": ["DejaVu Sans"],
    "font.size": 9.5,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": "#777777",
    "axes.labelcolor": "#333333",
    "axes.grid": True,
    "grid.color": "#e4e4e4",
    "grid.linewidth": 0.7,
    "xtick.color": "#555555",
    "ytick.color": "#555555",
}


def method_colours(methods: list[str], lead: str) -> dict[str, str]:
    """Return one colour per method; the leading one is blue in every picture."""
    others = [m for m in methods if m != lead]
    cycle = {m: OTHER_COLOURS[n % len(OTHER_COLOURS)] for n, m in enumerate(others)}
    return {m: LEAD_COLOUR if m == lead else cycle[m] for m in methods}


class Chart:
    """One small line chart in the report's style."""

    def __init__(self, xlabel: str, ylabel: str) -> None:
        import matplotlib
        from matplotlib.figure import Figure

        with matplotlib.rc_context(STYLE):
            self.figure = Figure(figsize=(4.6, 3.1), layout="constrained")
            self.axes: Axes = self.figure.add_subplot()
        self.axes.set_xlabel(xlabel)
        self.axes.set_ylabel(ylabel)

    def lines(
        self, x: Mapping[str, np.ndarray], y: Mapping[str, np.ndarray], colours: Mapping[str, str]
    ) -> None:
        """Draw a line for each method, the leading one (blue) on top and thicker."""
        for method in y:
            lead = colours[method] == LEAD_COLOUR
            self.axes.plot(
                x[method],
                y[method],
                color=colours[method],
                linewidth=2.4 if lead else 1.3,
                zorder=4 if lead else 3,
            )

    def svg(self) -> bytes:
        """Return the chart as SVG whose text stays text."""
        import matplotlib

        buffer = BytesIO()
        with matplotlib.rc_context(STYLE):
            self.figure.savefig(buffer, format="svg", metadata={"Date": None, "Creator": None})
        return buffer.getvalue()


def quantile_chart(
    truth: np.ndarray, predictions: Mapping[str, np.ndarray], colours: Mapping[str, str], units: str
) -> bytes:
    """Return predicted against true quantiles [L] with the line of equality."""
    chart = Chart(f"quantile of the truth [{units}]", f"quantile of the prediction [{units}]")
    ends = [truth.min(), truth.max()]
    chart.axes.plot(ends, ends, color=TRUTH_COLOUR, linewidth=1, linestyle=(0, (4, 3)), zorder=2)
    chart.lines(dict.fromkeys(predictions, truth), predictions, colours)
    return chart.svg()


def quantile_difference_chart(
    levels: np.ndarray,
    truth: np.ndarray,
    predictions: Mapping[str, np.ndarray],
    colours: Mapping[str, str],
    units: str,
) -> bytes:
    """Return predicted minus true quantiles [L] over their probability [L].

    The probability axis is that of a normal distribution, which leaves room for the extremes.
    """
    from scipy.special import ndtri

    chart = Chart("probability [%]", f"prediction minus truth [{units}]")
    chart.axes.axhline(0, color=TRUTH_COLOUR, linewidth=1, linestyle=(0, (4, 3)), zorder=2)
    differences = {m: q - truth for m, q in predictions.items()}
    chart.lines(dict.fromkeys(predictions, ndtri(levels)), differences, colours)
    chart.axes.set_xticks(ndtri(PROBABILITY_TICKS), [f"{100 * p:g}" for p in PROBABILITY_TICKS])
    return chart.svg()


def spectrum_chart(
    wavelength: np.ndarray,
    truth: np.ndarray,
    predictions: Mapping[str, np.ndarray],
    colours: Mapping[str, str],
    units: str,
    limit_km: float | None,
) -> bytes:
    """Return power [K] over wavelength [K] in km; the truth dashed."""
    squared = f"({units})²" if "/" in units else f"{units}²"
    chart = Chart("wavelength [km]", f"power [{squared}]")
    chart.lines(dict.fromkeys(predictions, wavelength), predictions, colours)
    chart.axes.plot(wavelength, truth, color=TRUTH_COLOUR, linestyle=(0, (4, 3)), zorder=5)
    chart.axes.set_yscale("log")
    _wavelength_axis(chart.axes, wavelength, limit_km)
    return chart.svg()


def spectrum_ratio_chart(
    wavelength: np.ndarray,
    truth: np.ndarray,
    predictions: Mapping[str, np.ndarray],
    colours: Mapping[str, str],
    limit_km: float | None,
) -> bytes:
    """Return 10 log10 of predicted over true power [K] over wavelength [K] in km."""
    chart = Chart("wavelength [km]", "power against the truth [dB]")
    with np.errstate(divide="ignore"):
        ratios = {m: 10 * np.log10(p / truth) for m, p in predictions.items()}
    chart.axes.axhline(0, color=TRUTH_COLOUR, linewidth=1, linestyle=(0, (4, 3)), zorder=2)
    chart.lines(dict.fromkeys(predictions, wavelength), ratios, colours)
    _wavelength_axis(chart.axes, wavelength, limit_km)
    return chart.svg()


def training_chart(
    curves: Mapping[str, tuple[np.ndarray, np.ndarray]], xlabel: str, ylabel: str
) -> bytes:
    """Return named curves (x, y) of one training run, logarithmic where all values allow it."""
    from matplotlib.ticker import LogLocator, StrMethodFormatter

    chart = Chart(xlabel, ylabel)
    for (name, (x, y)), colour in zip(
        curves.items(), (LEAD_COLOUR, *OTHER_COLOURS) * len(curves), strict=False
    ):
        chart.axes.plot(x, y, color=colour, linewidth=1.5, label=name)
    if all((y > 0).all() for _, y in curves.values()):
        chart.axes.set_yscale("log")
        chart.axes.yaxis.set_minor_locator(LogLocator(subs=(2, 3, 5)))
        chart.axes.yaxis.set_major_formatter(StrMethodFormatter("{x:g}"))
        chart.axes.yaxis.set_minor_formatter(StrMethodFormatter("{x:g}"))
    chart.axes.legend(frameon=False)
    return chart.svg()


def _wavelength_axis(axes: "Axes", wavelength: np.ndarray, limit_km: float | None) -> None:
    """Draw long waves on the left, round ticks, and the shortest wave of the coarse input."""
    from matplotlib.ticker import NullFormatter, NullLocator

    axes.set_xscale("log")
    axes.set_xlim(wavelength.max() * 1.05, wavelength.min() / 1.05)
    round_values = np.outer(10.0 ** np.arange(0, 6), [1, 2, 5]).ravel()
    ticks = round_values[(round_values >= wavelength.min()) & (round_values <= wavelength.max())]
    axes.set_xticks(ticks, [f"{t:g}" for t in ticks])
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_minor_formatter(NullFormatter())
    if limit_km is not None and wavelength.min() < limit_km < wavelength.max():
        axes.axvline(limit_km, color="#777777", linewidth=1, linestyle=":", zorder=1)
