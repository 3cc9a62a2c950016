"""Penalised least squares for many penalties and many predictands at once."""

from dataclasses import dataclass

import numpy as np
from scipy.linalg import eigh


def without_gaps(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return values [T, ...] in float64 with the mean in place of missing ones, and the mean.

    The mean of what is missing on all days is 0.
    """
    present = np.isfinite(values)
    total = np.where(present, values, 0.0).sum(axis=0, dtype=np.float64)
    mean = total / np.maximum(present.sum(axis=0), 1)
    return np.where(present, values, mean), mean


def warm_and_cold(spread: np.ndarray, days: int) -> np.ndarray:
    """Return the pair of anomalies [2, ...] that adds to the moments of days what a warming would.

    Args:
        spread: standard deviation of the warming in each variable [...].
        days: number of the days that they are added to.
    """
    step = spread * np.sqrt(days / 2.0)
    return np.stack([step, -step])


@dataclass(frozen=True, eq=False)
class Design:
    """The eigendecomposition of a predictor table, which serves every predictand and penalty.

    With the centred table X = U S V' the ridge coefficients for the predictand y and the penalty
    k are V diag(s / (s^2 + k)) U' y (Hoerl and Kennard 1970, Technometrics 12). They are kept as
    basis diag(1 / (s^2 + k)) left' y; the smaller of X'X and XX' is decomposed.

    Attributes:
        mean: column means [P].
        basis: [P, K], V or X'U.
        left: [T, K], XV or U.
        squares: eigenvalues s^2 [K], not negative.
    """

    mean: np.ndarray
    basis: np.ndarray
    left: np.ndarray
    squares: np.ndarray

    @classmethod
    def of(cls, table: np.ndarray) -> "Design":
        """Decompose a predictor table [T, P] without missing values."""
        mean = table.mean(axis=0)
        centred = table - mean
        days, columns = centred.shape
        if columns <= days:
            squares, vectors = eigh(centred.T @ centred)
            basis, left = vectors, centred @ vectors
        else:
            squares, vectors = eigh(centred @ centred.T)
            basis, left = centred.T @ vectors, vectors
        return cls(mean, basis, left, np.maximum(squares, 0.0))

    def rotate(self, table: np.ndarray) -> np.ndarray:
        """Return a predictor table [T, P] in the design's basis: [T, K]."""
        return (table - self.mean) @ self.basis

    def fit(self, predictands: np.ndarray) -> "Fit":
        """Project predictands [T, N] without missing values, for any penalty later."""
        mean = predictands.mean(axis=0, dtype=np.float64)
        return Fit(self, mean, self.left.T @ (predictands - mean))


@dataclass(frozen=True, eq=False)
class Fit:
    """Predictands projected on a design.

    Attributes:
        design: the predictors' decomposition.
        mean: means of the predictands [N].
        projection: [K, N].
    """

    design: Design
    mean: np.ndarray
    projection: np.ndarray

    def coefficients(self, penalty: float) -> tuple[np.ndarray, np.ndarray]:
        """Return the coefficients [P, N] and constants [N] for a positive penalty."""
        coefficients = self.design.basis @ self._shrunk(penalty)
        return coefficients, self.mean - self.design.mean @ coefficients

    def predict(self, rotated: np.ndarray, penalty: float) -> np.ndarray:
        """Return predictions [T, N] from a table in the design's basis (see `Design.rotate`)."""
        return self.mean + rotated @ self._shrunk(penalty)

    def _shrunk(self, penalty: float) -> np.ndarray:
        return self.projection / (self.design.squares + penalty)[:, None]
