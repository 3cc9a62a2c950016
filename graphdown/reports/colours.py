"""Colour scales: the limits, the colours and the ticks that maps of one kind share."""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from graphdown.variables.catalogue import describe

COLOURS = 250
NICE_STEPS = np.array([1.0, 2.0, 2.5, 5.0, 10.0])
NICE_LIMITS = np.array([1.0, 1.2, 1.5, 2.0, 2.5, 3.0, 4.0, 5.0, 6.0, 8.0, 10.0])


@dataclass(frozen=True)
class ColourScale:
    """How values become colours.

    Attributes:
        colourmap: name of a matplotlib colour map.
        low, high: values at its two ends; values beyond take the end's colour.
        units: shown under the bar.
        root: whether colours follow the square root of the value (for precipitation).
    """

    colourmap: str
    low: float
    high: float
    units: str
    root: bool = False

    def position(self, values: np.ndarray) -> np.ndarray:
        """Return where values lie on the scale, 0 to 1, clipped."""
        share = np.clip((np.asarray(values, float) - self.low) / (self.high - self.low), 0.0, 1.0)
        return np.sqrt(share) if self.root else share

    def rgb(self) -> np.ndarray:
        """Return the colours [COLOURS, 3] as uint8."""
        from matplotlib import colormaps

        return colormaps[self.colourmap](np.linspace(0, 1, COLOURS), bytes=True)[:, :3]

    def ticks(self) -> list[tuple[float, str]]:
        """Return position (0 to 1) and text of a few round values, lowest first."""
        if self.root:
            values = self.high * np.array([0.0, 0.05, 0.2, 0.5, 1.0])
        else:
            step = nice_step((self.high - self.low) / 4)
            values = step * np.arange(np.ceil(self.low / step), np.floor(self.high / step) + 0.5)
        return [(float(p), f"{v:g}") for p, v in zip(self.position(values), values, strict=True)]


def nice_step(value: float) -> float:
    """Return the smallest of 1, 2, 2.5, 5 times a power of ten that is at least the value."""
    return _round_up(value, NICE_STEPS)


def nice_limit(value: float) -> float:
    """Return a round number that is at least the value and at most a third above it."""
    return _round_up(max(value, 1e-9), NICE_LIMITS)


def _round_up(value: float, choices: np.ndarray) -> float:
    power = 10.0 ** np.floor(np.log10(value))
    return float(power * choices[np.argmax(choices * power >= value * (1 - 1e-9))])


def field_scale(variable: str, fields: Iterable[np.ndarray], units: str) -> ColourScale:
    """Return the scale for fields of a variable, wide enough for all of them."""
    values = _finite(fields)
    if describe(variable).is_precipitation:
        return ColourScale(
            "YlGnBu", 0.0, nice_limit(max(float(values.max()), 1.0)), units, root=True
        )
    step = nice_step(max(np.ptp(values), 1e-9) / 8)
    low, high = np.floor(values.min() / step) * step, np.ceil(values.max() / step) * step
    return ColourScale("Spectral_r", float(low), float(max(high, low + step)), units)


def error_scale(variable: str, errors: Iterable[np.ndarray], units: str) -> ColourScale:
    """Return a diverging scale centred at 0 that holds 99 % of the errors."""
    limit = nice_limit(float(np.percentile(np.abs(_finite(errors)), 99)))
    colours = "BrBG" if describe(variable).is_precipitation else "RdBu_r"
    return ColourScale(colours, -limit, limit, units)


def magnitude_scale(fields: Iterable[np.ndarray], units: str) -> ColourScale:
    """Return a scale from 0 that holds 99 % of the values."""
    limit = nice_limit(float(np.percentile(_finite(fields), 99)))
    return ColourScale("YlOrRd", 0.0, limit, units)


def change_scale(variable: str, fields: Iterable[np.ndarray], units: str) -> ColourScale:
    """Return the scale of a climate-change signal: diverging where both signs occur."""
    values = _finite(fields)
    low, high = np.percentile(values, [1, 99])
    if low < 0 or describe(variable).is_precipitation:
        return error_scale(variable, [values], units)
    return ColourScale("YlOrRd", *_round_limits(float(low), float(high)), units)


def _round_limits(low: float, high: float) -> tuple[float, float]:
    step = nice_step(max(high - low, 1e-9) / 8)
    floor = float(np.floor(low / step) * step)
    return floor, float(max(np.ceil(high / step) * step, floor + step))


def _finite(fields: Iterable[np.ndarray]) -> np.ndarray:
    values = np.concatenate([np.asarray(f, float).ravel() for f in fields])
    values = values[np.isfinite(values)]
    return values if values.size else np.zeros(1)
