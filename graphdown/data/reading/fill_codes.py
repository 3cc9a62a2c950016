"""Codes of missing values that no attribute declares."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np

HUGE = 1e15
_NEGATIVE = (-99.0, -99.9, -99.99, -999.0, -999.9, -999.99, -9999.0, -9999.9, -99999.0, -1e6)
_POSITIVE = (999.0, 999.9, 9999.0, 9999.9, 99999.0, 99999.9, 999999.0)
_OF_TYPES = (-32767.0, -32768.0, 32767.0, 65535.0, -2147483647.0, -2147483648.0, 2147483647.0)
CODES = (*_NEGATIVE, *_POSITIVE, *_OF_TYPES, -888.0, -8888.0, -273.15)
ZEROS = (0.0,)  # a code only where zero is impossible, such as 0 K
NEAR = 0.1  # of a code's size: others as near as that make it a value like them
FEWEST_TIMES = 3  # at which a code must be at the same places
FEWEST = 2  # values that are far from all others, and equal


@dataclass(frozen=True)
class FillCodes:
    """Codes of missing values of a variable, as found in a sample of its raw values.

    A code counts where the variable cannot have its value. Where it could, such as -99.9 degC, it
    is missing if it is the least or the greatest value and either always at the same places, while
    other values change, or apart from all others by their range and by a tenth of itself. Zero is
    a code only where it is impossible and always at the same places.

    Attributes:
        found: codes within the variable's range that are missing values.
        zero: whether an impossible zero is a missing value.
        low, high: codes below or above these are missing, too, where the sample has none.
    """

    found: tuple[float, ...] = ()
    zero: bool = False
    low: float = -np.inf
    high: float = np.inf

    def any_found(self, low: float, high: float) -> bool:
        """Whether a code that was found lies between two values."""
        return any(low <= code <= high for code in self.found)

    def filled(self, raw: np.ndarray, impossible: np.ndarray) -> np.ndarray:
        """Where values are codes.

        Args:
            raw: as in the file.
            impossible: whether the variable cannot have them; False where they are NaN.
        """
        with np.errstate(invalid="ignore", over="ignore"):
            filled = (np.abs(raw) >= HUGE) & np.isfinite(raw)
            suspect = impossible | (raw < self.low) | (raw > self.high)
            if suspect.any():
                codes = (*CODES, *ZEROS) if self.zero else CODES
                filled |= suspect & np.isin(raw, _as_type(codes, raw.dtype))
            if self.found:
                filled |= np.isin(raw, _as_type(self.found, raw.dtype))
        return filled


@dataclass
class _Evidence:
    """Places [cells] at which a code is at all times so far, and at any."""

    always: np.ndarray
    ever: np.ndarray


@dataclass
class CodeSearch:
    """Search for codes in samples of raw values [time, ...] of the same cells.

    Attributes:
        times: number of times looked at.
        low, high: of the values that are no codes.
        changing: whether a value differs from that of the first time.
    """

    times: int = 0
    low: float = np.inf
    high: float = -np.inf
    changing: bool = False
    _evidence: dict[float, _Evidence] = field(default_factory=dict)
    _counts: dict[float, int] = field(default_factory=dict)
    _first: tuple[np.ndarray, np.ndarray] | None = None

    def look_at(self, raw: np.ndarray) -> None:
        """Take values [time, ...] into account."""
        is_code = np.isin(raw, _as_type((*CODES, *ZEROS), raw.dtype))
        with np.errstate(invalid="ignore", over="ignore"):
            is_value = ~is_code & np.isfinite(raw) & (np.abs(raw) < HUGE)
        values = raw[is_value].astype(np.float64)
        self.low = min(self.low, float(values.min(initial=np.inf)))
        self.high = max(self.high, float(values.max(initial=-np.inf)))
        first, was_value = self._first = self._first or (raw[0], is_value[0])
        self.changing |= bool(((raw != first) & is_value & was_value).any())
        there = {float(code) for code in np.unique(raw[is_code])}
        for code in there:
            self._add(code, raw == code)
        for code in set(self._evidence) - there:
            self._evidence[code].always[...] = False
        self.times += len(raw)

    def _add(self, code: float, at: np.ndarray) -> None:
        new = _Evidence(np.asarray(at.all(axis=0)), np.asarray(at.any(axis=0)))
        before = self._evidence.get(code)
        if before is None:
            new.always &= self.times == 0
            self._evidence[code] = new
        else:
            before.always &= new.always
            before.ever |= new.ever
        self._counts[code] = self._counts.get(code, 0) + int(at.sum())

    def codes(self) -> FillCodes:
        """What was found."""
        if self.low > self.high:
            return FillCodes()
        found = tuple(code for code in self._evidence if code and self._is_code(code))
        low, high = self.low - self._margin(self.low), self.high + self._margin(self.high)
        return FillCodes(found, self._stays(0.0), low, high)

    def _margin(self, value: float) -> float:
        return max(self.high - self.low, NEAR * abs(value))

    def _is_code(self, code: float) -> bool:
        gap = max(self.low - code, code - self.high)
        if gap <= 0.0:
            return False
        is_apart = gap >= self._margin(code) and self._counts[code] >= FEWEST
        return is_apart or self._stays(code)

    def _stays(self, code: float) -> bool:
        """Whether a code is always at the same places, while other values change."""
        evidence = self._evidence.get(code)
        if evidence is None or self.times < FEWEST_TIMES or not self.changing:
            return False
        return bool(evidence.always.any() and (evidence.always == evidence.ever).all())


def codes_in(samples: Iterable[np.ndarray]) -> FillCodes:
    """Codes of missing values in samples of raw values [time, ...] of the same cells."""
    search = CodeSearch()
    for raw in samples:
        search.look_at(raw)
    return search.codes()


def _as_type(codes: Sequence[float], dtype: np.dtype) -> np.ndarray:
    """Codes as values of a type would be rounded; integers are compared as float64."""
    return np.asarray(codes, dtype if dtype.kind == "f" else np.float64)
