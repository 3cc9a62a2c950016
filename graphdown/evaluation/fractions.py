"""Fractions skill score: whether rain is as frequent around a place as in the truth."""

import numpy as np

THRESHOLD_MM = 5.0
WINDOW = 5
CHUNK_DAYS = 64


def fractions_skill_score(
    prediction: np.ndarray,
    truth: np.ndarray,
    threshold: float = THRESHOLD_MM,
    window: int = WINDOW,
) -> float:
    """Return 1 - sum (f_y - f_x)^2 / (sum f_y^2 + sum f_x^2) over all days and places.

    f is the share of the cells with a value, in a square around a place that lies within the
    field, that reach the threshold (Roberts and Lean 2008, Mon. Wea. Rev. 136, 78-97). NaN where
    none reaches it or the square does not fit.

    Args:
        prediction, truth: [T, ny, nx], with the same values missing.
        threshold: in the units of the fields.
        window: side of the square in cells.
    """
    return skill_score(daily_squares(prediction, truth, threshold, window))


def daily_squares(
    prediction: np.ndarray,
    truth: np.ndarray,
    threshold: float = THRESHOLD_MM,
    window: int = WINDOW,
) -> np.ndarray:
    """Return sum (f_y - f_x)^2 and sum f_y^2 + sum f_x^2 of each day [T, 2].

    Both are 0 where the square does not fit. The arguments are those of `fractions_skill_score`.
    """
    squares = np.zeros((len(truth), 2))
    if window > min(truth.shape[1:]):
        return squares
    for start in range(0, len(truth), CHUNK_DAYS):
        days = slice(start, start + CHUNK_DAYS)
        y, x = prediction[days], truth[days]
        count = np.maximum(_sums(np.isfinite(x), window), 1)
        f, g = (_sums(v >= threshold, window) / count for v in (y, x))
        squares[days, 0] = np.square(f - g).sum(axis=(1, 2))
        squares[days, 1] = np.square(f).sum(axis=(1, 2)) + np.square(g).sum(axis=(1, 2))
    return squares


def skill_score(squares: np.ndarray) -> float:
    """Return the score from sums of days [T, 2] as of `daily_squares`."""
    difference, total = squares.sum(axis=0)
    return float(1.0 - difference / total) if total else float("nan")


def _sums(cells: np.ndarray, window: int) -> np.ndarray:
    """Return the sums of bool [T, ny, nx] over the squares that lie within, int32."""
    sums = cells
    for axis in (1, 2):
        running = np.cumsum(sums, axis=axis, dtype=np.int32)
        first = np.take(running, [window - 1], axis=axis)
        length = running.shape[axis]
        ends = np.take(running, range(window, length), axis=axis)
        starts = np.take(running, range(length - window), axis=axis)
        sums = np.concatenate([first, ends - starts], axis=axis)
    return sums
