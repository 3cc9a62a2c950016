"""Clean values block by block: fill codes, infinities, units, tiny negative precipitation."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from graphdown.data.reading.fill_codes import HUGE, FillCodes
from graphdown.data.reading.rules import Notes, counted, refuse
from graphdown.data.reading.units import Conversion, meant_units
from graphdown.variables.catalogue import describe
from graphdown.variables.variable import SHARE

CLIPPED = 0.1  # mm day-1: packing and spectral transforms give values this far below zero
ENOUGH_TIMES, ENOUGH_VALUES = 10, 400  # a few days may well be dry everywhere
ENOUGH_FOR_MEANS = 100


@dataclass(frozen=True)
class Cleaning:
    """Cleaning of a file's values of one variable to canonical ones.

    Attributes:
        name: CF/CMIP name.
        conversion: to the canonical units.
        codes: of missing values, as found in a sample.
    """

    name: str
    conversion: Conversion
    codes: FillCodes = FillCodes()

    def block(self, raw: np.ndarray) -> np.ndarray:
        """Canonical values of an array, float32."""
        values = self._converted(raw)
        least, greatest = self._usual_range
        low, high = extremes(raw)
        if low < least or high > greatest or self.codes.any_found(low, high):
            values[self._filled(raw, values) | ~np.isfinite(values)] = np.nan
        if describe(self.name).is_precipitation and low < 0:
            values[(values < 0) & (values >= -CLIPPED)] = 0.0
        return values.astype(np.float32, copy=False)

    @property
    def _usual_range(self) -> tuple[float, float]:
        """Raw values between which there are neither infinite ones nor codes, but those found."""
        linear, codes = self.conversion, self.codes
        ends = (np.array(describe(self.name).plausible) - linear.offset) / linear.factor
        return max(ends[0], codes.low, -HUGE / 2), min(ends[1], codes.high, HUGE / 2)

    def note(self, raw: np.ndarray, where: str, notes: Notes) -> None:
        """Note the changes that `block` makes to a sample of raw values."""
        values = self._converted(raw)
        filled = self._filled(raw, values)
        infinite = np.isinf(raw) if np.issubdtype(raw.dtype, np.floating) else np.zeros(1, bool)
        if filled.any():
            code = float(np.asarray(raw)[filled].flat[0])
            notes.add("fill-code", where, f"undeclared fill value {code:g} is missing", self.name)
        if infinite.any():
            some = counted(int(infinite.sum()), "infinite value")
            text = f"{some} in the times looked at, now missing"
            notes.add("infinite", where, text, self.name)
        if np.issubdtype(raw.dtype, np.integer):
            notes.add("integers", where, "integers become floating point numbers", self.name)
        if describe(self.name).is_precipitation and ((values < 0) & (values >= -CLIPPED)).any():
            text = f"down to {np.nanmin(values[values >= -CLIPPED]):.2g} mm day-1, raised to 0"
            notes.add("negative-clipped", where, text, self.name)
        if self.conversion.geopotential:
            notes.add("geopotential", where, "a geopotential, divided by 9.80665", self.name)

    def _converted(self, raw: np.ndarray) -> np.ndarray:
        double = raw.dtype.itemsize > 4 or np.issubdtype(raw.dtype, np.integer)
        values: Any = raw.astype(np.float64 if double else np.float32)
        linear = self.conversion
        if (linear.factor, linear.offset) == (1.0, 0.0):
            return values
        with np.errstate(over="ignore", invalid="ignore"):
            return values * values.dtype.type(linear.factor) + values.dtype.type(linear.offset)

    def _filled(self, raw: np.ndarray, values: np.ndarray) -> np.ndarray:
        least, greatest = describe(self.name).plausible
        with np.errstate(invalid="ignore"):
            impossible = (values < least) | (values > greatest)
        return self.codes.filled(raw, impossible)


def extremes(values: np.ndarray) -> tuple[float, float]:
    """Least and greatest of the values that are there; infinite ones, reversed, without any."""
    if not values.size or np.isnan(low := np.fmin.reduce(values, axis=None)):
        return np.inf, -np.inf
    return float(low), float(np.fmax.reduce(values, axis=None))


@dataclass(frozen=True)
class Sample:
    """Statistics of canonical values at a few times.

    Attributes:
        name: CF/CMIP name.
        minimum, maximum: of the values present; infinite without any.
        values, absent: number of sampled values, and of those that are missing.
        times: number of times.
        total: sum of the values present.
    """

    name: str
    minimum: float = np.inf
    maximum: float = -np.inf
    values: int = 0
    absent: int = 0
    times: int = 0
    total: float = 0.0

    def and_in(self, values: np.ndarray) -> "Sample":
        """Statistics of these and of further values [time, ...]."""
        there = values[np.isfinite(values)]
        return Sample(
            self.name,
            min(self.minimum, float(there.min(initial=np.inf))),
            max(self.maximum, float(there.max(initial=-np.inf))),
            self.values + values.size,
            self.absent + values.size - there.size,
            self.times + len(values),
            self.total + float(there.sum(dtype=np.float64)),
        )

    @property
    def empty(self) -> bool:
        """Whether there is no value."""
        return self.absent == self.values

    @property
    def mean(self) -> float:
        """Mean of the values present."""
        return self.total / max(self.values - self.absent, 1)

    @property
    def doubtful(self) -> bool:
        """Whether the greatest value is above zero, but below what is usual."""
        return 0.0 < self.maximum < describe(self.name).usual_maximum[1]

    @property
    def missing(self) -> float:
        """Share of the values that are missing."""
        return self.absent / max(self.values, 1)


def check_range(name: str, values: np.ndarray, where: str, raw: np.ndarray | None = None) -> None:
    """Refuse canonical values that the variable cannot have.

    Args:
        name: CF/CMIP name.
        values: a sample, or all values.
        where: for messages.
        raw: the same values in the file's units, for a hint in the message.

    Raises:
        DataError: a value is out of range; the message suggests units that would make sense.
    """
    variable = describe(name)
    least, greatest = variable.plausible
    if not np.isfinite(values).any():
        return
    low, high = float(np.nanmin(values)), float(np.nanmax(values))
    if least <= low and high <= greatest:
        return
    if variable.is_precipitation and low < least and not _hint(name, raw):
        raise refuse(
            "negative-precipitation",
            f"{where}: {name!r} goes down to {low:.3g} mm day-1; precipitation is not negative, "
            "so check the variable.",
        )
    raise refuse(
        "out-of-range",
        f"{where}: {name!r} runs from {low:.4g} to {high:.4g} in its canonical units, which "
        f"should lie between {least:g} and {greatest:g}"
        f"{_hint(name, raw) or '; check its units and values'}.",
    )


def check_size(sample: Sample, conversion: Conversion, where: str, notes: Notes) -> None:
    """Refuse or note values so small, or so large on average, that units are probably wrong.

    Args:
        sample: of canonical values.
        conversion: that made them.
        where: for messages.
        notes: collects doubts.

    Raises:
        DataError: of ten or more times the greatest value is impossibly small, or shares in % end
            at exactly 1.
    """
    variable = describe(sample.name)
    raw = np.array([sample.minimum, sample.maximum]) - conversion.offset
    raw /= conversion.factor
    if variable.bounds == SHARE and conversion.factor != 1.0 and abs(raw[1] - 1.0) < 1e-6:
        raise refuse(
            "out-of-range",
            f"{where}: {sample.name!r} runs from {raw[0]:.3g} to exactly 1 {conversion.units}; its "
            f"units look like 1: state them, as in 'units: {{{sample.name}: 1}}'.",
        )
    count = sample.values - sample.absent
    least, greatest = variable.usual_mean
    if count >= ENOUGH_FOR_MEANS and not least <= sample.mean <= greatest:
        text = f"{sample.mean:.4g} {conversion.canonical} on average in the times looked at"
        notes.add("units-doubtful", where, f"{text}; check its units", sample.name)
    refused_below, _ = variable.usual_maximum
    if not sample.doubtful or sample.times < ENOUGH_TIMES:
        return
    text = f"nowhere more than {sample.maximum:.2g} {conversion.canonical} in the times looked at"
    hint = _hint(sample.name, raw) or "; check its units"
    if sample.maximum < refused_below:
        raise refuse("out-of-range", f"{where}: {sample.name!r} is {text}{hint}.")
    if count >= ENOUGH_VALUES:
        notes.add("units-doubtful", where, f"{text}{hint}", sample.name)


def _hint(name: str, raw: Any) -> str:
    if raw is None or not np.isfinite(raw).any():
        return ""
    values = np.asarray(raw, np.float64)
    values = values[np.isfinite(values) & (np.abs(values) < HUGE)]
    units = meant_units(name, float(values.min()), float(values.max())) if values.size else None
    if units is None:
        return ""
    return f"; its units look like {units}: state them, as in 'units: {{{name}: {units}}}'"
